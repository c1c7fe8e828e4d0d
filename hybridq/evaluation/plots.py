"""Pictures of an evaluation: ROC, reliability and confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics import curves
from hybridq.evaluation.metrics.scores import CALIBRATION_BINS, binary_auc, predict_labels
from hybridq.plotting import Line, confusion, legend_below, reliability, roc, save_png
from hybridq.utils.finite import check_finite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def save_figures(
    folder: Path,
    labels: Ints,
    probs: Floats,
    class_names: tuple[str, ...],
    threshold: float,
    positive: int | None,
) -> None:
    """Write `roc.png`, `reliability.png` and, unless a label is several, `confusion.png`.

    Args:
        folder: where they go.
        labels: `(count,)` classes, or `(count, num_classes)` of 0 and 1.
        probs: `(count, num_classes)`.
        class_names: names of the classes.
        threshold: on the positive class's probability.
        positive: the positive class of two, or None.

    Raises:
        NotFiniteError: if a probability is NaN or infinite; nothing is written then.
    """
    check_finite("probabilities", probs)

    def draw_roc(figure: Figure) -> None:
        roc(figure.subplots(), list(_roc_lines(labels, probs, class_names, positive)))
        legend_below(figure)

    def draw_confusion(figure: Figure) -> None:
        predicted = predict_labels(probs, multilabel=False, positive=positive, threshold=threshold)
        matrix = np.zeros((len(class_names),) * 2)
        np.add.at(matrix, (labels, predicted), 1)
        confusion(figure.subplots(), matrix, class_names)

    save_png(folder / "roc.png", draw_roc, height=3.9 + 0.2 * len(class_names))
    save_png(folder / "reliability.png", lambda figure: _draw_reliability(figure, labels, probs))
    if labels.ndim == 1:
        side = max(3.2, 0.42 * len(class_names) + 1.4)
        save_png(folder / "confusion.png", draw_confusion, width=side, height=side)


def _roc_lines(
    labels: Ints, probs: Floats, class_names: tuple[str, ...], positive: int | None
) -> Iterator[Line]:
    """A curve through every threshold for each decision that has images of both kinds."""
    for k in range(len(class_names)) if positive is None else [positive]:
        actual = labels[:, k] == 1 if labels.ndim == 2 else labels == k
        if not actual.any() or actual.all():
            continue
        order = np.argsort(-probs[:, k], kind="stable")
        ends = np.append(np.flatnonzero(np.diff(-probs[order, k])), len(order) - 1)
        hits = np.cumsum(actual[order])[ends] / actual.sum()
        false = np.cumsum(~actual[order])[ends] / (~actual).sum()
        name = f"{class_names[k]} (AUC {binary_auc(actual, probs[:, k]):.3f})"
        yield Line(name, np.append(0, false), np.append(0, hits))


def _draw_reliability(figure: Figure, labels: Ints, probs: Floats) -> None:
    """Whether the likeliest class is right as often as it is said to be."""
    if labels.ndim == 2:
        confidence = np.maximum(probs, 1 - probs).ravel()
        right = ((probs >= 0.5) == (labels == 1)).ravel()
    else:
        confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    found = curves.reliability(right, confidence[None], num_bins=CALIBRATION_BINS)
    line = Line("right predictions", found.predicted, found.observed, found.low, found.high)
    words = {"xlabel": "confidence in the likeliest class", "ylabel": "share of right predictions"}
    reliability(figure, [line], [found.images], bins=CALIBRATION_BINS, **words)
