"""Figures of merit from labels and probabilities, as arrays and nothing else.

AUC and accuracy follow MedMNIST's evaluator (Yang et al. 2023): for several classes, AUC is the
unweighted mean of one against the rest. Sensitivity and specificity speak of the positive class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.resampled import CountedFigures
from hybridq.models.decision import choose_threshold as choose_threshold
from hybridq.models.decision import predict_labels as predict_labels
from hybridq.utils.auc import auc as auc
from hybridq.utils.auc import binary_auc as binary_auc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CALIBRATION_BINS = 15


def accuracy(labels: Ints, predicted: Ints) -> float:
    """Share of right predictions; of all labels together for several labels."""
    return float((labels == predicted).mean())


def balanced_accuracy(labels: Ints, predicted: Ints) -> float:
    """Mean over the classes (or the two values of each label) of the share found."""
    if labels.ndim == 2:
        columns = range(labels.shape[1])
        return float(np.mean([balanced_accuracy(labels[:, k], predicted[:, k]) for k in columns]))
    present = np.unique(labels)
    return float(np.mean([(predicted[labels == k] == k).mean() for k in present]))


def macro_f1(labels: Ints, predicted: Ints, num_classes: int) -> float:
    """Unweighted mean of the F1 of each class; 0 for a class without a hit."""
    if labels.ndim == 2:
        pairs = [(labels[:, k] == 1, predicted[:, k] == 1) for k in range(labels.shape[1])]
    else:
        pairs = [(labels == k, predicted == k) for k in range(num_classes)]
    values = []
    for actual, found in pairs:
        total = int(actual.sum() + found.sum())
        if total:
            values.append(2 * int((actual & found).sum()) / total)
    return float(np.mean(values)) if values else float("nan")


def true_margins(labels: Ints, probs: Floats) -> Floats:
    """Probability of the true class less the largest other one, of each image, from -1 to 1.

    With several labels for an image it is `(2 y - 1)(2 p - 1)` of each label.
    """
    if labels.ndim == 2:
        margins: Floats = ((2 * labels - 1) * (2 * probs - 1)).ravel()
        return margins
    rows = np.arange(len(labels))
    others = probs.copy()
    others[rows, labels] = -np.inf
    return np.asarray(probs[rows, labels] - others.max(axis=1), dtype=np.float64)


def expected_calibration_error(
    labels: Ints, probs: Floats, num_bins: int = CALIBRATION_BINS
) -> float:
    """Gap between confidence and accuracy, averaged over bins of equal width.

    Guo et al., arXiv:1706.04599, equation 3; with several labels every label is a binary
    prediction of its own.
    """
    if labels.ndim == 2:
        confidence = np.maximum(probs, 1 - probs).ravel()
        right = ((probs >= 0.5) == (labels == 1)).ravel()
    else:
        confidence = probs.max(axis=1)
        right = probs.argmax(axis=1) == labels
    bins = confidence_bins(confidence, num_bins)
    gap = np.bincount(bins, weights=confidence - right, minlength=num_bins)
    return float(np.abs(gap).sum() / len(confidence))


def confidence_bins(confidence: Floats, num_bins: int) -> Ints:
    """Index of each confidence's bin of equal width, open below, from 0 to `num_bins - 1`.

    Whatever is given lies in one of them, NaN in the first: `np.bincount` of another index would
    write outside its memory.
    """
    upper = np.nan_to_num(np.ceil(confidence * num_bins), nan=1.0)
    return np.asarray(np.clip(upper, 1, num_bins).astype(np.int64) - 1)


@dataclass(frozen=True)
class AllMetrics:
    """A function of labels and probabilities that computes every figure of the task at hand.

    Attributes:
        multilabel: whether an image can have several labels.
        positive: index of the positive class of two, or None.
        threshold: on the positive class's probability, or on those of several labels.
        num_classes: number of classes.
        by_class: whether sensitivity and specificity of each class against the rest are among
            the figures, as `sensitivity_0` and so on.
    """

    multilabel: bool
    positive: int | None
    threshold: float
    num_classes: int
    by_class: bool = False

    def __call__(self, labels: Ints, probs: Floats) -> dict[str, float]:
        """The figures of these images."""
        predicted = self.predicted(probs)
        figures = {
            "auc": auc(labels, probs),
            "accuracy": accuracy(labels, predicted),
            "balanced_accuracy": balanced_accuracy(labels, predicted),
            "macro_f1": macro_f1(labels, predicted, self.num_classes),
        }
        if self.positive is not None:
            actual = labels == self.positive
            found = predicted == self.positive
            figures["sensitivity"] = _share(found[actual])
            figures["specificity"] = _share(~found[~actual])
        if self.by_class:
            figures.update(self._shares(labels, predicted))
        figures["calibration_error"] = expected_calibration_error(labels, probs)
        return figures

    def _shares(self, labels: Ints, predicted: Ints) -> dict[str, float]:
        """Sensitivity and specificity of each class."""
        sensitivities, specificities = {}, {}
        for k in range(self.num_classes):
            actual = labels[:, k] == 1 if self.multilabel else labels == k
            found = predicted[:, k] == 1 if self.multilabel else predicted == k
            sensitivities[f"sensitivity_{k}"] = _share(found[actual])
            specificities[f"specificity_{k}"] = _share(~found[~actual])
        return sensitivities | specificities

    def counted(self, labels: Ints, probs: Floats) -> CountedFigures:
        """The same figures of draws of these images, which are sorted once for all draws."""
        return CountedFigures(
            labels,
            probs,
            self.predicted(probs),
            positive=self.positive,
            num_bins=CALIBRATION_BINS,
            by_class=self.by_class,
        )

    def predicted(self, probs: Floats) -> Ints:
        """The classes, or labels of 0 and 1, that the probabilities say."""
        return predict_labels(
            probs, multilabel=self.multilabel, positive=self.positive, threshold=self.threshold
        )


def all_metrics(
    *,
    multilabel: bool,
    positive: int | None,
    threshold: float,
    num_classes: int,
    by_class: bool = False,
) -> AllMetrics:
    """Every figure of the task at hand, for `stratified_bootstrap` and for one set of images."""
    return AllMetrics(multilabel, positive, threshold, num_classes, by_class)


def apart_by_class(
    figures: Mapping[str, Mapping[str, float]], class_names: Sequence[str]
) -> dict[str, Any]:
    """Take the figures of each class out of those of all.

    Args:
        figures: The figures by name, as of `stratified_bootstrap` with `all_metrics`.
        class_names: A name for each class.

    Returns:
        `figures`, and `by_class` where there are any: by the name of the class, sensitivity and
        specificity against the rest.
    """
    by_class: dict[str, dict[str, Any]] = {}
    rest = dict(figures)
    for k, class_name in enumerate(class_names):
        for name in ("sensitivity", "specificity"):
            if f"{name}_{k}" in rest:
                by_class.setdefault(class_name, {})[name] = rest.pop(f"{name}_{k}")
    return {"figures": rest, "by_class": by_class} if by_class else {"figures": rest}


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")
