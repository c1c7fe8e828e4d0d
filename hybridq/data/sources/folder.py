"""Folders of images: `split/class/*.png`, `class/*.png`, or listed in a `manifest.csv`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hybridq.data.dataset import SPLITS, ImageData, ImageSplit
from hybridq.data.sources.columns import CLASSES, REST, chosen_records, columns_of
from hybridq.data.sources.entry import Asked
from hybridq.data.sources.images import is_image_file, probe_image, read_image
from hybridq.data.sources.inside import Inside
from hybridq.data.sources.manifest import MANIFEST, read_manifest
from hybridq.data.sources.records import (
    OnProblem,
    Record,
    check_records,
    class_names,
    complete_splits,
    group_names,
    label_indices,
    raise_problem,
)
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq_backends.utils.names import legible

DEFAULT_SIZE = 224
"""The side, in pixels, of the images of a folder whose images differ in size."""

_OTHER_NAMES = {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "testing": "test",
}


def load(asked: Asked) -> ImageData:
    """Answer a request by `load_folder`."""
    path = Path(os.path.expanduser(asked.name))
    return load_folder(
        path,
        splits=asked.splits,
        image_size=asked.image_size,
        fields=asked.fields,
        optional=asked.optional,
    )


def load_folder(
    root: Path,
    *,
    splits: Sequence[str] = SPLITS,
    image_size: int | None = None,
    fields: Mapping[str, str] | None = None,
    optional: Sequence[str] = (),
) -> ImageData:
    """Load the images of a folder.

    The classes are the names of the class folders, or the labels of the manifest, sorted. A
    missing val split is taken from train, and class folders or a manifest without splits are dealt
    out 70/10/20, both stratified, seeded and by group. Images are resized as a whole to a square
    (bilinear, antialiased, no crop, no padding), or kept as they are where `image_size` is None and
    they are all of one size; where they are not, the side is 224 pixels. They have 3 channels, or
    1 if every image of the folder is grey. Size and channels do not depend on `splits`.

    Args:
        root: The folder.
        splits: Which of train, val and test to read.
        image_size: Side in pixels, or None.
        fields: Values of columns of the manifest; only images with them count.
        optional: The ones of `splits` that are left out where they are not there.

    Raises:
        MissingFileError: If the folder, an asked-for split, or an image is not there.
        InvalidValueError: If something in the folder is wrong; the message names the file.
    """
    if image_size is not None and image_size < 1:
        raise InvalidValueError(
            f"Expected `image_size` of at least 1 pixel, got {image_size}: choose another."
        )
    fields = fields or {}
    records = chosen_records(root, scan_folder(root), fields)
    is_trained_on = "train" in splits and "train" not in optional
    check_records(root, records, raise_problem, trained_on=is_trained_on)
    names = class_names(records)
    shapes = {probe_image(record.path) for record in records}
    records, notes = complete_splits(records)
    sizes = {shape[:2] for shape in shapes}
    keep_files = image_size is None and len(sizes) > 1
    if keep_files:
        image_size = DEFAULT_SIZE
        notes.append(f"The images differ in size: all were resized to {DEFAULT_SIZE} px.")
    height, width = (image_size, image_size) if image_size is not None else next(iter(sizes))
    shape = (height, width, max(shape[2] for shape in shapes))
    loaded: dict[str, ImageSplit] = {}
    for split in splits:
        chosen = [record for record in records if record.split == split]
        if not chosen and split in optional:
            continue
        if not chosen:
            there = [name for name in SPLITS if any(one.split == name for one in records)]
            raise MissingFileError(
                f"Expected images in the {split} split of {root}, got none: add them, or take one "
                f"of {', '.join(there)} where a split can be chosen (--split {there[-1]}, or "
                f"split={there[-1]!r} in Python)."
            )
        loaded[split] = _read_split(chosen, names, shape, image_size, keep_files=keep_files)
        missing = sorted(set(names) - {record.label for record in chosen})
        if missing:
            notes.append(f"The {split} split has no image of {', '.join(missing)}.")
    named = fields.get(CLASSES, "").split("+")
    return ImageData(
        name=legible(",".join([root.resolve().name, *(f"{k}={v}" for k, v in fields.items())])),
        task="binary" if len(names) == 2 else "multiclass",
        class_names=names,
        splits=loaded,
        positive=None if len(names) != 2 else names.index(named[0]) if REST in named else 1,
        notes=tuple(notes),
    )


def scan_folder(root: Path, on_problem: OnProblem = raise_problem) -> list[Record]:
    """List the images of a folder without opening them.

    Args:
        root: The folder.
        on_problem: A function that takes each fault.

    Raises:
        MissingFileError: If there is no folder, or it has neither layout.
        InvalidValueError: If something in it is wrong, unless `on_problem` does otherwise.
    """
    if not root.is_dir():
        raise MissingFileError(f"Expected a folder at {root}, got none: check the path.")
    if os.path.lexists(root / MANIFEST):
        return read_manifest(root, on_problem)
    held = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    inside = Inside(root)
    others = any(name.lower() in _OTHER_NAMES for name in held)
    if not any((root / split).is_dir() for split in (("train",) if others else SPLITS)):
        if _has_class_folders(root, held):
            return _scan_classes(inside, None, on_problem)
        raise MissingFileError(
            f"Expected {MANIFEST}, train/CLASS/*.png or CLASS/*.png in {root}, got "
            f"{', '.join(held[:6]) or 'an empty folder'}: lay the images out in one of these ways."
        )
    for name in held:
        if name.lower() in _OTHER_NAMES and (root / name).is_dir():
            on_problem(
                InvalidValueError(
                    f"Expected the split folders train, val and test in {root}, got {name}: rename "
                    f"it to {_OTHER_NAMES[name.lower()]}."
                )
            )
    records: list[Record] = []
    for split in SPLITS:
        if (root / split).is_dir():
            records += _scan_classes(inside, split, on_problem)
    return records


def _has_class_folders(root: Path, held: Sequence[str]) -> bool:
    """Whether folders with images lie at the top, and none has the name of a split."""
    folders = [root / name for name in held if (root / name).is_dir()]
    if any(folder.name.lower() in {*SPLITS, *_OTHER_NAMES} for folder in folders):
        return False
    return any(any(map(is_image_file, folder.iterdir())) for folder in folders)


def _scan_classes(inside: Inside, split: str | None, on_problem: OnProblem) -> list[Record]:
    """List the images of the class folders in a split, or at the top where there is none."""
    root = inside.root
    records: list[Record] = []
    above = f"{split}/" if split else ""
    if split is not None and not _passes(inside.check, root / split, on_problem):
        return records
    for entry in sorted((root / above).iterdir()):
        if is_image_file(entry):
            on_problem(
                InvalidValueError(
                    f"Expected {above}CLASS/*.png in {root}, got the image {entry}: move it into "
                    "the folder of its class."
                )
            )
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        if not _passes(inside.check, entry, on_problem):
            continue
        held = sorted(entry.iterdir())
        for folder in held:
            if folder.is_dir() and not folder.name.startswith("."):
                on_problem(
                    InvalidValueError(
                        f"Expected only images in {entry}, got the folder {folder.name}: move its "
                        f"images up, or list them in {MANIFEST} with a group."
                    )
                )
        named = [path for path in held if is_image_file(path) and not path.is_dir()]
        images = [path for path in named if _passes(inside.check_image, path, on_problem)]
        if not named:
            on_problem(
                InvalidValueError(
                    f"Expected images of the class {entry.name!r} in {entry}, got none: add some "
                    "or remove the folder."
                )
            )
        records += [
            Record(
                id=legible(f"{above}{entry.name}/{path.name}"),
                path=path,
                label=legible(entry.name),
                split=split,
            )
            for path in images
        ]
    return records


def _passes(check: Callable[[Path], None], path: Path, on_problem: OnProblem) -> bool:
    """Whether a check accepts a path; otherwise its error has been handed on."""
    try:
        check(path)
    except HybridqError as error:
        on_problem(error)
        return False
    return True


def _read_split(
    records: Sequence[Record],
    names: Sequence[str],
    shape: tuple[int, int, int],
    image_size: int | None,
    *,
    keep_files: bool,
) -> ImageSplit:
    from tqdm import tqdm

    images = np.empty((len(records), *shape), dtype=np.uint8)
    for index, record in enumerate(
        tqdm(records, desc=f"reading {records[0].split}", disable=None, leave=False)
    ):
        images[index] = read_image(record.path, channels=shape[2], image_size=image_size)
    return ImageSplit(
        images=images,
        labels=label_indices(records, names),
        ids=tuple(record.id for record in records),
        groups=group_names(records),
        columns=columns_of(records),
        files=tuple(record.path for record in records) if keep_files else None,
    )
