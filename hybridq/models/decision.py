"""Decide classes from probabilities, and choose the threshold that a model decides by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hybridq.config import Config

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_IMAGES = 10
"""The fewest labelled images that a threshold is chosen on."""


class Decision(Config):
    """How a model decides, chosen once on validation and kept with it."""

    threshold: float = Field(0.5, ge=0, le=1)
    """The probability of the positive class, or of each label, from which it is predicted; unused
    for more classes than two."""
    views: Literal["one", "flip", "shift", "zoom"] = "one"
    """Views of an image whose probabilities are averaged before it decides."""
    chosen_on: str | None = None
    """The images that the threshold was chosen on; None where it is 0.5 without a choice."""

    @property
    def words(self) -> str:
        """Say where the threshold comes from."""
        origin = "without a choice" if self.chosen_on is None else f"chosen on {self.chosen_on}"
        return f"{self.threshold:.3f}, the model's own, {origin}"


def choose_threshold(positive: NDArray[np.bool_], scores: Floats) -> float:
    """Threshold on the score with the best balanced accuracy; predicted positive from there up.

    The middle between two neighbouring scores is taken, and among equals the one nearest to 0.5.
    It is 0.5 where a class has no image to choose by.
    """
    if positive.all() or not positive.any():
        return 0.5
    values, place = np.unique(scores, return_inverse=True)
    candidates = np.concatenate(([values[0]], (values[:-1] + values[1:]) / 2))
    below = np.array(
        [np.bincount(place[of], minlength=len(values)) for of in (positive, ~positive)]
    )
    missed, rejected = (below.cumsum(axis=1) - below) / below.sum(axis=1, keepdims=True)
    balance = 1 - missed + rejected
    best = np.flatnonzero(np.isclose(balance, balance.max()))
    return float(candidates[best[np.abs(candidates[best] - 0.5).argmin()]])


def predict_labels(
    probs: Floats, *, multilabel: bool, positive: int | None, threshold: float
) -> Ints:
    """Classes from probabilities: `argmax`, or by the threshold on the positive class.

    Returns `(count,)` classes, or `(count, num_classes)` of 0 and 1 for several labels.
    """
    if multilabel:
        return (probs >= threshold).astype(np.int64)
    if positive is None:
        largest: Ints = probs.argmax(axis=1).astype(np.int64)
        return largest
    return np.where(probs[:, positive] >= threshold, positive, 1 - positive).astype(np.int64)


def names_of(predicted: Ints, class_names: Sequence[str]) -> list[str]:
    """Name what was predicted; several labels of an image are joined by `+`.

    Args:
        predicted: `(count,)` classes, or `(count, num_classes)` of 0 and 1.
        class_names: The names of the classes or labels.
    """
    if predicted.ndim == 1:
        return [class_names[one] for one in predicted]
    return [
        "+".join(name for name, said in zip(class_names, row, strict=True) if said)
        for row in predicted
    ]
