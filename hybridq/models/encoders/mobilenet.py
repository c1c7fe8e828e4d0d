"""MobileNetV2 as a feature extractor, and the file an encoder is kept in.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381.
The network is torchvision's; ours are the stem for small images and the checkpoint that
carries what a network needs to be used: input size, mean, standard deviation, licence.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from hybridq.config.base import MAX_IMAGE_SIZE
from hybridq.data.transforms import prepare_images
from hybridq.errors import InvalidValueError, MissingFileError, UnavailableError
from hybridq.runs.folder import check_finished, check_recorded
from hybridq.utils.finite import check_finite
from hybridq.utils.weights import first_complaint, hash_of_file, read_weights, save_weights

NUM_FEATURES = 1280
"""Length of the feature vector."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

PRETRAIN = "make one with `hybridq pretrain`."
"""Remedy where an encoder is damaged."""
FILE = "encoder.safetensors"
KEY = "encoder_spec"
"""Key of the metadata in that file."""

LEAST_SIZE = 8
"""Smallest height and width of an encoder's input, in pixels."""

Stem = Literal["stride1", "stride2"]
Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(ge=1e-3, le=1)]


class EncoderSpec(BaseModel):
    """What an encoder expects of its images, and where its weights come from."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    architecture: Literal["mobilenet_v2"] = "mobilenet_v2"
    stem: Stem = "stride2"
    """Stride of the first convolution: `stride1` keeps twice the resolution, for small images."""
    image_size: int = Field(224, ge=LEAST_SIZE, le=MAX_IMAGE_SIZE)
    """Height and width of the input, in pixels."""
    crop_pct: float = Field(1.0, ge=0.1, le=1)
    """Share of an image's height and width that is seen outside training, cut from its centre."""
    mean: tuple[Share, Share, Share] = IMAGENET_MEAN
    """Mean of each channel, on a scale of 0 to 1."""
    std: tuple[Spread, Spread, Spread] = IMAGENET_STD
    """Standard deviation of each channel, on a scale of 0 to 1, at least 0.001."""
    weights: str = "none"
    """Where the weights come from: `none`, `imagenet`, or `simclr` with the data named."""
    data_licence: str = "none"
    """Licence of the images the weights were made from."""


class Encoder(nn.Module):
    """MobileNetV2 up to its pooled features: 2,223,872 parameters.

    Args:
        spec: input size, normalisation and stem.
        generator_seed: seed of the initial weights; the global generator is left alone.

    Shape: images `(batch, 3, image_size, image_size)`, normalised, to features `(batch, 1280)`.
    """

    def __init__(self, spec: EncoderSpec, *, generator_seed: int = 0) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        self.spec = spec
        self.frozen = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_seed)
            self.features: nn.Sequential = mobilenet_v2(weights=None).features
        if spec.stem == "stride1":
            self.features[0][0].stride = (1, 1)
        # Depthwise convolutions on a CPU take about two thirds of the time in this layout.
        self.to(memory_format=torch.channels_last)

    def prepare(self, images: NDArray[np.uint8] | Tensor) -> Tensor:
        """Images `(batch, height, width, 1 or 3)`, uint8, as this encoder wants them."""
        spec = self.spec
        return prepare_images(
            images,
            image_size=spec.image_size,
            mean=spec.mean,
            std=spec.std,
            crop_pct=spec.crop_pct,
        )

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training mode, unless the encoder is frozen: its batch norm stays as it is."""
        super().train(mode and not self.frozen)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(batch, 3, height, width)` to features `(batch, 1280)`."""
        images = images.contiguous(memory_format=torch.channels_last)
        return functional.adaptive_avg_pool2d(self.features(images), 1).flatten(1)


def build_encoder(weights: str, spec: EncoderSpec, *, seed: int = 0) -> Encoder:
    """Make an encoder with `weights`.

    Args:
        weights: `none` (random), `imagenet` (torchvision's own weights, downloaded by
            torchvision), or a file or run folder with an `encoder.safetensors`.
        spec: used as it is for `none`. With `imagenet` the normalisation is ImageNet's and the
            input size and stem are taken from `spec`; with a file its own spec counts.
        seed: of the initial weights.

    Raises:
        MissingFileError: if `weights` names no file.
        InvalidValueError: if the file does not hold this network.
        UnavailableError: if ImageNet weights cannot be downloaded.
    """
    if weights == "none":
        return Encoder(spec, generator_seed=seed)
    if weights == "imagenet":
        return _imagenet_encoder(spec)
    return load_encoder(weights)


def _imagenet_encoder(spec: EncoderSpec) -> Encoder:
    from http.client import HTTPException
    from pickle import UnpicklingError

    from torchvision.models import MobileNet_V2_Weights

    spec = spec.model_copy(
        update={
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
            "weights": "imagenet",
            "data_licence": "ImageNet terms of access (research, non-commercial)",
        }
    )
    encoder = Encoder(spec)
    chosen = MobileNet_V2_Weights.IMAGENET1K_V2
    try:
        with redirect_stdout(sys.stderr):  # torch prints that it downloads
            state = chosen.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError, HTTPException, EOFError, UnpicklingError) as error:
        raise UnavailableError(
            f"Expected ImageNet weights from {chosen.url}, got {type(error).__name__}: download "
            f"that file into {torch.hub.get_dir()}/checkpoints, or use --encoder none."
        ) from error
    prefix = "features."
    features = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    check_finite(f"weights in {chosen.url.rpartition('/')[2]}", features)
    encoder.features.load_state_dict(features, strict=True)
    return encoder


def save_encoder(encoder: Encoder, path: Path) -> None:
    """Write the backbone, and nothing else, with its spec to a safetensors file.

    Raises:
        NotFiniteError: If a weight is NaN or infinite; nothing is written then.
    """
    save_weights(path, encoder.state_dict(), KEY, encoder.spec.model_dump(mode="json"))


def encoder_file(source: str | Path) -> Path:
    """The `encoder.safetensors` that a file or a run folder stands for.

    Raises:
        MissingFileError: if there is none.
    """
    path = Path(source)
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        check_finished(path.parent)
        raise MissingFileError(
            "Expected an encoder: none, imagenet, a run of `hybridq pretrain` or an "
            f"encoder.safetensors, got {str(source)!r}: no file {path}."
        )
    return path


def load_encoder(source: str | Path) -> Encoder:
    """Read an encoder from a file or a run folder; every weight must fit.

    Raises:
        MissingFileError: if there is no such file.
        InvalidValueError: if it is no encoder, one of another shape, damaged, or changed since it
            was written.
    """
    path = encoder_file(source)
    state, about = read_weights(path, KEY)
    if path.name == FILE:
        check_recorded(path.parent, "encoder", hash_of_file(path))
    try:
        spec = EncoderSpec.model_validate(about or None)
    except ValidationError as error:
        raise InvalidValueError(
            f"Expected a hybridq encoder in {path}, got a file without a valid {KEY} "
            f"({first_complaint(error)}): {PRETRAIN}"
        ) from error
    encoder = Encoder(spec)
    try:
        encoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        expected = {k: tuple(v.shape) for k, v in encoder.state_dict().items()}
        wrong = [k for k in expected.keys() | state.keys() if k not in state or k not in expected]
        wrong += [k for k in expected.keys() & state.keys() if expected[k] != tuple(state[k].shape)]
        raise InvalidValueError(
            f"Expected the weights of MobileNetV2 in {path}, got {len(wrong)} tensors that are "
            f"missing, unknown or of another shape (such as {sorted(wrong)[0]}): use the encoder "
            "of a `hybridq pretrain` run."
        ) from error
    return encoder


def random_encoder_like(encoder: Encoder, seed: int) -> Encoder:
    """An untrained encoder with the same input, for the random-features baseline."""
    spec = encoder.spec.model_copy(update={"weights": "none", "data_licence": "none"})
    return Encoder(spec, generator_seed=seed)
