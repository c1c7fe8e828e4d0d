"""Load the data that a trained model is used on: those of its run, or others of its classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.config import EvaluateConfig, FinetuneConfig
from hybridq.data import ImageData, ImageSplit, load_data
from hybridq.data.dataset import SPLITS
from hybridq.data.provenance import hashes_of_splits
from hybridq.data.splits import labelled_mask
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq.models.checkpoint import ModelSpec
from hybridq.utils.pseudonyms import Pseudonyms
from hybridq.utils.text import listed

logger = logging.getLogger("hybridq")

ALL = "all"
"""The split of all labelled images of other data."""

_OF_SPLITS = ("No split is given", "No val split is given", *(f"The {one} split" for one in SPLITS))
"""How the notes begin that speak of splits, which say nothing of all images together."""


def data_to_evaluate(
    config: EvaluateConfig, run: FinetuneConfig, spec: ModelSpec, pseudonyms: Pseudonyms | None
) -> ImageData:
    """Load what an evaluation reads: of other data than the run's, the splits that there are.

    Raises:
        HybridqError: If it cannot be read, has other classes, or lacks the split that is asked for.
    """
    if config.split == ALL and config.data is None:
        raise InvalidValueError(
            "Expected --data with --split all, got none: the run was trained on images of its own "
            "data; evaluate those with --split test."
        )
    wanted = {"val", config.split} | ({"train"} if config.baselines else set())
    splits = [name for name in SPLITS if name in wanted or config.split == ALL]
    may_lack = () if config.data is None else [name for name in splits if name != config.split]
    return data_for(
        run,
        spec,
        data=config.data,
        data_root=config.data_root,
        splits=splits,
        optional=may_lack,
        pseudonyms=pseudonyms,
    )


def data_for(
    run: FinetuneConfig,
    spec: ModelSpec,
    *,
    data: str | None,
    data_root: Path | None,
    splits: Sequence[str],
    optional: Sequence[str] = (),
    download: bool = True,
    pseudonyms: Pseudonyms | None = None,
) -> ImageData:
    """Load the data of a run, or other data of the same classes, with its positive class.

    Args:
        run: The config of the run.
        spec: The spec of its model.
        data: Other data than those of the run.
        data_root: Folder of named sets, if the user gave one.
        splits: Splits to load.
        optional: The splits that may be missing.
        download: Whether a named set may be downloaded.
        pseudonyms: Pseudonyms for the names of the user's own data.

    Raises:
        InvalidValueError: If the classes are others than those of the model.
        MissingFileError: If it is not on disk and `download` is False.
    """
    loaded = load_data(
        data or run.data,
        data_root=data_root or run.data_root,
        splits=splits,
        download=download,
        pseudonyms=pseudonyms,
        optional=optional,
    )
    return in_classes_of(spec, loaded)


def in_classes_of(spec: ModelSpec, data: ImageData) -> ImageData:
    """Number the classes of data as a model does, by their names, with its positive class.

    Raises:
        InvalidValueError: If the task or the classes are others than those of the model.
    """
    if not data.class_names:
        raise InvalidValueError(
            f"Expected images with labels, got images alone in {data.name}: give (images, labels), "
            "or use `predict`."
        )
    own, given = set(spec.class_names), set(data.class_names)
    if data.task != spec.task or own != given:
        remedy = "use data of the run's classes."
        if data.task == spec.task or "multilabel" not in (data.task, spec.task):
            lacking, others = sorted(own - given), sorted(given - own)
            told = [f"it lacks {listed(lacking)}"] if lacking else []
            told += [f"the model does not know {listed(others)}"] if others else []
            remedy = f"{' and '.join(told)}; {remedy}" if told else remedy
        raise InvalidValueError(
            f"Expected {spec.task} data with the classes {listed(spec.class_names)}, got "
            f"{data.task} data with {listed(data.class_names)} in {data.name}: {remedy}"
        )
    if data.class_names != spec.class_names:
        place = np.array([spec.class_names.index(name) for name in data.class_names])
        back = np.argsort(place)
        splits = {
            name: replace(split, labels=_renumbered(split.labels, place, back))
            for name, split in data.splits.items()
        }
        notes = (*data.notes, "The classes are matched to those of the model by name.")
        data = replace(data, splits=splits, class_names=spec.class_names, notes=notes)
    return replace(data, positive=spec.positive)


def _renumbered(
    labels: NDArray[np.int64], place: NDArray[np.intp], back: NDArray[np.intp]
) -> NDArray[np.int64]:
    if labels.ndim == 2:
        return labels[:, back]
    renumbered: NDArray[np.int64] = np.where(labels < 0, labels, place[labels]).astype(np.int64)
    return renumbered


def can_fit(data: ImageData, split: str) -> bool:
    """Whether data have train and validation apart from the split that is evaluated."""
    return split != ALL and {"train", "val"} <= data.splits.keys()


def check_unseen(split: str, spec: ModelSpec, record: Mapping[str, Any]) -> None:
    """Refuse to evaluate all images of data that the model was trained on.

    Args:
        split: The split that is evaluated.
        spec: The spec of the model.
        record: What `data_record` says of the data.

    Raises:
        InvalidValueError: If a split is one that its run read.
    """
    now = hashes_of_splits(record)
    if split == ALL and set(now.values()) & set(spec.data_hashes.values()):
        raise InvalidValueError(
            "Expected data that the run was not trained on with --split all, got its own: "
            "evaluate those with --split test."
        )


def with_all(data: ImageData) -> ImageData:
    """Add the split `all`: every labelled image of data that a model was not trained on."""
    parts = [data.splits[name] for name in SPLITS if name in data.splits]
    if not parts:
        raise MissingFileError(f"Expected images in {data.name}, got none: add some.")
    whole = ImageSplit(
        images=np.concatenate([one.images for one in parts]),
        labels=np.concatenate([one.labels for one in parts]),
        ids=tuple(name for one in parts for name in one.ids),
        groups=_joined([one.groups for one in parts]),
        columns={
            name: np.concatenate([one.columns[name] for one in parts])
            for name in parts[0].columns
            if all(name in one.columns for one in parts)
        },
        files=None
        if any(one.files is None for one in parts)
        else tuple(path for one in parts for path in one.files or ()),
    )
    labelled = whole.take(np.flatnonzero(labelled_mask(whole.labels)))
    notes = tuple(note for note in data.notes if not note.startswith(_OF_SPLITS))
    return replace(data, splits={**data.splits, ALL: labelled}, notes=notes)


def _joined(groups: Sequence[NDArray[np.str_] | None]) -> NDArray[np.str_] | None:
    given = [one for one in groups if one is not None]
    return np.concatenate(given) if len(given) == len(groups) else None


def data_of_baselines(run: FinetuneConfig, spec: ModelSpec) -> ImageData | None:
    """Load train and validation of a run, for baselines of a set without them; None without them.

    A run with pseudonyms does not say where its data lie.
    """
    try:
        return data_for(
            run, spec, data=None, data_root=None, splits=("train", "val"), download=False
        )
    except HybridqError as error:
        logger.warning("baselines are left out: %s", error)
        return None
