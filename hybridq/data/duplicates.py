"""Images of one split that are nearly those of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import ImageSplit

CORRELATION = 0.994
"""From here on two images count as one; of BreastMNIST at 28 px that marks 28 test images."""

_ROWS = 256


def near_duplicates(
    images: ImageSplit, others: ImageSplit, *, correlation: float = CORRELATION
) -> NDArray[np.bool_]:
    """Which images have a near-duplicate among others: `(len(images),)` booleans.

    Near are two images whose pixels, brightness and contrast put aside, correlate by at least
    `correlation` (Pearson). A shift, a turn or a crop is not found.

    Args:
        images: those asked about.
        others: of the same height, width and channels.
        correlation: the threshold, up to 1.
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
    """Pixels of mean 0 and length 1; an image of one grey stays 0, and near to nothing."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(length > 0, length, np.float32(1))
    return flat
