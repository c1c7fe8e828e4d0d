"""Figures with intervals of one model on some images, as `result.json` holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageData
from hybridq.evaluation.metrics.reported import ReportedMetrics, apart_from_shares
from hybridq.evaluation.metrics.scores import apart_by_class
from hybridq.evaluation.statistics import stratified_bootstrap
from hybridq.utils.files import without_nan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """A function of probabilities that computes their figures.

    Attributes:
        data: Task, classes and positive class.
        resamples: Bootstrap resamples behind each interval.
        seed: The seed of the bootstrap.
        at_specificity: Specificity at which the sensitivity is told, too.
        prevalence: Share of the positive class for which predictive values are told, too.
    """

    data: ImageData
    resamples: int
    seed: int
    at_specificity: float | None = None
    prevalence: float | None = None

    def metrics(self, threshold: float) -> ReportedMetrics:
        """Make the function that computes the figures at a threshold."""
        return ReportedMetrics(
            multilabel=self.data.task == "multilabel",
            positive=self.data.positive,
            threshold=threshold,
            num_classes=self.data.num_classes,
            by_class=self.data.positive is None,
            at_specificity=self.at_specificity,
            prevalence=self.prevalence,
        )

    def __call__(self, labels: Ints, probs: Floats, threshold: float) -> dict[str, Any]:
        """Compute `threshold`, `figures`, and `by_class` and `calibration` where there are any.

        What is undefined is None.

        Args:
            labels: `(count,)` classes, or `(count, num_classes)` of 0 and 1.
            probs: `(count, num_classes)`.
            threshold: What the positive class's probability, or each label's, must reach.
        """
        figures = stratified_bootstrap(
            self.metrics(threshold), labels, probs, resamples=self.resamples, seed=self.seed
        )
        row = {"threshold": threshold, **apart_by_class(figures, self.data.class_names)}
        found: dict[str, Any] = without_nan(apart_from_shares(row))
        return found
