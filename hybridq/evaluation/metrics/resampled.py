"""The figures of `hybridq.evaluation.metrics.scores`, of many draws of the same images at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.ranked import RankedScores, mean_of_defined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.int32]


def shares_by_class(confusion: NDArray[Any]) -> dict[str, Floats]:
    """Sensitivity and specificity of each class against the rest, as `sensitivity_0` and so on.

    Args:
        confusion: `(draws, classes, classes)` numbers of images by class and predicted class, or
            `(draws, classes, 2, 2)` by each label and its prediction.

    Returns:
        `(draws,)` of each; NaN where there is no image to tell it by.
    """
    if confusion.ndim == 4:
        hits, actual = confusion[..., 1, 1], confusion[..., 1, :].sum(axis=-1)
        found, total = confusion[..., 1].sum(axis=-1), confusion.sum(axis=(-2, -1))
    else:
        hits, actual = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1)
        found, total = confusion.sum(axis=-2), confusion.sum(axis=(-2, -1))[:, None]
    rest = total - actual
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = {
            "sensitivity": hits / actual,
            "specificity": np.where(rest > 0, 1 - (found - hits) / rest, np.nan),
        }
    return {f"{name}_{k}": by[:, k] for name, by in shares.items() for k in range(by.shape[1])}


class Grouped:
    """Sums over groups of entries, each of which stands for an image.

    Args:
        groups: `(entries,)` group of each.
        number: of groups.
        images: `(entries,)` image of each.
        weights: `(entries,)` what an entry adds each time its image is drawn; 1 if None.
    """

    def __init__(
        self, groups: Ints, number: int, images: Ints, weights: Floats | None = None
    ) -> None:
        order = np.argsort(groups, kind="stable")
        self._present, self._starts = np.unique(groups[order], return_index=True)
        self._images = images[order]
        self._weights = None if weights is None else weights[order]
        self._number = number

    def sums(self, counts: Counts) -> Floats:
        """`(resamples, groups)` sums of draws given as `(resamples, images)`."""
        drawn = np.take(counts, self._images, axis=1)
        weighed = drawn if self._weights is None else drawn * self._weights
        sums = np.zeros((len(counts), self._number))
        sums[:, self._present] = np.add.reduceat(weighed, self._starts, axis=1)
        return sums


class CountedFigures:
    """Every figure of a task, of draws given by how often each image is in them.

    What orders or compares images is done once; the figures are those of `all_metrics` on the
    images drawn, but for rounding.

    Args:
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1 for several labels.
        probs: `(images, classes)`.
        predicted: of the shape of `labels`.
        positive: index of the positive class of two, or None.
        num_bins: of the calibration error.
        by_class: whether sensitivity and specificity of each class are among the figures.
    """

    def __init__(
        self,
        labels: Ints,
        probs: Floats,
        predicted: Ints,
        *,
        positive: int | None,
        num_bins: int,
        by_class: bool = False,
    ) -> None:
        self._by_class = by_class
        count, classes = probs.shape
        self._several = labels.ndim == 2
        self._positive = positive
        hot = labels == 1 if self._several else labels[:, None] == np.arange(classes)
        ranked = [1] if classes == 2 and not self._several else range(classes)
        self._ranked = [RankedScores(hot[:, k], probs[:, k]) for k in ranked]
        images = np.arange(count)
        if self._several:
            images = np.repeat(images, classes)
            cells = (4 * np.arange(classes) + 2 * labels + predicted).ravel()
            confidence = np.maximum(probs, 1 - probs).ravel()
            right = ((probs >= 0.5) == hot).ravel()
            self._shape: tuple[int, ...] = (classes, 2, 2)
        else:
            cells = labels * classes + predicted
            confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
            self._shape = (classes, classes)
        self._confusion = Grouped(cells, int(np.prod(self._shape)), images)
        bins = np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
        self._gaps = Grouped(bins, num_bins, images, confidence - right)
        self._entries = len(images)

    def __call__(self, counts: Counts) -> dict[str, Floats]:
        """`(resamples,)` values of each figure.

        Args:
            counts: `(resamples, images)`; each row sums to the number of images.
        """
        confusion = self._confusion.sums(counts).reshape(len(counts), *self._shape)
        hits = np.diagonal(confusion, axis1=-2, axis2=-1)
        actual, found = confusion.sum(axis=-1), confusion.sum(axis=-2)
        with np.errstate(invalid="ignore"):
            recall, f1 = hits / actual, 2 * hits / (actual + found)
        balanced = mean_of_defined(recall)
        figures = {
            "auc": mean_of_defined(np.stack([one.aucs(counts) for one in self._ranked], axis=1)),
            "accuracy": hits.reshape(len(counts), -1).sum(axis=1) / self._entries,
            "balanced_accuracy": balanced.mean(axis=1) if self._several else balanced,
            "macro_f1": mean_of_defined(f1[..., 1] if self._several else f1),
        }
        if self._positive is not None:
            figures["sensitivity"] = recall[:, self._positive]
            figures["specificity"] = recall[:, 1 - self._positive]
        if self._by_class:
            figures.update(shares_by_class(confusion))
        figures["calibration_error"] = np.abs(self._gaps.sums(counts)).sum(axis=1) / self._entries
        return figures
