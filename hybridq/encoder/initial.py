"""The encoder that a training begins with, made to fit the images it will see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridq.data.transforms import channel_statistics
from hybridq.encoder.backbone import Encoder, EncoderSpec, build_encoder, choose_stem
from hybridq.errors import InvalidValueError


def encoder_for(
    images: NDArray[np.uint8], weights: str, *, image_size: int | None, stem: str, seed: int
) -> Encoder:
    """An encoder for `images`.

    Args:
        images: training images `(count, height, width, channels)`; they give the normalisation
            and, where `image_size` is None, the input size.
        weights: `none`, `imagenet`, or a run folder or file, which carries its own input size.
        image_size: input height and width in pixels, or None.
        stem: `auto`, `stride1` or `stride2`.
        seed: of random weights.

    Raises:
        HybridqError: if the weights cannot be used, or were made for another input than asked for.
    """
    size = image_size or min(images.shape[1:3])
    mean, std = channel_statistics(images)
    spec = EncoderSpec(stem=choose_stem(stem, size), image_size=size, mean=mean, std=std)
    encoder = build_encoder(weights, spec, seed=seed)
    for name, asked, own in (
        ("image_size", image_size, encoder.spec.image_size),
        ("stem", None if stem == "auto" else stem, encoder.spec.stem),
    ):
        if asked is not None and asked != own:
            raise InvalidValueError(
                f"Expected `{name}` {own}, with which the encoder in {weights} was trained, got "
                f"{asked}: leave it out, or pretrain with it."
            )
    return encoder
