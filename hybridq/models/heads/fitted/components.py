"""Principal components of standardised features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridq.models.searched_regression import mean_and_scale

Floats = NDArray[np.float64]


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
    left, values, rows = np.linalg.svd((inputs - mean) / scale, full_matrices=False)
    kept = min(count, int((values > 1e-9 * values[0]).sum())) if values[0] > 0 else 0
    signs = np.where(rows[:kept].sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    axes = np.zeros((count, inputs.shape[1]))
    axes[:kept] = signs * rows[:kept] / scale
    if whiten:
        axes[:kept] /= values[:kept, None] / np.sqrt(len(inputs))
    elif kept:
        axes /= np.abs(left[:, :kept] * values[:kept]).max()
    return mean, axes
