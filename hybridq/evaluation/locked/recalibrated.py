"""A model beside itself: with a threshold, or probabilities, set right on validation images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageData, ImageSplit
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.evaluation.locked.measured import Measure
from hybridq.evaluation.locked.rule import Rule
from hybridq.evaluation.metrics.recalibration import Method, fit_recalibration
from hybridq.models.checkpoint import ModelSpec
from hybridq.models.decision import choose_threshold
from hybridq.utils.text import counted

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Extras:
    """What an evaluation tells besides the figures at the model's own threshold.

    Attributes:
        recalibrate: Adds the figures at a threshold that is chosen on the validation split at hand.
        recalibration: Adds the figures of probabilities that are set right on that split.
        at_specificity: Adds the sensitivity at this specificity.
        prevalence: Adds the predictive values at this share of the positive class.
        subgroups: Adds the figures of the groups that these columns make.
    """

    recalibrate: bool = False
    recalibration: Method = "none"
    at_specificity: float | None = None
    prevalence: float | None = None
    subgroups: str | None = None

    @property
    def needs_validation(self) -> bool:
        """Whether something is chosen or fitted on validation."""
        return self.recalibrate or self.recalibration != "none"

    def check(self, spec: ModelSpec, data: ImageData, split: str) -> None:
        """Refuse what cannot be told of a model on some data.

        Raises:
            InvalidValueError: If it speaks of a positive class, and there is none, or if what is
                evaluated would be recalibrated on.
            MissingFileError: If there is no validation split to recalibrate on.
        """
        of_two = {
            "--recalibrate": self.recalibrate,
            "--at-specificity": self.at_specificity is not None,
            "--prevalence": self.prevalence is not None,
        }
        asked = next((name for name, is_asked in of_two.items() if is_asked), None)
        if asked is not None and spec.positive is None:
            raise InvalidValueError(
                f"Expected a model of two classes with {asked}, got {len(spec.class_names)} "
                f"{'labels' if spec.task == 'multilabel' else 'classes'}: leave it out."
            )
        if not self.needs_validation:
            return
        option = "--recalibrate" if self.recalibrate else "--recalibration"
        if split != "test":
            raise InvalidValueError(
                f"Expected --split test with {option}, got {split}: the images that are evaluated "
                "would be recalibrated on."
            )
        if "val" not in data.splits:
            raise MissingFileError(
                f"Expected a val split in {data.name} for {option}, got "
                f"{', '.join(data.splits)}: add one, or leave {option} out."
            )


def recalibrated(
    measure: Measure,
    rule: Rule,
    extras: Extras,
    on_val: Floats,
    test: ImageSplit,
    probs: Floats,
) -> tuple[dict[str, Any], Floats]:
    """Compute the figures of a model that is recalibrated on the validation split at hand.

    Probabilities alone leave every decision as it is: the model's own threshold is carried along.

    Args:
        measure: Computes the figures; its data have the validation split.
        rule: The threshold of the model.
        extras: What is recalibrated.
        on_val: Probabilities of the validation split, `(count, num_classes)`.
        test: The evaluated images.
        probs: Their probabilities.

    Returns:
        The row of `result.json`, and the probabilities of the evaluated images.
    """
    data, val = measure.data, measure.data.splits["val"]
    threshold, parameters = rule.threshold, {}
    if extras.recalibration != "none":
        change = fit_recalibration(extras.recalibration, val.labels, on_val, data.class_names)
        on_val, probs = change(on_val), change(probs)
        threshold = change.threshold(threshold, data.positive)
        parameters = change.parameters
    if extras.recalibrate and data.positive is not None:
        threshold = choose_threshold(val.labels == data.positive, on_val[:, data.positive])
    row = measure(test.labels, probs, threshold)
    about = {
        "threshold_from": "val" if extras.recalibrate else rule.origin,
        "recalibration": extras.recalibration,
        "parameters": parameters,
        "fitted_on": f"{counted(len(val), 'validation image')} of {data.name}",
    }
    return {**row, **about}, probs
