"""Checking what was read against the description of its kind of file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hybridq.errors import InvalidValueError
from hybridq.utils.files import read_csv
from hybridq_backends.utils.names import field_name

RESTORE = "restore it from a copy, or run the command again."
"""What a user can do about a damaged record of a run."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A figure of merit, a probability, or a part of a whole."""

Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """Base of all descriptions: no number in quotes, none that is not finite; more is allowed."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class TableRow(BaseModel):
    """Base of the descriptions of a row of CSV: all cells are text, and an empty one is none."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_for_empty(cls, row: dict[str, str]) -> dict[str, str | None]:
        return {name: cell or None for name, cell in row.items()}


def _whole(cell: str | None) -> int:
    if cell is None:
        raise ValueError("a whole number is missing")
    return int(cell)


def _number(cell: str | None) -> float:
    if cell is None:
        raise ValueError("a number is missing")
    return float(cell)


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number in a cell."""

Number = Annotated[float, BeforeValidator(_number)]
"""A number in a cell."""

ShareCell = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
"""A figure of merit in a cell."""


def check_record(
    model: type[BaseModel], value: Any, what: str, path: Path, remedy: str = RESTORE
) -> None:
    """Refuse a value that is not as its description says.

    Args:
        model: The description.
        value: What was read.
        what: What it should be, as in "a result of `hybridq evaluate`".
        path: The file.
        remedy: What the user can do.

    Raises:
        InvalidValueError: If it is not; the message names the place in it.
    """
    try:
        model.model_validate(value)
    except ValidationError as error:
        raise refused(what, path, _complaint(error), remedy) from error


def refused(what: str, path: Path, got: str, remedy: str = RESTORE) -> InvalidValueError:
    """The error of a file that is not what it should be."""
    return InvalidValueError(f"Expected {what} in {path}, got {got}: {remedy}")


def read_rows(
    path: Path, model: type[TableRow], what: str, remedy: str = RESTORE
) -> list[dict[str, str]]:
    """Read a CSV table of at least one row, each as its description says.

    Raises:
        InvalidValueError: If it cannot be read, or a row is not as described.
    """
    header, lines = read_csv(path)
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    if not rows:
        raise refused(what, path, "a table without rows", remedy)
    for number, row in enumerate(rows, start=2):
        check_record(model, row, f"{what}, row {number},", path, remedy)
    return rows


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content, as JSON gives it back, with a hash of itself: damage to it is seen."""
    plain = json.loads(json.dumps(content, allow_nan=False))
    return {**plain, SEAL: hash_of(plain)}


def is_sealed(content: Mapping[str, Any]) -> bool:
    """Whether the content is what `seal` was given."""
    rest = {name: value for name, value in content.items() if name != SEAL}
    return content.get(SEAL) == hash_of(rest)


SEAL = "sha256"


def hash_of(content: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of what a JSON file holds; the order of its fields does not count."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _complaint(error: ValidationError) -> str:
    """The first complaint of pydantic, as what was got."""
    first = error.errors(include_url=False)[0]
    place = field_name(first["loc"])
    if first["type"] == "missing":
        return f"one without {place!r}"
    said = first["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    if not place:
        return said
    got = repr(first.get("input"))
    return f"{got if len(got) <= 60 else got[:60] + '...'} for {place!r} ({said})"


def same_numbers(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether numbers agree but for the rounding of another machine; NaN agrees with NaN."""
    return len(found) == len(expected) and all(
        abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b)) or (a != a and b != b)
        for a, b in zip(found, expected, strict=True)
    )
