"""Read and write CSV files whose cells no spreadsheet runs as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hybridq.errors import InvalidValueError
from hybridq_backends.utils.atomic import write_bytes
from hybridq_backends.utils.files import read_text

_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
"""Matches the beginning of a cell that a spreadsheet would run, or that was marked as text."""

MAX_BYTES = 2**30
"""The most bytes of a table."""

_MARK = "'"
"""The mark before such a cell, which makes it text."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a table as CSV text; a cell that a spreadsheet would run gets a mark before it."""
    return "".join(_line([_safe(cell) for cell in row]) for row in (header, *rows))


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table to a file as `csv_text`, atomically.

    Args:
        path: The file.
        header: Names of the columns.
        rows: The cells of each row.
    """
    write_bytes(path, csv_text(header, rows).encode(errors="backslashreplace"))


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read the header and the rows that `write_csv` wrote.

    Raises:
        MissingFileError: If the file is missing.
        InvalidValueError: If it is not such a table.
    """
    remedy = "restore it from a copy, or make it again."
    text = read_text(path, "a CSV table", remedy, limit=MAX_BYTES)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [[_plain(cell) for cell in row] for row in reader]
    except csv.Error as error:
        raise InvalidValueError(
            f"Expected a CSV table in {path}, got a damaged file ({error}): {remedy}"
        ) from error
    header = lines[0] if lines else []
    if not header or len(set(header)) != len(header):
        raise InvalidValueError(
            f"Expected a line of different column names first in {path}, got "
            f"{','.join(header)!r}: {remedy}"
        )
    if not text.endswith("\n"):  # as every table ends that was written whole
        raise InvalidValueError(
            f"Expected a whole line at the end of {path}, got a file that was cut off: {remedy}"
        )
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(header):
            raise InvalidValueError(
                f"Expected {len(header)} cells in row {number} of {path}, got {len(row)}: {remedy}"
            )
    return header, lines[1:]


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)  # so that both are quoted in a cell
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def _safe(cell: Any) -> str:
    text = "" if cell is None else str(cell)
    return _MARK + text if _FORMULA.match(text) and not _is_number(text) else text


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith(_MARK) and _FORMULA.match(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text and not text[0].isspace()
