"""Pictures of an evaluation: ROC, reliability and confusion matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.scores import (
    CALIBRATION_BINS,
    binary_auc,
    confidence_bins,
    predict_labels,
)
from hybridq.utils.files import atomic_path
from hybridq.utils.finite import check_finite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLUE = "#2a6f97"


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def save(figure: Figure, name: str) -> None:
        FigureCanvasAgg(figure)
        with atomic_path(folder / name) as temporary:
            figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")

    save(_roc(Figure(figsize=(4.5, 4.5)), labels, probs, class_names, positive), "roc.png")
    save(_reliability(Figure(figsize=(4.5, 4.5)), labels, probs), "reliability.png")
    if labels.ndim == 1:
        predicted = predict_labels(probs, multilabel=False, positive=positive, threshold=threshold)
        size = 2.5 + 0.5 * len(class_names)
        figure = Figure(figsize=(size, size))
        save(_confusion(figure, labels, predicted, class_names), "confusion.png")


def _roc(
    figure: Figure,
    labels: Ints,
    probs: Floats,
    class_names: tuple[str, ...],
    positive: int | None,
) -> Figure:
    axes = figure.subplots()
    shown = range(len(class_names)) if positive is None else [positive]
    for k in shown:
        actual = labels[:, k] == 1 if labels.ndim == 2 else labels == k
        if not actual.any() or actual.all():
            continue
        order = np.argsort(-probs[:, k], kind="stable")
        ends = np.append(np.flatnonzero(np.diff(-probs[order, k])), len(order) - 1)
        hits = np.cumsum(actual[order])[ends] / actual.sum()
        false = np.cumsum(~actual[order])[ends] / (~actual).sum()
        name = f"{class_names[k]} (AUC {binary_auc(actual, probs[:, k]):.3f})"
        axes.plot(np.append(0, false), np.append(0, hits), label=name)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_aspect("equal")
    if axes.get_legend_handles_labels()[0]:  # none where a class is missing
        axes.legend(loc="lower right", fontsize=8)
    axes.set_title("ROC")
    return figure


def _reliability(figure: Figure, labels: Ints, probs: Floats) -> Figure:
    if labels.ndim == 2:
        confidence = np.maximum(probs, 1 - probs).ravel()
        right = ((probs >= 0.5) == (labels == 1)).ravel()
    else:
        confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = confidence_bins(confidence, CALIBRATION_BINS)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    kept = count > 0
    hit = np.bincount(bins, weights=right, minlength=CALIBRATION_BINS)[kept] / count[kept]
    axes = figure.subplots()
    axes.bar(
        edges[:-1][kept],
        hit,
        width=1 / CALIBRATION_BINS,
        align="edge",
        color=BLUE,
        edgecolor="white",
        label="share of right predictions",
    )
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    axes.plot(
        edges[:-1][kept] + 0.5 / CALIBRATION_BINS,
        count[kept] / count.sum(),
        "o",
        color="#e07a5f",
        markersize=4,
        label="share of the images",
    )
    axes.set(xlabel="confidence", ylabel="share", xlim=(0, 1), ylim=(0, 1.01))
    axes.set_aspect("equal")
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title("Reliability")
    return figure


def _confusion(
    figure: Figure, labels: Ints, predicted: Ints, class_names: tuple[str, ...]
) -> Figure:
    count = len(class_names)
    matrix = np.zeros((count, count), dtype=np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(count):
        for column in range(count):
            axes.text(
                column,
                row,
                str(matrix[row, column]),
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else "black",
                fontsize=8,
            )
    axes.set_xticks(range(count), class_names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(count), class_names, fontsize=8)
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_title("Confusion")
    return figure
