"""Predictions to be compared: arms, each a model with its training seeds, on the same images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.scores import predict_labels
from hybridq.records.findings import PredictionFile, remedy_of
from hybridq.records.predictions import Predictions, check_probabilities, read_predictions
from hybridq.records.record import refused
from hybridq.records.studies import read_arrays
from hybridq.reports.sources.sources import Source, Sources
from hybridq.utils.text import percent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Evaluated: TypeAlias = tuple[Source, Predictions]


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

    @property
    def label(self) -> str:
        """Its name, and its seeds where it has several."""
        return self.name + (f" ({len(self.seeds)} seeds)" if len(self.seeds) > 1 else "")


@dataclass(frozen=True)
class Facet:
    """Arms on the same images, with the same share of the labels, on the same backend.

    Attributes:
        name: unique in the report, for anchors.
        data: name of the data, and of the study where there are several.
        split: which images of it.
        where: backend of the predictions, or what a study trained.
        ids: names of the images.
        labels: `(images,)`, or `(images, num_classes)` of 0 and 1.
        class_names: names of the classes.
        positive: the positive class of two; None if there is none.
        fraction: share of the training labels in use.
        arms: the models.
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

    @property
    def title(self) -> str:
        """Data, split, share of the labels, and where."""
        return f"{self.data}, {self.split}, {percent(self.fraction)} of the labels, {self.where}"

    @property
    def multilabel(self) -> bool:
        """Whether an image has several labels."""
        return self.labels.ndim == 2

    def has(self, k: int) -> NDArray[np.bool_]:
        """Whether each image is of a class."""
        return np.asarray(self.labels[:, k] == 1 if self.multilabel else self.labels == k)

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
        return [
            (self.class_names[k], actual, arm.probs[:, :, k])
            for k in chosen
            if (actual := self.has(k)).any() and not actual.all()
        ]


def study_facets(sources: Sources) -> list[Facet]:
    """The predictions that studies name in their findings."""
    named = [(one, one.findings.predictions) for one in sources.all if one.is_study]
    return [
        facet
        for source, file in named
        if file is not None
        for facet in _of_file(source, file, several=sum(f is not None for _, f in named) > 1)
    ]


def _of_file(source: Source, file: PredictionFile, *, several: bool) -> Iterator[Facet]:
    """The facets of a file of predictions.

    Raises:
        InvalidValueError: If it is not of the images, classes and models that it should be of.
    """
    path, what = source.folder / file.file, "predictions"
    remedy = f"{remedy_of(source.folder, source.kind)}."
    arrays = read_arrays(path, what, remedy)
    for name, kinds in (("ids", "U"), ("class_names", "U"), ("labels", "iu")):
        if name not in arrays or arrays[name].dtype.kind not in kinds:
            raise refused(what, path, f"some without {name!r}", remedy)
    ids, labels = tuple(arrays["ids"].tolist()), arrays["labels"]
    classes = tuple(arrays["class_names"].tolist())
    many = labels.ndim == 2
    shape = (len(ids), len(classes))
    most = 2 if many else len(classes)
    if (
        len(set(ids)) < len(ids)
        or labels.shape != (shape if many else shape[:1])
        or not ((labels >= 0) & (labels < most)).all()
        or file.positive not in (None, *classes)
    ):
        raise refused(what, path, "other images, labels or classes", remedy)
    data = source.findings.data or ""
    for k, one in enumerate(file.sets, start=1):
        for model in one.models:
            probs = arrays.get(model.array, np.empty(0))
            if probs.shape != (len(model.seeds), *shape):
                raise refused(f"{len(model.seeds)} seeds of {model.array!r}", path, "none", remedy)
            check_probabilities(path, model.array, probs, many=many)
        yield Facet(
            f"{source.key.lower()}-{k}",
            f"{data}, study {source.key} ({source.name})" if several else data,
            file.split,
            one.where,
            ids,
            labels,
            classes,
            None if file.positive is None else classes.index(file.positive),
            one.labels,
            tuple(
                Arm(
                    model.model,
                    tuple(model.seeds),
                    arrays[model.array],
                    tuple(model.thresholds),
                    (source,),
                )
                for model in one.models
            ),
        )


def evaluation_facets(sources: Sources, names: Mapping[Source, str]) -> list[Facet]:
    """Evaluations, those of the same images, labels and backend side by side.

    Args:
        sources: of the report.
        names: of the models, `source_names`.
    """
    groups: dict[tuple[Any, ...], list[Evaluated]] = {}
    for source in sources.of("evaluate"):
        result, found = source.result, read_predictions(source.folder, source.result)
        where = (result["data"], result["split"], result["labels"], result["backend"]["name"])
        classes = (tuple(result["class_names"]), result["positive"])
        groups.setdefault((*where, found.ids, *classes), []).append((source, found))
    alike = Counter(key[:-2] for key in groups)
    return [
        _facet(f"e{k}", group, names, alone=alike[key[:-2]] == 1)
        for k, (key, group) in enumerate(groups.items(), start=1)
    ]


def _facet(
    name: str, group: Sequence[Evaluated], names: Mapping[Source, str], *, alone: bool
) -> Facet:
    """One facet; unless it is alone on its images, it tells its positive class."""
    source, images = group[0]
    first = source.result
    classes, positive = tuple(first["class_names"]), first["positive"]
    part = "" if source.config.get("limit") is None else f"{len(images.ids)} images of the "
    return Facet(
        name,
        first["data"],
        "all splits" if first["split"] == "all" else f"{part}{first['split']} split",
        first["backend"]["name"] + ("" if alone else f", positive: {positive}"),
        images.ids,
        images.labels,
        classes,
        None if positive is None else classes.index(positive),
        first["labels"],
        tuple(_arm(arm, members) for arm, members in _by_arm(group, names).items()),
    )


def _arm(name: str, members: Sequence[Evaluated]) -> Arm:
    return Arm(
        name,
        tuple(source.result["train_seed"] for source, _ in members),
        np.stack([found.probs for _, found in members]),
        tuple(source.result["model"]["threshold"] for source, _ in members),
        tuple(source for source, _ in members),
    )


def _by_arm(group: Sequence[Evaluated], names: Mapping[Source, str]) -> dict[str, list[Evaluated]]:
    """Evaluations by the model they are of, each seed once."""
    found: dict[str, list[Evaluated]] = {}
    for source, images in group:
        arm, seed = names[source], source.result["train_seed"]
        same = [one for one, _ in found.get(arm, []) if one.result["train_seed"] == seed]
        if same:
            again = source.config["run"] in (one.config["run"] for one in same)
            arm = f"{arm} ({'again' if again else 'another run of its seed'}, {source.key})"
        found.setdefault(arm, []).append((source, images))
    return found
