"""The threshold and the views that an evaluation decides by, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageData
from hybridq.models.checkpoint import ModelSpec
from hybridq.models.decision import choose_threshold
from hybridq.models.views import Views

Floats = NDArray[np.float64]
Origin = Literal["model", "val", "none"]


@dataclass(frozen=True)
class Rule:
    """How an evaluation decides.

    Attributes:
        threshold: What the positive class's probability, or each label's, must reach.
        views: Views of an image that are averaged.
        origin: `model` where the threshold is stored with it, `val` where it is chosen on the
            validation split at hand, `none` where it is 0.5 without a choice.
        notes: Sentences on what differs from what is stored with the model.
    """

    threshold: float
    views: Views
    origin: Origin
    notes: tuple[str, ...] = field(default=())

    @property
    def needs_validation(self) -> bool:
        """Whether the threshold has still to be chosen."""
        return self.origin == "val"

    def completed(self, data: ImageData, on_val: Floats | None) -> Rule:
        """Choose the threshold where none is stored.

        Args:
            data: The data at hand.
            on_val: Probabilities of its validation split, `(count, num_classes)`, if it has one.
        """
        if not self.needs_validation:
            return self
        if on_val is not None:
            return replace(self, threshold=threshold_for(data, on_val))
        note = "No threshold is stored with the model, and there is no validation split: it is 0.5."
        return replace(self, origin="none", notes=(*self.notes, note))


def rule_of(spec: ModelSpec, views: Views | None) -> Rule:
    """Take the rule that is stored with a model, with other views where they are asked for."""
    stored = spec.decision
    decides = spec.positive is not None
    if stored is None:
        return Rule(0.5, views or "one", "val" if decides else "none")
    origin: Origin = "model" if stored.chosen_on is not None else "none"
    if views in (None, stored.views):
        return Rule(stored.threshold, stored.views, origin)
    kept = ", while the threshold is the one chosen for those" if decides else ""
    note = f"The views are {views} in place of the model's own, {stored.views}{kept}."
    return Rule(stored.threshold, views, origin, (note,))


def threshold_for(data: ImageData, on_val: Floats) -> float:
    """The threshold on the positive class that validation chooses; 0.5 where there is none."""
    if data.positive is None:
        return 0.5
    return choose_threshold(data.splits["val"].labels == data.positive, on_val[:, data.positive])
