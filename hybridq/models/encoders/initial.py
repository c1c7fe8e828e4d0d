"""Make the encoder that a training begins with, for the images that it will see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hybridq.config import EncoderConfig
from hybridq.config.base import MAX_IMAGE_SIZE
from hybridq.data.transforms import channel_statistics
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.build import build_encoder
from hybridq.models.encoders.encoder import (
    DEFAULT,
    LEAST_SIZE,
    Encoder,
    EncoderSpec,
    Stem,
    encoder_entry,
)
from hybridq.models.encoders.handed import check_network

SMALL_SIDE = 64
"""The side, in pixels, below which images are enlarged."""


def encoder_for(
    images: NDArray[np.uint8],
    config: EncoderConfig,
    *,
    image_size: int | None,
    stem: str,
    seed: int,
) -> Encoder:
    """Make an encoder for `images`.

    Args:
        images: Training images `(count, height, width, channels)`. They decide the normalisation
            and, if `image_size` is None, the input size (see `input_size`).
        config: The network, and its weights: `none`, `imagenet`, or a run folder or file, which
            carries its own network and input size.
        image_size: Input height and width in pixels, or None. It may differ from that at which
            the weights were trained: training at a higher resolution may follow one at a lower
            (Touvron et al., "Fixing the train-test resolution discrepancy", arXiv:1906.06423).
        stem: `stride1`, `stride2`, or `auto`, which is that of the weights or else `stride2`.
        seed: Seed of random weights.

    Raises:
        HybridqError: If the weights cannot be used or were made for another stem, or the images
            are too small or too large for an encoder.
    """
    size = image_size or input_size(min(images.shape[1:3]), stem)
    _check_size(size, images)
    mean, std = channel_statistics(images)
    chosen: Stem = "stride1" if stem == "stride1" else "stride2"
    name, weights = config.name or DEFAULT, config.weights
    encoder_entry(name)  # an unknown name is told here
    spec = EncoderSpec(architecture=name, stem=chosen, image_size=size, mean=mean, std=std)
    encoder = build_encoder(weights, spec, seed=seed)
    if config.name not in (None, encoder.spec.architecture):
        raise InvalidValueError(
            f"Expected --encoder.name {encoder.spec.architecture}, which the encoder in {weights} "
            f"is, got {config.name}: leave it out."
        )
    if stem not in ("auto", encoder.spec.stem):
        raise InvalidValueError(
            f"Expected `stem` {encoder.spec.stem}, with which the encoder in {weights} was "
            f"trained, got {stem}: leave it out, or pretrain with it."
        )
    if image_size is not None:
        encoder.spec = encoder.spec.model_copy(update={"image_size": image_size})
    encoder.spec = spec_for(encoder.spec, images)
    return encoder


def imagenet_like(encoder: Encoder, images: NDArray[np.uint8]) -> Encoder:
    """Make an encoder of the same network and input size with the weights of ImageNet.

    Args:
        encoder: The encoder whose network and input size are taken.
        images: Training images `(count, height, width, channels)`.

    Raises:
        HybridqError: If the weights cannot be used or downloaded.
    """
    spec = encoder.spec
    config = EncoderConfig(weights="imagenet", name=spec.architecture)
    return encoder_for(images, config, image_size=spec.image_size, stem=spec.stem, seed=0)


def spec_for(spec: EncoderSpec, images: NDArray[np.uint8]) -> EncoderSpec:
    """Normalise by the mean and standard deviation of `images`, where an encoder wants that.

    An encoder that was pretrained on several sets saw each normalised by its own. The images of
    another set are normalised in the same way, and so are those of one of them: its statistics
    follow from its train split.

    Args:
        spec: The spec of the encoder.
        images: Training images `(count, height, width, channels)` of the set at hand.
    """
    if not spec.normalised_by_set:
        return spec
    mean, std = channel_statistics(images)
    return spec.model_copy(update={"mean": mean, "std": std})


def input_size(side: int, stem: str) -> int:
    """Return the input side, in pixels, for images of `side` pixels.

    MobileNetV2 halves the resolution five times, so that a map of an image below 64 pixels has
    hardly a position. Such an image is enlarged to twice its side, unless the stem has stride 1.
    docs/decisions/0004 compares both.
    """
    return 2 * side if side < SMALL_SIDE and stem != "stride1" else side


def encoder_around(
    network: nn.Module, name: str, images: NDArray[np.uint8], *, image_size: int | None
) -> Encoder:
    """Make an encoder of a network that is handed over, for `images`.

    Args:
        network: A module from images `(batch, 3, height, width)` to features or maps; it becomes
            part of the encoder.
        name: What records call it.
        images: Training images `(count, height, width, channels)`, which decide the normalisation.
        image_size: Input height and width in pixels; the shorter side of the images if None.

    Raises:
        InvalidValueError: If the network cannot take such images, or gives no features.
    """
    size = image_size or min(images.shape[1:3])
    _check_size(size, images)
    check_network(network, size)
    mean, std = channel_statistics(images)
    spec = EncoderSpec(
        architecture=name, image_size=size, mean=mean, std=std, weights="handed over"
    )
    return Encoder(spec, network=network)


def _check_size(size: int, images: NDArray[np.uint8]) -> None:
    if not (isinstance(size, int) and LEAST_SIZE <= size <= MAX_IMAGE_SIZE):
        raise InvalidValueError(
            f"Expected an input of {LEAST_SIZE} to {MAX_IMAGE_SIZE} px, got {size} px for images "
            f"of {images.shape[1]} x {images.shape[2]}: choose one with --image-size."
        )
