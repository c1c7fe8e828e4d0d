"""What all heads that are fitted in closed form begin with: labels, and principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from hybridq.errors import InvalidValueError
from hybridq.models.searched_regression import drawn_by_class, mean_and_scale

Floats = NDArray[np.float64]

SEARCHED = 600
"""About how many rows settings are searched with at most."""
FEWEST = 10
"""Rows of each class among these, where there are as many."""
SMALLEST = 1e-12
"""Share of the largest variance, or of that of a standardised feature, below which a direction is
none."""


def check_one_label(labels: NDArray[np.int64], name: str) -> None:
    """Refuse labels that are several for each image.

    Args:
        labels: `(images,)`, or `(images, classes)` where there are several.
        name: The name of the head.

    Raises:
        InvalidValueError: If they are.
    """
    if labels.ndim > 1:
        raise InvalidValueError(
            f"Expected one label for each image with head {name!r}, got several: take another head."
        )


def searched_rows(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """Draw the rows on which settings are searched: about `SEARCHED`, and `FEWEST` of each class.

    Args:
        labels: `(rows,)`.
    """
    return drawn_by_class(labels, SEARCHED, FEWEST, np.random.default_rng(0))


def principal_components(
    inputs: Floats, count: int, *, whiten: bool = True
) -> tuple[Floats, Floats]:
    """Compute the first principal components of standardised inputs.

    Where inputs have fewer directions than that, the rest is 0 for all rows.

    Args:
        inputs: `(rows, in_features)`.
        count: How many.
        whiten: Whether each is brought to variance 1; else they are divided by the largest
            magnitude of all, so that they lie in [-1, 1] and keep their proportions.

    Returns:
        The mean of the inputs `(in_features,)`, and the axes `(count, in_features)`.
    """
    mean, scale = mean_and_scale(inputs)
    points = (inputs - mean) / scale
    rows = _directions(points, count)
    rows *= np.where(rows.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    components = points @ rows.T
    axes = np.zeros((count, inputs.shape[1]))
    axes[: len(rows)] = rows / scale
    if whiten:
        axes[: len(rows)] /= components.std(axis=0)[:, None]
    elif len(rows):
        axes /= np.abs(components).max()
    return mean, axes


def _directions(points: Floats, count: int) -> Floats:
    """Compute the first directions of centred points, as unit rows, fewer where there are fewer.

    They are eigenvectors of the smaller of the two Gram matrices, of which only these are computed.
    """
    is_wide = points.shape[0] < points.shape[1]
    gram = points @ points.T if is_wide else points.T @ points
    size = len(gram)
    values, vectors = eigh(gram, subset_by_index=[max(0, size - count), size - 1])
    kept = values[::-1] > SMALLEST * max(values[-1], float(len(points)))
    found: Floats = vectors[:, ::-1][:, kept].T
    if is_wide:
        found = (found @ points) / np.sqrt(values[::-1][kept])[:, None]
    return found
