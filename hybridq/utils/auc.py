"""The area under the ROC curve, from labels and probabilities as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def binary_auc(positive: NDArray[np.bool_], scores: Floats) -> float:
    """Compute the area under the ROC curve by ranks (Mann-Whitney U); NaN if undefined."""
    count = int(positive.sum())
    rest = len(positive) - count
    if count == 0 or rest == 0:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * rest))


def auc(labels: Ints, probs: Floats) -> float:
    """Compute the AUC of the second of two classes, or the mean of each class against the rest.

    A class without images, or with all of them, has no AUC and is left out of the mean.

    Args:
        labels: `(count,)` classes, or `(count, num_classes)` of 0 and 1 for several labels.
        probs: `(count, num_classes)`.

    Returns:
        The AUC, from 0 to 1; NaN where no class has one.
    """
    columns = range(probs.shape[1])
    if labels.ndim == 2:
        values = [binary_auc(labels[:, k] == 1, probs[:, k]) for k in columns]
    elif probs.shape[1] == 2:
        return binary_auc(labels == 1, probs[:, 1])
    else:
        values = [binary_auc(labels == k, probs[:, k]) for k in columns]
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
