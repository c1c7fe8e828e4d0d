"""Arrays and tensors of images in the form in which images are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import InvalidValueError
from hybridq.utils.text import listed


def pixels_of(images: Any) -> NDArray[np.uint8]:
    """Turn a batch of images into the form in which images are kept.

    Args:
        images: An array or a tensor of shape `(count, height, width)`,
            `(count, height, width, channels)` or `(count, channels, height, width)` with 1 or 3
            channels, or a sequence of images of one size. Values are uint8, or floating-point
            numbers from 0 to 1.

    Returns:
        `(count, height, width, channels)`, uint8.

    Raises:
        InvalidValueError: If they are anything else.
    """
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
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape:
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


def plain(values: Any) -> NDArray[Any]:
    """Make an array of what may be a tensor, on any device, with or without a gradient."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    got = str(array.dtype)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if low >= 0 and high <= 1:  # neither of them is true of NaN
            scaled: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
            return scaled
        got = f"{got} from {low:.4g} to {high:.4g}"
    raise InvalidValueError(
        f"Expected images of uint8, or of floating-point numbers from 0 to 1, got {got}: scale "
        "them to 0..255 and store them as uint8."
    )
