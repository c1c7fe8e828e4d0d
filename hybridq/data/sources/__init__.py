"""The sources of images by name; a source of your own is an entry in `SOURCES`."""

from __future__ import annotations

import os
from pathlib import Path

from hybridq.data.sources.entry import Asked, SourceEntry
from hybridq.data.sources.medmnist import MEDMNIST

__all__ = ["SOURCES", "Asked", "SourceEntry"]


def _is_folder(name: str) -> bool:
    return Path(os.path.expanduser(name)).is_dir()


def _is_file(name: str) -> bool:
    path = Path(os.path.expanduser(name))
    return path.exists() and not path.is_dir()


SOURCES: dict[str, SourceEntry] = {
    "folder": SourceEntry(_is_folder, "hybridq.data.sources.folder:load", files=True, columns=True),
    "npz": SourceEntry(_is_file, "hybridq.data.sources.arrays:load_npz"),
    "medmnist": SourceEntry(
        MEDMNIST.__contains__,
        "hybridq.data.sources.arrays:load_named",
        fields={"size": int},
        names=lambda: MEDMNIST,
        own=False,
    ),
    "phantom": SourceEntry(
        "phantom".__eq__,
        "hybridq.data.sources.phantom:load",
        fields={"size": int, "count": int, "balance": float, "seed": int, "finding": str},
        names=lambda: ("phantom",),
        own=False,
    ),
}
"""The sources by name; if several match, the last one counts, so that new ones win."""
