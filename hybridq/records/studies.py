"""What the engine of studies keeps: units, their seconds, and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hybridq.records.record import Number, Record, TableRow, refused
from hybridq.utils.files import reading


class StageRow(TableRow):
    """A row of `seconds.csv`: how long the units of a stage took."""

    stage: str
    seconds: Number = Field(ge=0)


class SealedUnit(Record):
    """What a unit of a study left, with the hash of all of it."""

    seconds: float = Field(ge=0)
    sha256: str


def read_arrays(path: Path, what: str, remedy: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of an `.npz`; none may be of objects, which could hold code.

    Raises:
        InvalidValueError: If the file is missing or damaged.
    """
    try:
        with reading(path), np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except ValueError as error:
        state = "a damaged file" if path.is_file() else "no such file"
        raise refused(what, path, state, remedy) from error
