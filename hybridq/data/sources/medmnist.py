"""The twelve 2D sets of MedMNIST v2, as a table of facts.

The facts (URLs, MD5 sums, classes, counts, licences) are those of `medmnist.INFO`, version 3.0.2;
the data is described in Yang et al., "MedMNIST v2", Scientific Data 10, 41 (2023).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridq.data.dataset import Task
from hybridq.errors import InvalidValueError

SIZES = (28, 64, 128, 224)
"""The widths, in pixels, at which every set is published."""

BASE_URL = "https://zenodo.org/records/10519652/files"


@dataclass(frozen=True)
class MedMnistSet:
    """The facts about one set that are known before a file is read.

    Attributes:
        name: Name in lower case, with which the file's name begins.
        task: `binary`, `multiclass` or `multilabel`; ordinal grades count as multi-class.
        class_names: Names of the labels 0, 1, ... in that order.
        channels: 1 (grey) or 3 (colour).
        counts: Number of images in train, val and test.
        md5: MD5 of the official file, one for each of `SIZES`.
        licence: Licence of the images.
        positive: Index of the class that sensitivity speaks of, for a binary task.
        notes: Sentences worth printing beside any figure from this data.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    channels: int
    counts: tuple[int, int, int]
    md5: tuple[str, str, str, str]
    licence: str = "CC BY 4.0"
    positive: int | None = None
    notes: tuple[str, ...] = ()

    def file_name(self, size: int) -> str:
        """Return the file's name: `breastmnist.npz` at 28 px, else such as `breastmnist_64.npz`."""
        return f"{self.name}.npz" if size == SIZES[0] else f"{self.name}_{size}.npz"

    def url(self, size: int) -> str:
        """Return the address of the official file."""
        return f"{BASE_URL}/{self.file_name(size)}?download=1"

    def md5_of(self, size: int) -> str:
        """Return the MD5 sum of the official file."""
        return self.md5[SIZES.index(size)]


def _read() -> dict[str, MedMnistSet]:
    """Read the table that lies beside this module."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = tomllib.loads(text)
    found = {}
    for name, listed in table.items():
        facts: dict[str, Any] = {
            key: tuple(fact) if isinstance(fact, list) else fact for key, fact in listed.items()
        }
        found[name] = MedMnistSet(name, **facts)
    return found


MEDMNIST: dict[str, MedMnistSet] = _read()
"""The sets by name."""


def check_size(size: int) -> int:
    """Return `size` if MedMNIST is published at it.

    Raises:
        InvalidValueError: If it is not one of `SIZES`.
    """
    if size not in SIZES:
        choices = ", ".join(map(str, SIZES))
        raise InvalidValueError(
            f"Expected a MedMNIST size among {choices}, got {size}: choose one of them "
            "(images are resized for the model afterwards)."
        )
    return size
