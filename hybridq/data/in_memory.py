"""Images and labels that are in memory already, as data of the same form as any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import UNLABELLED, ImageData, ImageSplit, Part, Task
from hybridq.data.labels import encode_labels
from hybridq.data.pixels import check_no_loader, pixels_of, plain
from hybridq.data.splits import ALL_SPLITS, SPLIT_SEED, VAL_OF_TRAIN, class_members, split_by_group
from hybridq.errors import InvalidValueError
from hybridq.utils.text import listed


def data_from_arrays(
    parts: Mapping[str, Part],
    *,
    class_names: Sequence[str] | None,
    positive: str | None,
    name: str,
    licence: str,
) -> ImageData:
    """Make data of arrays; `ImageData.from_arrays` documents the arguments."""
    read = {split: _read(split, part) for split, part in parts.items()}
    shapes = {split: pixels.shape[1:] for split, (pixels, _, _) in read.items()}
    if len(set(shapes.values())) > 1:
        got = ", ".join(f"{split} {shape}" for split, shape in shapes.items())
        raise InvalidValueError(f"Expected images of one shape, got {got}: make them alike.")
    known = {split: labels for split, (_, labels, _) in read.items() if labels is not None}
    names, coded = encode_labels(known, class_names or names_of_datasets(parts))
    several = any(labels.ndim == 2 for labels in coded.values())
    task: Task = "multilabel" if several else "binary" if len(names) == 2 else "multiclass"
    splits = {}
    for split, (pixels, _, groups) in read.items():
        labels = coded.get(split, np.full(len(pixels), UNLABELLED, dtype=np.int64))
        ids = tuple(f"{split}_{number}" for number in range(len(pixels)))
        part = parts[split]
        columns = part.columns if isinstance(part, ImageSplit) else {}
        splits[split] = ImageSplit(pixels, labels, ids, groups, columns)
    number = _positive(positive, names, task)
    notes: tuple[str, ...] = ()
    if names:
        _check_classes(splits, names, task)
        splits, notes = _completed(splits, len(names), task)
    return ImageData(
        name=name,
        task=task,
        class_names=names,
        splits=splits,
        licence=licence,
        positive=number,
        notes=notes,
        own=True,
    )


def names_of_datasets(parts: Mapping[str, Part]) -> tuple[str, ...] | None:
    """The names of the classes that datasets have, as torchvision's `classes`; None if none has.

    Raises:
        InvalidValueError: If they differ between splits.
    """
    found = {}
    for split, part in parts.items():
        inner = part
        while not hasattr(inner, "classes") and hasattr(inner, "dataset"):  # a part of another
            inner = inner.dataset
        names = getattr(inner, "classes", None)
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            found[split] = tuple(names)
    if len(set(found.values())) > 1:
        got = "; ".join(f"{split} {listed(names)}" for split, names in found.items())
        raise InvalidValueError(
            f"Expected datasets of the same `classes`, got {got}: number them alike."
        )
    return next(iter(found.values()), None)


def _read(
    split: str, part: Part
) -> tuple[NDArray[np.uint8], NDArray[Any] | None, NDArray[np.str_] | None]:
    """Images, labels and groups of a split; None for what is not given."""
    if isinstance(part, ImageSplit):
        return part.images, part.labels, part.groups
    check_no_loader(part)
    if not isinstance(part, tuple):  # a dataset
        pairs = [part[number] for number in range(len(part))]
        part = tuple(list(column) for column in zip(*pairs, strict=True))
    if not 1 <= len(part) <= 3:
        raise InvalidValueError(
            f"Expected `{split}` as (images, labels) or (images, labels, groups), got "
            f"{len(part)} of them: give such a tuple."
        )
    images, labels, groups = (*part, None, None)[:3]
    pixels = pixels_of(images)
    if labels is None and split != "train":
        raise InvalidValueError(
            f"Expected labels for {split}, got none: only train may hold images without one."
        )
    for what, values in (("labels", labels), ("groups", groups)):
        if values is not None and len(values) != len(pixels):
            raise InvalidValueError(
                f"Expected as many {what} as images in {split}, got {len(values)} and "
                f"{len(pixels)}: give one for each image."
            )
    named = None if groups is None else np.array([str(one) for one in plain(groups)], dtype=np.str_)
    if labels is None:
        return pixels, None, named
    found = plain(labels)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim not in (1, 2):
        raise InvalidValueError(
            f"Expected {split} labels of shape (count,), or (count, labels) of 0 and 1, got "
            f"{found.shape}: give one class for each image."
        )
    return pixels, found, named


def _check_classes(splits: Mapping[str, ImageSplit], names: Sequence[str], task: Task) -> None:
    """Refuse labels out of range, a class that train lacks, and a group in two splits."""
    for split, one in splits.items():
        known = one.labels[(one.labels != UNLABELLED).reshape(len(one), -1).all(axis=1)]
        if split != "train" and len(known) < len(one):
            raise InvalidValueError(
                f"Expected labels for {split}, got images without one: only train may hold them."
            )
        members = class_members(known, task, len(names)) if len(known) else np.zeros((0, 1))
        empty = np.flatnonzero(members.sum(axis=0) == 0)
        if split == "train" and task != "multilabel" and (len(empty) or not len(known)):
            lacking = names[int(empty[0])]
            raise InvalidValueError(
                f"Expected images of every class in train, got none of {lacking!r}: add some, or "
                "leave the class out."
            )
    if len(names) < 2:
        raise InvalidValueError(
            f"Expected at least 2 classes, got the class {listed(names)} alone: add images of "
            "another."
        )
    place: dict[str, str] = {}
    for split, one in splits.items():
        for group in () if one.groups is None else set(one.groups.tolist()):
            if place.setdefault(group, split) != split:
                raise InvalidValueError(
                    f"Expected every group in one split, got {group!r} in {place[group]} and "
                    f"{split}: move its images to one of them."
                )


def _completed(
    splits: Mapping[str, ImageSplit], num_classes: int, task: Task
) -> tuple[dict[str, ImageSplit], tuple[str, ...]]:
    """Make the splits that are not given, as folders of images have them made, and say so."""
    if "val" in splits or "train" not in splits:
        return dict(splits), ()
    dealing = VAL_OF_TRAIN if "test" in splits else ALL_SPLITS
    train = splits["train"]
    if task == "multilabel":
        raise InvalidValueError(
            "Expected `val` for images with several labels, got none: give train, val and test."
        )
    dealt = split_by_group(
        train.labels, train.groups, dealing.shares, seed=SPLIT_SEED, num_classes=num_classes
    )
    made = {name: train.take(indices) for name, indices in dealt.items()}
    kept = {
        name: one if name == "train" else one.take(np.flatnonzero(one.labels != UNLABELLED))
        for name, one in made.items()
    }
    return {**splits, **kept}, (dealing.note(by_group=train.groups is not None),)


def _positive(name: str | None, names: Sequence[str], task: Task) -> int | None:
    if name is None:
        return 1 if task == "binary" else None
    if task != "binary" or name not in names:
        raise InvalidValueError(
            f"Expected `positive` to be one of two classes, got {name!r} of {listed(names)}: leave "
            "it out, or give one of two."
        )
    return names.index(name)
