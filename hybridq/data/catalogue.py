"""List the named sets and download them (`hybridq data list` and `fetch`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hybridq.data.dataset import Task
from hybridq.data.source import find_source
from hybridq.data.sources.fetch import ensure_file, find_file, search_folders
from hybridq.data.sources.medmnist import MEDMNIST, SIZES
from hybridq.errors import InvalidValueError


@dataclass(frozen=True)
class DataRow:
    """One named set.

    Attributes:
        name: The name that `load_data` takes.
        task: `binary`, `multiclass` or `multilabel`.
        num_classes: Number of classes, or of labels in a multi-label task.
        channels: 1 (grey) or 3 (colour).
        counts: Number of images in train, val and test.
        licence: Licence of the images.
        url: Address of the file at 28 px.
        md5: MD5 of the file at 28 px.
        local_sizes: sizes, in pixels, whose files are on this machine.
    """

    name: str
    task: Task
    num_classes: int
    channels: int
    counts: tuple[int, int, int]
    licence: str
    url: str
    md5: str
    local_sizes: tuple[int, ...]


def list_data(data_root: str | Path | None = None) -> list[DataRow]:
    """List the named sets, and which of their files are on this machine.

    Args:
        data_root: Folder of named sets; None means HYBRIDQ_DATA, then the user's cache folder.
    """
    folders = search_folders(data_root)
    return [
        DataRow(
            name=entry.name,
            task=entry.task,
            num_classes=len(entry.class_names),
            channels=entry.channels,
            counts=entry.counts,
            licence=entry.licence,
            url=entry.url(SIZES[0]),
            md5=entry.md5_of(SIZES[0]),
            local_sizes=tuple(size for size in SIZES if find_file(entry, size, folders)),
        )
        for _, entry in sorted(MEDMNIST.items())
    ]


def fetch_data(source: str, *, data_root: str | Path | None = None) -> Path:
    """Download a named set, checked by its MD5, unless its file is there already.

    Args:
        source: `breastmnist` or `breastmnist,size=64`.
        data_root: Folder of named sets; None means HYBRIDQ_DATA, then the user's cache folder.

    Returns:
        The path of the file.

    Raises:
        InvalidValueError: If it is not the name of a MedMNIST set.
        UnavailableError: If the download fails; the message says which file to put where.
    """
    found = find_source(source)
    if found.name not in MEDMNIST:
        raise InvalidValueError(
            f"Expected the name of a MedMNIST set, got {source!r}, which needs no download: "
            "`hybridq data list` shows the names."
        )
    return ensure_file(MEDMNIST[found.name], found.fields.get("size", SIZES[0]), data_root)
