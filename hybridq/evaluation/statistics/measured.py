"""A figure of one model in every cell of a study, with what its intervals are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import InvalidValueError
from hybridq.evaluation.metrics.calibration import squared_errors
from hybridq.evaluation.statistics.delong import auc_influence
from hybridq.evaluation.statistics.hoeffding import auc_units

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """A figure of one model, trained from every encoder on every label subset.

    A plain study of seeds, each with its own subset and weights, is one of as many encoders and
    one subset. A model without an encoder, such as raw pixels, has one row.

    Attributes:
        values: `(encoders, subsets)`, the figure in each cell on the same test images.
        influence: `(encoders, images)`, by how much each image moves an encoder's mean over the
            subsets; `influence @ influence.T` is the covariance of these means over draws of the
            images. It sums to 0 over what is drawn, for AUC over the images of each class.
        figure: Its name.
        units: Independent differences between -1 and 1 that the figure is a mean of: images, for
            AUC those of the rarest class. It is asked for where nothing varies over the images.
    """

    values: Floats
    influence: Floats
    figure: str = "auc"
    units: int | None = None
    constant: bool = False

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        values, influence = self.values.shape, self.influence.shape
        if not (len(values) == len(influence) == 2 and values[0] == influence[0] and values[1]):
            raise InvalidValueError(
                "Expected values as (encoders, subsets) and influence as (encoders, images), got "
                f"{values} and {influence}: give one row an encoder."
            )

    @property
    def covariance(self) -> Floats:
        """`(encoders, encoders)`, of the means over the subsets, over draws of the images."""
        found: Floats = self.influence @ self.influence.T
        return found

    def repeated(self, encoders: int, subsets: int) -> Measured:
        """The same figure in so many rows and columns; a single one stands for all.

        Raises:
            InvalidValueError: If it has other rows or columns, and more than one.
        """
        try:
            values = np.broadcast_to(self.values, (encoders, subsets))
            influence = np.broadcast_to(self.influence, (encoders, self.influence.shape[1]))
        except ValueError:
            raise InvalidValueError(
                f"Expected values as ({encoders}, {subsets}), got {self.values.shape}: measure "
                "both models from the same encoders on the same label subsets."
            ) from None
        return replace(self, values=values, influence=influence)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All fields as small arrays, the influence to three digits, for a file."""
        scale = float(np.abs(self.influence).max(initial=0.0)) or 1.0
        return {
            "values": self.values,
            "influence": (self.influence / scale).astype(np.float16),
            "scale": np.array(scale),
            "figure": np.array(self.figure),
            "units": np.array(self.units or 0),
            "constant": np.array(self.constant),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Measured:
        """Read what `arrays` gave."""
        return cls(
            np.asarray(arrays["values"], np.float64),
            np.asarray(arrays["influence"], np.float64) * float(arrays["scale"]),
            str(arrays["figure"]),
            int(arrays["units"]) or None,
            bool(arrays["constant"]),
        )


def measure_auc(labels: Ints, probs: NDArray[Any]) -> Measured:
    """Measure the AUC in every cell, with DeLong's covariance over the images.

    With several classes it is the mean of one against the rest, as in `auc_covariance`.

    Args:
        labels: `(images,)` classes from 0, or `(images, classes)` of 0 and 1.
        probs: `(encoders, subsets, images, classes)` probabilities, or
            `(encoders, subsets, images)` scores of class 1 of two.

    Raises:
        InvalidValueError: If labels and probabilities do not fit, or a class has fewer than two
            images.
    """
    labels = np.asarray(labels)
    if probs.ndim == 4 and probs.shape[3] == 2 and labels.ndim == 1:
        probs = probs[..., 1]
    if probs.ndim not in (3, 4) or not probs.shape[0] * probs.shape[1]:
        raise InvalidValueError(
            f"Expected probabilities as (encoders, subsets, images[, classes]), got {probs.shape}: "
            "give one array a model."
        )
    # An encoder at a time, so that no more than its cells are ranked at once.
    parts = [auc_influence(labels, own) for own in probs]
    return Measured(
        np.stack([aucs for aucs, _ in parts]),
        np.stack([influence.mean(axis=0) for _, influence in parts]),
        "auc",
        auc_units(labels.astype(np.int64)),
        any(is_constant(own) for own in probs),
    )


def is_constant(scores: NDArray[Any]) -> bool:
    """Whether in any row of `(models, images[, classes])` all images have one and the same."""
    same = scores == scores[:, :1]
    return bool(same.reshape(len(scores), -1).all(axis=1).any())


def measure_mean(
    contributions: NDArray[Any],
    *,
    figure: str,
    strata: NDArray[Any] | None = None,
) -> Measured:
    """Measure a figure that is a mean over images, or over the means of classes of images.

    Args:
        contributions: `(encoders, subsets, images)`, such as 1 where a decision is right.
        figure: Its name.
        strata: `(images,)` whole numbers; the figure is the mean of the means within each, and the
            images are drawn anew within each. Images of a negative one are left out. One stratum
            of all images if None.

    Raises:
        InvalidValueError: If a stratum has fewer than two images.
    """
    images = contributions.shape[2]
    strata = np.zeros(images, np.int64) if strata is None else strata
    names = np.unique(strata[strata >= 0])
    values = np.zeros(contributions.shape[:2])
    influence = np.zeros((len(contributions), images))
    for name in names:
        own = strata == name
        count = int(own.sum())
        if count < 2:
            raise InvalidValueError(
                f"Expected at least two images of each class, got {count}: an interval needs more."
            )
        chosen = np.asarray(contributions[:, :, own], np.float64)
        means = chosen.mean(axis=1)
        values += chosen.mean(axis=2) / len(names)
        moved = means - means.mean(axis=1, keepdims=True)
        influence[:, own] = moved / (len(names) * np.sqrt(count * (count - 1)))
    return Measured(values, influence, figure, int((strata >= 0).sum()))


def measure_figures(
    labels: Ints,
    probs: NDArray[Any],
    decided: NDArray[Any],
    *,
    positive: int | None = None,
) -> dict[str, Measured]:
    """Measure all figures that are ranks or means over images, by the names of `all_metrics`.

    Args:
        labels: `(images,)` classes from 0, or `(images, classes)` of 0 and 1.
        probs: `(encoders, subsets, images, classes)` probabilities.
        decided: `(encoders, subsets, images)` classes, or `(encoders, subsets, images, classes)`
            of 0 and 1 for several labels.
        positive: Class that sensitivity and specificity speak of; without them if None.

    Returns:
        `auc`, `accuracy`, `balanced_accuracy` (not for several labels), `sensitivity`,
        `specificity`, and `brier`: the squared error of the probabilities, over all classes
        and halved so that it lies between 0 and 1, or the mean over several labels.

    Raises:
        InvalidValueError: If labels and probabilities do not fit, or a class has fewer than two
            images.
    """
    labels = np.asarray(labels)
    right = (decided == labels).mean(axis=3) if labels.ndim == 2 else decided == labels
    found = {
        "auc": measure_auc(labels, probs),
        "accuracy": measure_mean(right, figure="accuracy"),
        "brier": measure_mean(squared_errors(labels, probs), figure="brier"),
    }
    if labels.ndim == 1:
        found["balanced_accuracy"] = measure_mean(right, figure="balanced_accuracy", strata=labels)
        if positive is not None:
            actual = labels == positive
            for name, own in (("sensitivity", actual), ("specificity", ~actual)):
                found[name] = measure_mean(right, figure=name, strata=np.where(own, 0, -1))
    return found
