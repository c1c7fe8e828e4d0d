"""Tables of studies: rows by columns, and CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hybridq.evaluation.statistics import Measured
from hybridq.utils.arrays import write_arrays
from hybridq.utils.files import write_csv

RowT = TypeVar("RowT", bound=Mapping[str, Any])


def grouped(rows: Sequence[RowT], *names: str) -> dict[Any, list[RowT]]:
    """Group rows by the values of columns, in the order in which these values come.

    Args:
        rows: The rows of a table.
        names: The names of the columns.

    Returns:
        From the value of the one column, or the tuple of several, to their rows.
    """
    groups: dict[Any, list[RowT]] = {}
    for row in rows:
        values = tuple(row[name] for name in names)
        groups.setdefault(values if len(names) > 1 else values[0], []).append(row)
    return groups


def write_rows(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Write dicts as CSV, numbers in full; what is unknown is empty.

    Args:
        path: The file.
        rows: The rows, at least one where no columns are given.
        columns: Keys, in their order; those of the first row where they are not given.
    """
    header = list(columns or rows[0])
    write_csv(path, header, [[cell(row[name]) for name in header] for row in rows])


def cell(value: Any) -> str:
    """Write a value as it stands in a table: a number in full, nothing where it is unknown."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def write_measured(path: Path, measured: Mapping[tuple[str, str], Measured]) -> None:
    """Write figures of all cells, and what each image adds to them, by the two names of each.

    Args:
        path: The file, `measured.npz`.
        measured: The figures; no name has a slash.
    """
    arrays = {
        f"{first}/{second}/{part}": array
        for (first, second), own in measured.items()
        for part, array in own.arrays().items()
    }
    write_arrays(path, arrays, compressed=True)
