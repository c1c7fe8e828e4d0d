"""The figures that an evaluation reports: those of the task, calibration and operating points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.calibration import (
    calibration_line,
    predictive_values,
    sensitivity_at,
    squared_errors,
)
from hybridq.evaluation.metrics.resampled import CountedFigures
from hybridq.evaluation.metrics.scores import CALIBRATION_BINS, AllMetrics

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LINE = {"calibration_slope": "slope", "calibration_intercept": "intercept"}
"""Figures that are no shares, and what they are called apart from these."""


@dataclass(frozen=True)
class ReportedMetrics(AllMetrics):
    """A function of labels and probabilities that computes all that an evaluation reports.

    Attributes:
        at_specificity: Specificity at which the sensitivity is told, too.
        prevalence: Share of the positive class for which predictive values are told, too.
    """

    at_specificity: float | None = None
    prevalence: float | None = None

    def __call__(self, labels: Ints, probs: Floats) -> dict[str, float]:
        """The figures of these images."""
        figures = super().__call__(labels, probs)
        more = self.counted(labels, probs).more(np.ones((1, len(labels)), dtype=np.int32), figures)
        return figures | {name: float(values[0]) for name, values in more.items()}

    def counted(self, labels: Ints, probs: Floats) -> ReportedDraws:
        """The same figures of draws of these images."""
        return ReportedDraws(self, labels, probs)


class ReportedDraws(CountedFigures):
    """Every figure that an evaluation reports, of draws given by how often each image is in them.

    Args:
        metrics: The figures.
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1 for several labels.
        probs: `(images, classes)`.
    """

    def __init__(self, metrics: ReportedMetrics, labels: Ints, probs: Floats) -> None:
        super().__init__(
            labels,
            probs,
            metrics.predicted(probs),
            positive=metrics.positive,
            num_bins=CALIBRATION_BINS,
            by_class=metrics.by_class,
        )
        self._metrics = metrics
        self._errors = squared_errors(labels, probs)
        if metrics.positive is not None:
            self._actual, self._scores = labels == metrics.positive, probs[:, metrics.positive]

    def __call__(self, counts: NDArray[np.int32]) -> dict[str, Floats]:
        """`(resamples,)` values of each figure.

        Args:
            counts: `(resamples, images)`; each row sums to the number of images.
        """
        figures = super().__call__(counts)
        return figures | self.more(counts, figures)

    def more(self, counts: NDArray[np.int32], figures: Mapping[str, Any]) -> dict[str, Floats]:
        """What is reported besides the figures of the task, `(resamples,)` each.

        Args:
            counts: `(resamples, images)`.
            figures: The figures of the task.
        """
        found: dict[str, Floats] = {"brier": counts @ self._errors / counts.sum(axis=1)}
        if self._metrics.positive is None:
            return found
        slope, intercept = calibration_line(self._actual, self._scores, counts)
        found |= {"calibration_slope": slope, "calibration_intercept": intercept}
        if (least := self._metrics.at_specificity) is not None:
            found["sensitivity_at_specificity"] = sensitivity_at(
                self._actual, self._scores, counts, least
            )
        if (prevalence := self._metrics.prevalence) is not None:
            found["ppv"], found["npv"] = predictive_values(
                np.atleast_1d(figures["sensitivity"]),
                np.atleast_1d(figures["specificity"]),
                prevalence,
            )
        return found


def apart_from_shares(row: Mapping[str, Any]) -> dict[str, Any]:
    """Take slope and intercept, which are no shares, out of a row's figures into `calibration`."""
    figures = dict(row["figures"])
    line = {called: figures.pop(name) for name, called in LINE.items() if name in figures}
    return {**row, "figures": figures, **({"calibration": line} if line else {})}
