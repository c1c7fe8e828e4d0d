"""Prepare stored images for an encoder: scale, resize, three channels, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.errors import InvalidValueError

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]

PIXELS = 2**20
"""The number of values that are counted at a time."""

BLOCK = 256
"""The number of images that are resized at a time."""


def prepare_images(
    images: NDArray[np.uint8] | Tensor,
    *,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    crop_pct: float = 1.0,
) -> Tensor:
    """Turn a batch of stored images into the input of an encoder.

    Grey images are repeated to three channels, values are scaled to [0, 1], the image is resized
    as a whole (bilinear, antialiased when it shrinks; small images are upsampled, never padded),
    its centre is cut out, and each channel is normalised.

    Args:
        images: `(batch, height, width, channels)`, uint8, 1 or 3 channels.
        image_size: Side of the result in pixels.
        mean: Mean of the channels red, green, blue, on the scale [0, 1].
        std: Standard deviation of the same channels, above 0.
        crop_pct: Share of height and width that is kept, above 0 and at most 1: the image is
            resized to `image_size / crop_pct` and cut. 1 keeps all of it.

    Returns:
        `(batch, 3, image_size, image_size)`, float32, on the device of `images`.

    Raises:
        InvalidValueError: If an argument has another shape or type.
    """
    if isinstance(images, np.ndarray) and not images.flags.writeable:
        images = images.copy()  # torch warns of memory that must not be written to
    batch = torch.as_tensor(images)
    _check_images(tuple(batch.shape), batch.dtype == torch.uint8, batch.dtype)
    if image_size < 1:
        raise InvalidValueError(
            f"Expected `image_size` of at least 1 pixel, got {image_size}: choose another."
        )
    if not 0 < crop_pct <= 1:
        raise InvalidValueError(
            f"Expected `crop_pct` above 0 and at most 1, got {crop_pct}: 1 keeps the whole image."
        )
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise InvalidValueError(
            f"Expected 3 means and 3 standard deviations above 0, got {tuple(mean)} and "
            f"{tuple(std)}: take those of `channel_statistics`."
        )
    pixels = batch.permute(0, 3, 1, 2).to(torch.float32) / 255
    whole = round(image_size / crop_pct)
    if pixels.shape[-2:] != (whole, whole):
        pixels = torch.nn.functional.interpolate(
            pixels,
            size=(whole, whole),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
    edge = round((whole - image_size) / 2)
    pixels = pixels[..., edge : edge + image_size, edge : edge + image_size]
    centre = torch.tensor(list(mean), dtype=torch.float32, device=pixels.device).view(1, 3, 1, 1)
    scale = torch.tensor(list(std), dtype=torch.float32, device=pixels.device).view(1, 3, 1, 1)
    return (pixels - centre) / scale  # one grey channel is repeated by broadcasting


def resize_images(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize images `(count, height, width, channels)`, uint8, to `side` by `side` pixels.

    Each is resized as a whole, bilinearly, antialiased when it shrinks.
    """
    _check_images(images.shape, images.dtype == np.uint8, images.dtype)
    if images.shape[1:3] == (side, side):
        return images
    resized = np.empty((len(images), side, side, images.shape[3]), np.uint8)
    for start in range(0, len(images), BLOCK):
        block = torch.tensor(images[start : start + BLOCK]).permute(0, 3, 1, 2)
        block = torch.nn.functional.interpolate(
            block.float(), size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        resized[start : start + BLOCK] = block.round().clamp(0, 255).permute(0, 2, 3, 1).numpy()
    return resized


def channel_statistics(images: NDArray[np.uint8]) -> Statistics:
    """Compute mean and standard deviation of each channel over all pixels, on the scale [0, 1].

    They are exact, from the histogram of each channel. Take them from the train split.

    Args:
        images: `(count, height, width, channels)`, uint8, 1 or 3 channels.

    Returns:
        The means and the standard deviations of red, green and blue; those of a grey image three
        times. A standard deviation is at least 1/255, so that a flat channel can be normalised.

    Raises:
        InvalidValueError: If the images have another shape or type, or there are none.
    """
    _check_images(images.shape, images.dtype == np.uint8, images.dtype)
    if not images.size:
        raise InvalidValueError("Expected at least one image, got none: load the train split.")
    levels = np.arange(256) / 255
    means: list[float] = []
    stds: list[float] = []
    for histogram in _histograms(images):
        share = histogram / histogram.sum()
        centre = min(float(share @ levels), 1.0)  # the shares add to 1 but for rounding
        means.append(centre)
        stds.append(max(float(np.sqrt(share @ (levels - centre) ** 2)), 1 / 255))
    red, green, blue = (0, 0, 0) if len(means) == 1 else (0, 1, 2)
    return (means[red], means[green], means[blue]), (stds[red], stds[green], stds[blue])


def _histograms(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Count how often each value occurs in each channel, `(channels, 256)`.

    NumPy counts on copies of 8 bytes for each value. Only `PIXELS` values are counted at a time, so
    that the copies stay small.
    """
    channels = images.shape[-1]
    histograms = np.zeros((channels, 256))
    together = max(1, PIXELS // int(np.prod(images.shape[1:3])))
    for first in range(0, len(images), together):
        pixels = images[first : first + together].reshape(-1, channels)
        for start in range(0, len(pixels), PIXELS):
            for channel, histogram in enumerate(histograms):
                part = pixels[start : start + PIXELS, channel]
                histogram += np.bincount(part, minlength=256)
    return histograms


def _check_images(shape: tuple[int, ...], is_uint8: bool, dtype: Any) -> None:
    if len(shape) != 4 or shape[-1] not in (1, 3) or not is_uint8:
        raise InvalidValueError(
            f"Expected uint8 images of shape (batch, height, width, 1 or 3), got {dtype} of "
            f"{shape}: pass the images of an ImageSplit."
        )
