"""Files: written so that each is the old one or the whole new one; damage is told in one line."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.files import (
    atomic_path,
    open_regular,
    parse_json,
    read_json,
    read_text,
    read_toml,
)
from hybridq.errors import InvalidValueError

__all__ = [
    "UNREADABLE",
    "append_jsonl",
    "atomic_path",
    "check_out",
    "open_regular",
    "parse_json",
    "read_json",
    "read_jsonl",
    "read_text",
    "read_toml",
    "reading",
    "without_nan",
    "write_csv",
    "write_json",
    "write_jsonl",
    "write_text",
]

UNREADABLE: tuple[type[Exception], ...] = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""What readers raise at a file that is missing, damaged or of another format."""


@contextmanager
def reading(path: Path, *more: type[Exception]) -> Iterator[Path]:
    """Yield `path` to be read; whatever its reader raises at damage becomes one line.

    Args:
        path: The file.
        more: What its reader raises besides.

    Raises:
        InvalidValueError: If it cannot be read.
    """
    try:
        yield path
    except (*UNREADABLE, *more) as error:
        state = "a damaged file" if path.is_file() else "no such file"
        raise InvalidValueError(
            f"Expected {path.name} in {path.parent}, got {state} ({type(error).__name__}): restore "
            "it from a copy."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def without_nan(value: Any) -> Any:
    """The same with NaN and infinity as None, since JSON has neither."""
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV file with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON object as a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON objects as lines, atomically."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines; a last line cut short by a kill is left out."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def check_out(path: Path, *, force: bool) -> None:
    """Refuse a file that exists or cannot be made.

    Raises:
        InvalidValueError: if it exists and `force` is not given, is a folder, or lies below a file.
    """
    if path.is_file() and not force:
        raise InvalidValueError(
            f"Expected a new file after --out, got {str(path)!r}, which exists: choose another, "
            "or add --force."
        )
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if path.is_dir() or not above.is_dir():
        raise InvalidValueError(
            f"Expected a file after --out, got {str(path)!r}, which "
            f"{'is a folder' if path.is_dir() else f'lies below the file {above}'}: choose another."
        )
