"""Arrays and tensors of images in the form in which images are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.sources.images import picture_pixels
from hybridq.errors import InvalidValueError
from hybridq.utils.text import listed


def pixels_of(images: Any) -> NDArray[np.uint8]:
    """Turn a batch of images into the form in which images are kept.

    Args:
        images: An array or a tensor of shape `(count, height, width)`,
            `(count, height, width, channels)` or `(count, channels, height, width)` with 1 or 3
            channels, or a sequence of images of one size, which may be pictures of Pillow. Values
            are uint8, or floating-point numbers from 0 to 1. A picture of Pillow alone is one
            image.

    Returns:
        `(count, height, width, channels)`, uint8.

    Raises:
        InvalidValueError: If they are anything else.
    """
    check_no_loader(images)
    if is_picture(images):
        images = [images]
    is_tensor = hasattr(images, "detach")
    if isinstance(images, Sequence) and not isinstance(images, str | bytes):
        is_tensor = any(hasattr(image, "detach") for image in images)
        parts = [plain(image) for image in images]
        shapes = {part.shape for part in parts}
        if len(shapes) != 1:
            got = f"the shapes {listed(sorted(map(str, shapes))[:3])}" if shapes else "no image"
            raise InvalidValueError(f"Expected images of one size, got {got}: resize them first.")
        array = np.stack(parts)
    else:
        array = plain(images)
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3)):
            raise InvalidValueError(
                f"Expected a batch of images, got the shape {array.shape} of one: give image[None]."
            )
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise InvalidValueError(
            f"Expected images as an array, a tensor or a list, got a {type(images).__name__} of "
            f"{array.dtype}: give one of these."
        )
    if array.ndim == 3:
        array = array[..., None]
    if 0 in array.shape:
        raise InvalidValueError(
            f"Expected at least one image, got none in the shape {array.shape}: give images."
        )
    if array.ndim != 4:
        raise InvalidValueError(
            "Expected images of shape (count, height, width), (count, height, width, channels) or "
            f"(count, channels, height, width), got {array.shape}: stack them in one array."
        )
    is_first, is_last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
    if is_first and (is_tensor or not is_last):
        array = np.moveaxis(array, 1, 3)
    elif not is_last:
        raise InvalidValueError(
            f"Expected images of 1 or 3 channels, got the shape {array.shape}: give grey or "
            "colour images."
        )
    return np.ascontiguousarray(_bytes(array))


def is_picture(value: Any) -> bool:
    """Whether it is a picture of Pillow."""
    return hasattr(value, "getbands")


def check_no_loader(value: Any) -> None:
    """Refuse a loader of batches where images or a dataset are wanted.

    Raises:
        InvalidValueError: If it is a `torch.utils.data.DataLoader`.
    """
    if hasattr(value, "dataset") and hasattr(value, "batch_sampler"):
        raise InvalidValueError(
            f"Expected images or a dataset of them, got a {type(value).__name__}: give its "
            "dataset, loader.dataset."
        )


def plain(values: Any) -> NDArray[Any]:
    """Make an array of what may be a tensor, on any device, or a picture of Pillow."""
    if is_picture(values):
        return picture_pixels(values)
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    got = str(array.dtype)
    if array.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(array).all(axis=(1, 2, 3)))
        if len(wrong):
            raise InvalidValueError(
                f"Expected finite pixels, got NaN or infinite ones in {len(wrong)} of {len(array)} "
                f"images, the first is images[{wrong[0]}]: mend or leave them out."
            )
        low, high = float(array.min()), float(array.max())
        if low >= 0 and high <= 1:
            scaled: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
            return scaled
        got = f"{got} from {low:.4g} to {high:.4g}"
    raise InvalidValueError(
        f"Expected images of uint8, or of floating-point numbers from 0 to 1, got {got}: scale "
        "them to 0..255 and store them as uint8."
    )
