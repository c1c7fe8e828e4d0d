"""One way in for every source of images: a named set, a folder, an `.npz`, or the phantom."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hybridq.data.dataset import SPLITS, ImageData, ImageSplit, Task
from hybridq.data.sources.fetch import ensure_file
from hybridq.data.sources.medmnist import MEDMNIST, MedMnistSet
from hybridq.data.sources.npz import NpzReader, class_count, open_npz
from hybridq.data.splits import class_members
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.utils.pseudonyms import Pseudonyms, is_pseudonym, note_names
from hybridq_backends.utils.names import legible

Fields = dict[str, Any]
_PHANTOM_FIELDS: Mapping[str, Callable[[str], Any]] = {
    "size": int,
    "count": int,
    "balance": float,
    "seed": int,
}


def parse_source(source: str) -> tuple[str | Path, Fields]:
    """Split `breastmnist,size=64` into a name and its fields; a path has no fields.

    A MedMNIST name or `phantom` comes before a file or folder of that name in the working
    folder; write `./breastmnist` for the latter.

    Returns:
        The name of a MedMNIST set or `phantom`, or the path of a file or folder that exists; and
        the fields.

    Raises:
        InvalidValueError: if the name is unknown, or a field is not one of the source's.
        MissingFileError: if it is a path and nothing is there.
    """
    name, *assignments = (part.strip() for part in str(source).split(","))
    if name == "phantom":
        return name, _parse_fields(name, assignments, _PHANTOM_FIELDS)
    if name in MEDMNIST:
        return name, _parse_fields(name, assignments, {"size": int})
    if is_pseudonym(source):
        raise InvalidValueError(
            f"Expected the folder or file after --data that is recorded as {source}, got none: "
            "give it, and the --pseudonym-key of then."
        )
    path = Path(os.path.expanduser(source))
    if name and path.exists():
        return path, {}
    if name and (path.name != str(source) or path.suffix):
        raise MissingFileError(
            f"Expected a folder or an .npz file at {source}, got nothing there: check the path."
        )
    known = [*MEDMNIST, "phantom"]
    got = f"{source!r}, and there is no folder of that name" if source else repr(source)
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    remedy = f"did you mean `{nearest[0]}`?" if nearest else f"known are {', '.join(known)}."
    raise InvalidValueError(
        f"Expected a data set's name, a folder or an .npz file, got {got}: {remedy}"
    )


def load_data(
    source: str,
    *,
    data_root: str | Path | None = None,
    splits: Sequence[str] = SPLITS,
    image_size: int | None = None,
    positive: str | None = None,
    download: bool = True,
    pseudonyms: Pseudonyms | None = None,
) -> ImageData:
    """Load a data set into memory.

    Args:
        source: a MedMNIST name (`breastmnist`, `breastmnist,size=64`), a folder (see
            `hybridq.data.sources.folder`), an `.npz` file in MedMNIST's format, or `phantom`
            (`phantom,size=32,count=600,balance=0.5,seed=0`).
        data_root: folder of named sets, which lie at `medmnist/NAME.npz` or `NAME.npz` in it;
            None means the environment variable HYBRIDQ_DATA, then the user's cache folder.
        splits: which of `train`, `val` and `test` to load; the others are not read.
        image_size: side, in pixels, to which the images of a folder are resized. Arrays of an
            `.npz` and of the phantom keep their size: `prepare_images` resizes those by batch.
        positive: name of the positive class of a binary task; None means the set's own (malignant
            for BreastMNIST), else the second class.
        download: whether a named set that is not on disk may be downloaded.
        pseudonyms: stand for the name and the ids of the user's own data, here and so in whatever
            is made of it; None for names as they are, which a line in the log tells once.

    Raises:
        InvalidValueError: if the source, an option, or something in the data is wrong.
        MissingFileError: if a file, folder, split or array is missing.
        UnavailableError: if a download fails.
    """
    wanted = _check_splits(splits)
    name, fields = parse_source(source)
    if name == "phantom":
        from hybridq.data.sources.phantom import make_phantom

        return _with_positive(make_phantom(**fields, splits=wanted), positive)
    if isinstance(name, str):
        entry = MEDMNIST[name]
        size = fields.get("size", 28)
        path = ensure_file(entry, size, data_root, download=download)
        return _with_positive(_load_named(entry, size, path, wanted), positive)
    if name.is_dir():
        from hybridq.data.sources.folder import load_folder

        loaded = load_folder(name, splits=wanted, image_size=image_size)
        return _with_positive(_with_names(loaded, pseudonyms, are_files=True), positive)
    if name.suffix.lower() != ".npz":
        raise InvalidValueError(
            f"Expected a folder or an .npz file, got the file {name}: give one of these."
        )
    loaded = _with_names(_load_npz(name, wanted), pseudonyms, are_files=False)
    return _with_positive(loaded, positive)


def _load_named(entry: MedMnistSet, size: int, path: Path, splits: Sequence[str]) -> ImageData:
    with open_npz(path) as reader:
        loaded = _read_splits(reader, splits, entry.task, len(entry.class_names))
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


def _load_npz(path: Path, splits: Sequence[str]) -> ImageData:
    with open_npz(path) as reader:
        count, many = class_count(reader, splits)
        task: Task = "multilabel" if many else "binary" if count == 2 else "multiclass"
        loaded = _read_splits(reader, splits, task, count)
    check_one_shape(path, {name: data.images.shape[1:] for name, data in loaded.items()})
    return ImageData(
        name=own_name(path),
        task=task,
        class_names=tuple(map(str, range(count))),
        splits=loaded,
        positive=1 if task == "binary" else None,
        own=True,
    )


def check_one_shape(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse splits of an `.npz` file whose images differ in shape.

    Args:
        path: of the file.
        shapes: `(height, width, channels)` of each split.

    Raises:
        InvalidValueError: if they differ.
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
            members = class_members(data.labels, task, num_classes)
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


def is_own(source: str) -> bool:
    """Whether a source is the user's own: a path, not a set by name, the phantom or a pseudonym."""
    name = source.split(",")[0].strip()
    return name != "phantom" and name not in MEDMNIST and not is_pseudonym(source)


def own_name(source: str | Path) -> str:
    """Name of the user's own data: that of its folder, or of its file without the ending."""
    path = Path(os.path.expanduser(source))
    return legible(path.resolve().name if path.is_dir() else path.stem)


def _with_names(data: ImageData, pseudonyms: Pseudonyms | None, *, are_files: bool) -> ImageData:
    """The user's own data with pseudonyms, if there are any, for its name and its ids."""
    if pseudonyms is None:
        if are_files:
            note_names(data.name)
        return data
    splits = {
        name: replace(split, ids=tuple(map(pseudonyms.image, split.ids)))
        for name, split in data.splits.items()
    }
    return replace(data, name=pseudonyms.data(data.name), splits=splits)


def _with_positive(data: ImageData, positive: str | None) -> ImageData:
    if positive is None:
        return data
    if data.task != "binary":
        raise InvalidValueError(
            f"Expected `positive` for a binary task only, got {positive!r} for {data.name}, which "
            f"is {data.task}: leave it out."
        )
    if positive not in data.class_names:
        names = ", ".join(map(repr, data.class_names))
        raise InvalidValueError(
            f"Expected `positive` among {names}, got {positive!r}: give one of these names."
        )
    return replace(data, positive=data.class_names.index(positive))


def _check_splits(splits: Sequence[str]) -> tuple[str, ...]:
    wanted = (splits,) if isinstance(splits, str) else tuple(splits)
    for split in wanted:
        if split not in SPLITS:
            raise InvalidValueError(
                f"Expected splits among train, val, test, got {split!r}: give one of these."
            )
    if not wanted:
        raise InvalidValueError("Expected at least one split, got none: give train, val or test.")
    return wanted


def _parse_fields(
    name: str, assignments: Sequence[str], kinds: Mapping[str, Callable[[str], Any]]
) -> Fields:
    fields: Fields = {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if key not in kinds or not equals:
            raise InvalidValueError(
                f"Expected fields {', '.join(kinds)} for {name}, got {assignment!r}: write "
                f"{name},{next(iter(kinds))}=VALUE."
            )
        if key in fields:
            raise InvalidValueError(f"Expected `{key}` once, got it twice: leave one out.")
        try:
            fields[key] = kinds[key](text)
        except ValueError as error:
            kind = "a whole number" if kinds[key] is int else "a number"
            raise InvalidValueError(
                f"Expected {kind} for `{key}` of {name}, got {text!r}: write one."
            ) from error
    return fields
