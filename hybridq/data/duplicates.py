"""Find images of one split that are nearly the same as images of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import ImageSplit

CORRELATION = 0.994
"""The correlation from which two images count as the same (28 test images of BreastMNIST)."""

_ROWS = 256


def near_duplicates(
    images: ImageSplit, others: ImageSplit, *, correlation: float = CORRELATION
) -> NDArray[np.bool_]:
    """Mark the images that have a near-duplicate among others: `(len(images),)` booleans.

    Two images are near-duplicates if their pixels correlate by at least `correlation` (Pearson),
    which ignores brightness and contrast. A shift, a rotation or a crop is not found.

    Args:
        images: The images to be marked.
        others: Images of the same height, width and channels.
        correlation: The threshold, up to 1.
    """
    if images.images.shape[1:] != others.images.shape[1:]:
        return np.zeros(len(images), dtype=bool)
    wanted, known = _standardised(images.images), _standardised(others.images)
    nearest = [
        (wanted[start : start + _ROWS] @ known.T).max(axis=1)
        for start in range(0, len(wanted), _ROWS)
    ]
    found: NDArray[np.bool_] = np.concatenate(nearest) >= correlation - 1e-6
    return found


def _standardised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale the pixels of each image to mean 0 and length 1; an image of one grey becomes 0."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(length > 0, length, np.float32(1))
    return flat
