"""AUCs of many draws of the same images, from one sort of their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK = 2**17
"""Counts that are worked on at once: they stay in the cache of a processor."""


def blocks(resamples: int, images: int) -> list[tuple[int, int]]:
    """First and last resample of parts of at most `BLOCK` counts, at least one resample each."""
    rows = max(1, BLOCK // max(1, images))
    return [(start, min(start + rows, resamples)) for start in range(0, resamples, rows)]


class RankedScores:
    """Scores sorted once, for the AUC of any draw of their images.

    With every image counted as often as it was drawn, the pairs of a positive and a negative image
    are all pairs with a positive image less those of two positive ones, of which there are half
    their number squared, ties counted half.

    Args:
        positive: `(images,)`.
        scores: `(images,)`.
    """

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        new = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
        starts = np.flatnonzero(new)
        ends = np.append(starts[1:], len(ordered))
        places = np.flatnonzero(positive[self._order])
        tie = (np.cumsum(new) - 1)[places]
        self._images = self._order[places]
        self._below, self._upto = starts[tie], ends[tie]

    def aucs(self, counts: NDArray[Any]) -> Floats:
        """`(resamples,)` AUCs, NaN without an image of either kind.

        Args:
            counts: `(resamples, images)` times that each image was drawn, or weights.
        """
        exact = np.int64 if counts.dtype.kind in "iu" else np.float64
        total = np.zeros((len(counts), counts.shape[1] + 1), dtype=counts.dtype)
        np.cumsum(np.take(counts, self._order, axis=1), axis=1, out=total[:, 1:])
        ups = np.take(counts, self._images, axis=1)
        twice_below = np.take(total, self._below, axis=1) + np.take(total, self._upto, axis=1)
        number = ups.sum(axis=1, dtype=exact)
        rest = total[:, -1] - number
        twice = np.multiply(ups, twice_below, dtype=exact).sum(axis=1) - number**2
        with np.errstate(invalid="ignore", divide="ignore"):
            aucs: Floats = np.where((number > 0) & (rest > 0), twice / 2 / (number * rest), np.nan)
        return aucs


def mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(defined, values, 0.0).sum(axis=-1) / defined.sum(axis=-1)
    return mean
