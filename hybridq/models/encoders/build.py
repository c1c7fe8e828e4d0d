"""Make an encoder with random weights, with those of ImageNet, or from a file."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import torch

from hybridq.config.handed import is_handed, refused_name
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.models.encoders.encoder import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Encoder,
    EncoderSpec,
    encoder_entry,
)
from hybridq.models.encoders.file import load_encoder
from hybridq.models.encoders.handed import REMEDY
from hybridq.utils.finite import check_finite


def build_encoder(weights: str, spec: EncoderSpec, *, seed: int = 0) -> Encoder:
    """Make an encoder with `weights`.

    Args:
        weights: `none` (random), `imagenet` (torchvision downloads them), or a file or run
            folder with an `encoder.safetensors`.
        spec: The spec, used as it is for `none`. With `imagenet` the normalisation is ImageNet's
            and the input size and stem are taken from `spec`; with a file its own spec counts.
        seed: Seed of the initial weights.

    Raises:
        MissingFileError: If `weights` names no file.
        InvalidValueError: If the file does not hold this network.
        UnavailableError: If ImageNet weights cannot be downloaded.
    """
    if is_handed(weights):
        raise refused_name("encoder", weights, REMEDY)
    if weights == "none":
        return Encoder(spec, generator_seed=seed)
    if weights == "imagenet":
        return _imagenet_encoder(spec)
    return load_encoder(weights)


def _imagenet_encoder(spec: EncoderSpec) -> Encoder:
    from http.client import HTTPException
    from pickle import UnpicklingError

    entry = encoder_entry(spec.architecture)
    if entry.imagenet is None:
        raise InvalidValueError(
            f"Expected an encoder with ImageNet weights, got {spec.architecture}, which has none "
            "here: take --encoder none."
        )
    spec = spec.model_copy(
        update={
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
            "weights": "imagenet",
            "data_licence": "ImageNet terms of access (research, non-commercial)",
        }
    )
    encoder = Encoder(spec)
    chosen = entry.imagenet()
    try:
        with redirect_stdout(sys.stderr):  # torch prints that it downloads
            state = chosen.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError, HTTPException, EOFError, UnpicklingError) as error:
        raise UnavailableError(
            f"Expected ImageNet weights from {chosen.url}, got {type(error).__name__}: download "
            f"that file into {torch.hub.get_dir()}/checkpoints, or use --encoder none."
        ) from error
    features = state if entry.state is None else entry.state(state)
    check_finite(f"weights in {chosen.url.rpartition('/')[2]}", features)
    encoder.features.load_state_dict(features, strict=True)
    return encoder


def imagenet_is_here(name: str) -> bool:
    """Say whether the ImageNet weights of an encoder have been downloaded before.

    Args:
        name: The name of the encoder.
    """
    entry = encoder_entry(name)
    if entry.imagenet is None:
        return False
    file: str = entry.imagenet().url.rpartition("/")[2]
    return (Path(str(torch.hub.get_dir())) / "checkpoints" / file).is_file()
