"""Record the data of a run: a hash of each split, and whether a named set is official."""

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
"""The number of images that are hashed at a time."""


def data_record(data: ImageData) -> dict[str, Any]:
    """Make the record of a run's data for `environment.json`, and log an unofficial file.

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
    """Compute the SHA-256 of a split: images in order, labels, classes, and shared groups.

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
    """Return the hash of each split in a record of `data_record`."""
    return {name: split["sha256"] for name, split in record["splits"].items()}


def other_splits(known: Mapping[str, str], record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """List the splits whose data differ from those of a run; None if none can be compared.

    Args:
        known: The hash of each split that the run read.
        record: The record of the data at hand, from `data_record`.
    """
    now = hashes_of_splits(record)
    shared = [name for name in now if name in known]
    return tuple(name for name in shared if now[name] != known[name]) if shared else None


def check_same_images(earlier: Any, record: Mapping[str, Any], folder: Path) -> None:
    """Refuse to continue a run with other data than it began with.

    Args:
        earlier: The record of the data in the run's `environment.json`, or None.
        record: The record of the data at hand, from `data_record`.
        folder: The folder of the run, for the message.

    Raises:
        InvalidValueError: If images or labels of a split differ.
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
    """List the notes on a data set that belong to any figure from it."""
    note = unofficial(data)
    return [*data.notes, *([] if note is None else [f"{note}."])]


def unofficial(data: ImageData) -> str | None:
    """Write the note on a named set's file that its makers did not publish; None without one."""
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
    """Compute the MD5 of a file; it is read once for each size and time of change."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _tell(note: str) -> None:
    """Log a note once in a process."""
    logger.warning("%s", note)
