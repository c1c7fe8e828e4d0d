"""Load arrays: MedMNIST sets by name, and `.npz` files in their format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import ImageData, ImageSplit, Task
from hybridq.data.sources.entry import Asked
from hybridq.data.sources.fetch import ensure_file
from hybridq.data.sources.medmnist import MEDMNIST
from hybridq.data.sources.npz import CLASS_NAMES, NpzReader, class_count, open_npz
from hybridq.data.splits import class_members, labelled_mask
from hybridq.errors import InvalidValueError
from hybridq.utils.arrays import write_arrays
from hybridq_backends.utils.names import legible


def load_named(asked: Asked) -> ImageData:
    """Load a MedMNIST set.

    Raises:
        InvalidValueError: If its file is damaged or of another format.
        UnavailableError: If it cannot be downloaded.
    """
    entry, size = MEDMNIST[asked.name], asked.fields.get("size", 28)
    path = ensure_file(entry, size, asked.data_root, download=asked.download)
    with open_npz(path) as reader:
        loaded = _read_splits(reader, asked.splits, entry.task, len(entry.class_names))
    for split, data in loaded.items():
        expected = (size, size, entry.channels)
        if data.images.shape[1:] != expected:
            raise InvalidValueError(
                f"Expected {split} images of shape {expected} in {path}, got "
                f"{data.images.shape[1:]}: this is not {entry.name} at {size} px; move the file "
                "away and run again."
            )
    return ImageData(
        name=entry.name,
        task=entry.task,
        class_names=entry.class_names,
        splits=loaded,
        licence=entry.licence,
        positive=entry.positive,
        notes=entry.notes,
        file=path,
        official_md5=entry.md5_of(size),
    )


def load_npz(asked: Asked) -> ImageData:
    """Load an `.npz` file in MedMNIST's format.

    It may also have what `save_npz` writes: `class_names`, `positive`, `licence`, and
    `train_groups`, `val_groups`, `test_groups`.

    Raises:
        InvalidValueError: If it is another kind of file, or something in it is wrong.
    """
    path = Path(os.path.expanduser(asked.name))
    if path.suffix.lower() != ".npz":
        raise InvalidValueError(
            f"Expected a folder or an .npz file, got the file {path}: give one of these."
        )
    with open_npz(path) as reader:
        splits = [
            name for name in asked.splits if name not in asked.optional or reader.has_split(name)
        ]
        count, many = class_count(reader, splits)
        task: Task = "multilabel" if many else "binary" if count == 2 else "multiclass"
        names = reader.class_names() or tuple(map(str, range(count)))
        if len(names) != count:
            raise InvalidValueError(
                f"Expected {count} names in `{CLASS_NAMES}` of {path}, one for each column of "
                f"labels, got {len(names)}: store as many."
            )
        loaded = _read_splits(reader, splits, task, count)
        positive, licence = reader.text("positive"), reader.text("licence")
    if positive is not None and (task != "binary" or positive not in names):
        raise InvalidValueError(
            f"Expected `positive` in {path} to be one of two classes, got {positive!r}: correct it."
        )
    check_one_shape(path, {name: data.images.shape[1:] for name, data in loaded.items()})
    return ImageData(
        name=legible(path.stem),
        task=task,
        class_names=names,
        splits=loaded,
        licence="not stated" if licence is None else licence,
        positive=names.index(positive) if positive else 1 if task == "binary" else None,
    )


def save_npz(data: ImageData, path: Path, *, force: bool) -> Path:
    """Write data as an `.npz` file that `load_npz` reads; `ImageData.save` documents it."""
    if path.suffix.lower() != ".npz":
        raise InvalidValueError(
            f"Expected a file that ends in .npz, got {str(path)!r}: write "
            f"{str(path.with_name(path.name + '.npz'))!r}."
        )
    if path.exists() and (path.is_dir() or not force):
        raise InvalidValueError(
            f"Expected a new file, got {str(path)!r}, which exists: choose another, or replace a "
            "file with force=True."
        )
    if not data.class_names:
        raise InvalidValueError(
            "Expected images with labels, got images alone, which no source reads: give labels."
        )
    arrays: dict[str, NDArray[Any]] = {
        CLASS_NAMES: np.array(data.class_names),
        "licence": np.array(data.licence),
    }
    if data.positive is not None:
        arrays["positive"] = np.array(data.class_names[data.positive])
    for name, split in data.splits.items():
        arrays[f"{name}_images"] = split.images
        arrays[f"{name}_labels"] = split.labels
        if split.groups is not None:
            arrays[f"{name}_groups"] = split.groups
    write_arrays(path, arrays, compressed=True)
    return path


def check_one_shape(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse splits of an `.npz` file whose images differ in shape.

    Args:
        path: Path of the file.
        shapes: `(height, width, channels)` of each split.

    Raises:
        InvalidValueError: If they differ.
    """
    if len(set(shapes.values())) > 1:
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InvalidValueError(
            f"Expected one image shape in all splits of {path}, got {got}: store them alike."
        )


def _read_splits(
    reader: NpzReader, splits: Sequence[str], task: Task, num_classes: int
) -> dict[str, ImageSplit]:
    loaded: dict[str, ImageSplit] = {}
    for split in splits:
        data = reader.split(split)
        try:
            members = class_members(data.labels[labelled_mask(data.labels)], task, num_classes)
        except InvalidValueError as error:
            raise InvalidValueError(f"{reader.path}, {split}: {error}") from error
        empty = np.flatnonzero(members.sum(axis=0) == 0)
        if split == "train" and task != "multilabel" and len(empty):
            raise InvalidValueError(
                f"Expected images of every class in train of {reader.path}, got none of class "
                f"{int(empty[0])}: add images, or number the classes without gaps."
            )
        loaded[split] = data
    return loaded
