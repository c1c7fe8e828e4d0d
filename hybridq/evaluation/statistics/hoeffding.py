"""What a difference without any spread says: Hoeffding's inequality.

Hoeffding, J. Am. Stat. Assoc. 58:13 (1963): a mean of `units` independent differences, each within
-1 and 1, lies `gap` or more above its expectation with a chance of at most
`exp(-units * gap ** 2 / 2)`. It asks nothing of the spread, and is wide. By its section 5 it holds
for a difference of AUCs with as many units as disjoint pairs of images, one of each class.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def auc_units(labels: Ints) -> int:
    """Images of the rarest class, or of its rest: with several classes the worst of them.

    Args:
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1.
    """
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels)
    counts = counts[counts > 0]
    return int(np.minimum(counts, len(labels) - counts).min())


def largest_chance(gap: float, units: int) -> float:
    """Bound on the chance of a mean difference `gap` or more above its expectation."""
    return math.exp(-units * max(0.0, gap) ** 2 / 2)


def half_width(level: float, units: int) -> float:
    """Compute that of a mean difference's interval that holds with a chance of `level` or more."""
    return math.sqrt(2 * math.log(2 / (1 - level)) / units)
