"""Predictions to be compared: arms, each a model with its training seeds, on the same images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.scores import predict_labels
from hybridq.records import predictions
from hybridq.records.predictions import Predictions
from hybridq.reports.sources.sources import Source, Sources
from hybridq.utils.text import percent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Arm:
    """A kind of model, trained from some seeds.

    Attributes:
        name: what it is called in the whole report; arms of one name differ in the share of the
            labels alone.
        seeds: of the trainings.
        probs: `(seeds, images, num_classes)`.
        thresholds: on the positive class's probability, one for each seed.
        sources: where the predictions come from.
    """

    name: str
    seeds: tuple[int, ...]
    probs: Floats
    thresholds: tuple[float, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Facet:
    """Arms on the same images, with the same share of the labels, on the same backend.

    Attributes:
        name: unique in the report, for anchors.
        data: name of the data, and of the study where there are several.
        split: which images of it.
        where: backend of the predictions, or what an ablation trained.
        ids: names of the images.
        labels: `(images,)`, or `(images, num_classes)` of 0 and 1.
        class_names: names of the classes.
        positive: the positive class of two; None if there is none, or it is not known.
        fraction: share of the training labels in use.
        arms: the models.
        has_thresholds: whether it is known on which class the thresholds are.
    """

    name: str
    data: str
    split: str
    where: str
    ids: tuple[str, ...]
    labels: Ints
    class_names: tuple[str, ...]
    positive: int | None
    fraction: float
    arms: tuple[Arm, ...]
    has_thresholds: bool = True

    @property
    def title(self) -> str:
        """Data, split, share of the labels, and where."""
        return f"{self.data}, {self.split}, {percent(self.fraction)} of the labels, {self.where}"

    @property
    def multilabel(self) -> bool:
        """Whether an image has several labels."""
        return self.labels.ndim == 2

    def predicted(self, arm: Arm) -> Ints:
        """Classes `(seeds, images)`, or `(seeds, images, num_classes)` for several labels."""
        return np.stack(
            [
                predict_labels(
                    probs,
                    multilabel=self.multilabel,
                    positive=self.positive,
                    threshold=threshold,
                )
                for probs, threshold in zip(arm.probs, arm.thresholds, strict=True)
            ]
        )

    def decisions(self, arm: Arm) -> list[tuple[str, NDArray[np.bool_], Floats]]:
        """What is decided about an image: name, labels `(images,)`, scores `(seeds, images)`.

        One decision where there is a positive class, else one for each class; a decision without
        both kinds of images is left out.
        """
        chosen = range(len(self.class_names)) if self.positive is None else [self.positive]
        found = []
        for k in chosen:
            actual = self.labels[:, k] == 1 if self.multilabel else self.labels == k
            if actual.any() and not actual.all():
                found.append((self.class_names[k], actual, arm.probs[:, :, k]))
        return found


def evaluation_facets(sources: Sources, names: Mapping[Source, str]) -> list[Facet]:
    """Evaluations, those of the same images, labels and backend side by side.

    Args:
        sources: of the report.
        names: of the models, `source_names`.
    """
    groups: dict[tuple[Any, ...], list[Source]] = {}
    for source in sources.of("evaluate"):
        result = source.result
        ids = read_predictions(source).ids
        where = (result["data"], result["split"], result["labels"], result["backend"]["name"])
        classes = (tuple(result["class_names"]), result["positive"])
        groups.setdefault((*where, ids, *classes), []).append(source)
    alike = Counter(key[:-2] for key in groups)
    return [
        _facet(f"e{k + 1}", group, names, alone=alike[key[:-2]] == 1)
        for k, (key, group) in enumerate(groups.items())
    ]


def _facet(
    name: str, group: Sequence[Source], names: Mapping[Source, str], *, alone: bool
) -> Facet:
    """One facet; unless it is alone on its images, it tells its positive class."""
    first = group[0].result
    images = read_predictions(group[0])
    ids, labels = images.ids, images.labels
    classes = tuple(first["class_names"])
    positive = None if first["positive"] is None else classes.index(first["positive"])
    part = "" if group[0].config.get("limit") is None else f"{len(ids)} images of the "
    by_arm: dict[str, list[Source]] = {}
    for source in group:
        arm = names[source]
        seed = source.result["train_seed"]
        same = [s for s in by_arm.get(arm, []) if s.result["train_seed"] == seed]
        if same:
            again = source.config["run"] in (s.config["run"] for s in same)
            arm = f"{arm} ({'again' if again else 'another run of its seed'}, {source.key})"
        by_arm.setdefault(arm, []).append(source)
    arms = tuple(
        Arm(
            arm,
            tuple(source.result["train_seed"] for source in members),
            np.stack([read_predictions(source).probs for source in members]),
            tuple(source.result["model"]["threshold"] for source in members),
            tuple(members),
        )
        for arm, members in by_arm.items()
    )
    return Facet(
        name,
        first["data"],
        f"{part}{first['split']} split",
        first["backend"]["name"] + ("" if alone else f", positive: {first['positive']}"),
        ids,
        labels,
        classes,
        positive,
        first["labels"],
        arms,
    )


def read_predictions(source: Source) -> Predictions:
    """The predictions of an evaluation.

    Raises:
        InvalidValueError: if the file is missing or is not one of predictions.
    """
    return predictions.read_predictions(source.folder, source.result)
