"""What is kept of models on the test images: enough for every table, interval and verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageData
from hybridq.data.duplicates import near_duplicates
from hybridq.data.provenance import split_hash
from hybridq.evaluation.metrics.calibration import squared_errors
from hybridq.evaluation.metrics.scores import predict_labels
from hybridq.evaluation.statistics import Measured, measure_auc, measure_mean

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

ALL, UNLIKE = "auc", "auc_without_duplicates"
"""AUCs: of all test images, and of those that are unlike the images of train."""

_UNLIKE: dict[tuple[str, ...], NDArray[np.bool_]] = {}
"""What was found of the images judged last, by the hashes of test and train: the search is dear on
large images, and every unit of a study asks for it."""


@dataclass(frozen=True)
class Judge:
    """Judges models on the test images.

    Attributes:
        data: The data, with train and test.
        first: Numbers of first subsets over which the AUC is kept, too, for pairs with whole
            networks, which have fewer.
    """

    data: ImageData
    first: tuple[int, ...] = ()

    def __call__(self, probs: Floats, thresholds: Floats) -> Arrays:
        """Say of a model what is kept of it.

        Args:
            probs: `(subsets, images, classes)` probabilities of the test images, by one encoder.
            thresholds: `(subsets,)` on the positive class; NaN where there is none.

        Returns:
            Arrays by name: of each AUC and of the Brier score those of `Measured.arrays`, as
            `auc/values`; `right (images,)`, the number of subsets in which the image is classified
            rightly; values `(subsets,)` of each figure of these decisions; and `threshold
            (subsets,)`.
        """
        data = self.data
        labels, unlike = data.splits["test"].labels, self._unlike
        areas = {ALL: measure_auc(labels, probs[None])}
        for subsets in (one for one in self.first if one < len(probs)):
            areas[over_first(subsets)] = measure_auc(labels, probs[None, :subsets])
        if not unlike.all():
            areas[UNLIKE] = measure_auc(labels[unlike], probs[None][:, :, unlike])
        errors = squared_errors(labels, probs)[None]
        areas["brier"] = measure_mean(errors, figure="brier")
        kept: Arrays = {
            f"{name}/{field}": values
            for name, found in areas.items()
            for field, values in found.arrays().items()
        }
        right = np.stack([self._right(*pair) for pair in zip(probs, thresholds, strict=True)])
        kept["right"] = right.sum(axis=0).astype(np.uint16)
        for name, strata in decisions(labels, data.positive):
            kept[name] = measure_mean(right[None], figure=name, strata=strata).values[0]
        return kept | {"threshold": thresholds}

    @cached_property
    def _unlike(self) -> NDArray[np.bool_]:
        """Whether each test image has no near-duplicate in train, looked for once a process."""
        pair = [self.data.splits[name] for name in ("test", "train")]
        key = tuple(split_hash(self.data, split) for split in pair)
        if key not in _UNLIKE:
            _UNLIKE.clear()
            _UNLIKE[key] = ~near_duplicates(*pair)
        return _UNLIKE[key]

    def _right(self, probs: Floats, threshold: float) -> NDArray[np.bool_]:
        """Whether each image is classified rightly, `(images,)`."""
        data = self.data
        labels, several = data.splits["test"].labels, data.task == "multilabel"
        bound = 0.5 if np.isnan(threshold) else float(threshold)
        positive = None if np.isnan(threshold) else data.positive
        named = predict_labels(probs, multilabel=several, positive=positive, threshold=bound)
        right: NDArray[np.bool_] = (named == labels).all(axis=1) if several else named == labels
        return right


def over_first(subsets: int) -> str:
    """Name the AUC over the first of a model's subsets alone."""
    return f"auc_of_first_{subsets}"


def decisions(
    labels: NDArray[np.int64], positive: int | None
) -> Iterator[tuple[str, NDArray[Any] | None]]:
    """List the figures of right decisions, with the strata whose means they are means of.

    Args:
        labels: The labels of the test images, `(images,)`, or `(images, classes)` of 0 and 1.
        positive: The positive class of two, or None.
    """
    yield "accuracy", None
    if labels.ndim == 1:
        yield "balanced_accuracy", labels
        if positive is not None:
            yield "sensitivity", np.where(labels == positive, 0, -1)
            yield "specificity", np.where(labels == positive, -1, 0)


def measured(
    kept: Sequence[Mapping[str, NDArray[Any]]], labels: NDArray[np.int64], positive: int | None
) -> dict[str, Measured]:
    """Make every figure of a model, with what each image has to do with it.

    Args:
        kept: What `Judge` gave for each encoder.
        labels: The labels of the test images, `(images,)`, or `(images, classes)` of 0 and 1.
        positive: The positive class of two, or None.
    """
    areas = dict.fromkeys(name.split("/")[0] for name in kept[0] if "/" in name)
    found = {
        name: _joined(
            [
                Measured.from_arrays(
                    {key.partition("/")[2]: one[key] for key in one if key.startswith(f"{name}/")}
                )
                for one in kept
            ]
        )
        for name in areas
    }
    subsets = found[ALL].values.shape[1]
    share = np.stack([one["right"] for one in kept])[:, None] / subsets
    for name, strata in decisions(labels, positive):
        values = np.stack([one[name] for one in kept])
        found[name] = replace(measure_mean(share, figure=name, strata=strata), values=values)
    return found


def _joined(parts: Sequence[Measured]) -> Measured:
    """Put the encoders of one model together."""
    values = np.concatenate([one.values for one in parts])
    influence = np.concatenate([one.influence for one in parts])
    return replace(parts[0], values=values, influence=influence)
