"""What data a run used: a hash of each split, and whether a named set's file is official."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hybridq.data.dataset import ImageData, ImageSplit
from hybridq.errors import InvalidValueError

logger = logging.getLogger("hybridq")

BLOCK = 1024
"""Images that are hashed at a time."""


def data_record(data: ImageData) -> dict[str, Any]:
    """What `environment.json` says of the data of a run; a line tells of an unofficial file.

    Returns:
        `name`; `splits` with the number of images and the hash of each split that was read; and,
        of a named set, `file` with its MD5, the official one, and whether they are equal.
    """
    record: dict[str, Any] = {
        "name": data.name,
        "splits": {
            name: {"images": len(split), "sha256": split_hash(data, split)}
            for name, split in data.splits.items()
        },
    }
    if data.file is not None and data.official_md5 is not None:
        found = _md5(data.file)
        record["file"] = {
            "md5": found,
            "official_md5": data.official_md5,
            "is_official": found == data.official_md5,
        }
        if note := unofficial(data):
            _tell(note)
    return record


def split_hash(data: ImageData, split: ImageSplit) -> str:
    """SHA-256 of a split: of its images in their order, labels, classes, and who share a group.

    The names of images and groups are left out: the same pixels and labels are the same data.
    """
    groups = None
    if split.groups is not None:
        numbers: dict[str, int] = {}
        groups = [numbers.setdefault(str(name), len(numbers)) for name in split.groups]
    about = [data.task, list(data.class_names), list(split.images.shape), groups]
    digest = hashlib.sha256(json.dumps(about).encode())
    digest.update(np.ascontiguousarray(split.labels, dtype="<i8").tobytes())
    for start in range(0, len(split), BLOCK):
        digest.update(np.ascontiguousarray(split.images[start : start + BLOCK]).reshape(-1).data)
    return digest.hexdigest()


def hashes_of_splits(record: Mapping[str, Any]) -> dict[str, str]:
    """The hash of each split in what `data_record` gave."""
    return {name: split["sha256"] for name, split in record["splits"].items()}


def other_splits(known: Mapping[str, str], record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The splits whose data are others than those of a run; None where none can be compared.

    Args:
        known: The hash of each split that the run read.
        record: What `data_record` gave of the data at hand.
    """
    now = hashes_of_splits(record)
    shared = [name for name in now if name in known]
    return tuple(name for name in shared if now[name] != known[name]) if shared else None


def check_same_images(earlier: Any, record: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with other data than a run began with.

    Args:
        earlier: What the run's `environment.json` says of its data; None if nothing.
        record: What `data_record` gave of the data at hand.
        folder: Of the run, for the message.

    Raises:
        InvalidValueError: If images or labels of a split are others.
    """
    try:
        known = hashes_of_splits(earlier)
    except (TypeError, LookupError, AttributeError):  # a run of an earlier version
        return
    if other := other_splits(known, record):
        raise InvalidValueError(
            f"Expected the data that {folder} began with, got other images or labels in "
            f"{' and '.join(other)}: bring the data back as they were, or begin anew without "
            "--resume."
        )


def notes_of(data: ImageData) -> list[str]:
    """The sentences worth printing beside any figure from this data, an unofficial file's too."""
    note = unofficial(data)
    return [*data.notes, *([] if note is None else [f"{note}."])]


def unofficial(data: ImageData) -> str | None:
    """What to say where the file of a named set is not the one that its makers published."""
    if data.file is None or data.official_md5 is None:
        return None
    found = _md5(data.file)
    if found == data.official_md5:
        return None
    return (
        f"{data.file.name} is not the official file (MD5 {found}, official {data.official_md5}): "
        "it was packed again or changed, and figures may not compare with published ones"
    )


def _md5(path: Path) -> str:
    status = path.stat()
    return _md5_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _md5_of(path: Path, size: int, changed: int) -> str:
    """The MD5 of a file, which is read once for each size and time of change."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _tell(note: str) -> None:
    """Say it once in a process."""
    logger.warning("%s", note)
