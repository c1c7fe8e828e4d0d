"""Write files so that each is the old one or the whole new one; report damage in one line."""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hybridq.errors import InvalidValueError
from hybridq.utils.csv_files import csv_text, read_csv, write_csv
from hybridq.utils.outside import is_out_of_memory, space_error
from hybridq_backends.utils.atomic import atomic_path, check_writable, remove_leftovers, write_bytes
from hybridq_backends.utils.files import (
    check_regular,
    open_regular,
    parse_json,
    read_json,
    read_text,
    read_toml,
)

__all__ = [
    "UNREADABLE",
    "append_jsonl",
    "atomic_path",
    "check_out",
    "check_regular",
    "csv_text",
    "open_regular",
    "parse_json",
    "read_csv",
    "read_json",
    "read_jsonl",
    "read_text",
    "read_toml",
    "reading",
    "remove_leftovers",
    "without_nan",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_jsonl",
    "write_text",
]

MAX_LINES_BYTES = 2**30
"""The most bytes of a file of JSON lines."""

UNREADABLE: tuple[type[Exception], ...] = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError),
    *(RuntimeError, TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""The errors that readers raise for a missing or damaged file, or one of another format."""


@contextmanager
def reading(path: Path, *more: type[Exception]) -> Iterator[Path]:
    """Yield `path` to be read, and turn the errors of its reader into one line.

    Args:
        path: The file.
        more: Further errors that its reader raises.

    Raises:
        InvalidValueError: If it cannot be read.
        MemoryError: If memory ran out, which is not a fault of the file.
    """
    caught: tuple[type[Exception], ...] = (MemoryError, *UNREADABLE, *more)
    try:
        yield path
    except caught as error:
        if is_out_of_memory(error):
            error.add_note(f"{path} was being read")
            raise
        state = "a damaged file" if path.is_file() else "no such file"
        raise InvalidValueError(
            f"Expected {path.name} in {path.parent}, got {state} ({type(error).__name__}): restore "
            "it from a copy."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically as UTF-8; other characters are written as escapes."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def without_nan(value: Any) -> Any:
    """Replace NaN and infinity by None, since JSON has neither."""
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON object as a line.

    Raises:
        OSError: If the disk fails; the error names `path`.
    """
    line = json.dumps(row, allow_nan=False) + "\n"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON objects as lines, atomically."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON objects, one a line; a last line cut short by a kill is left out.

    Raises:
        InvalidValueError: If another line is not a JSON object.
    """
    if not path.exists():
        return []
    remedy = "restore it from a copy, or remove the line."
    *lines, last = read_text(path, "JSON lines", remedy, limit=MAX_LINES_BYTES).split("\n")
    rows = []
    for number, line in enumerate([*lines, last] if last else lines, start=1):
        what = f"a JSON object in line {number} of {str(path)!r}"
        try:
            row = parse_json(line, what, remedy)
        except InvalidValueError:
            if number > len(lines):
                break
            raise
        if not isinstance(row, dict):
            raise InvalidValueError(f"Expected {what}, got {type(row).__name__}: {remedy}")
        rows.append(row)
    return rows


def check_out(path: Path, *, force: bool) -> None:
    """Refuse a file that exists or cannot be written, before anything is computed for it.

    Raises:
        InvalidValueError: If it exists and `force` is not given, is no file, or cannot be made.
        OSError: If the disk is full.
    """
    try:
        what = _no_file(path)
        if what is None and (force or not path.exists()):
            check_writable(path)
    except OSError as error:
        if space_error(error):
            raise
        what = f"cannot be written ({error.strerror})"
    if what is not None:
        raise InvalidValueError(
            f"Expected a file after --out, got {str(path)!r}, which {what}: choose another."
        )
    if path.exists() and not force:
        raise InvalidValueError(
            f"Expected a new file after --out, got {str(path)!r}, which exists: choose another, "
            "or add --force."
        )


def _no_file(path: Path) -> str | None:
    """Say why a file cannot be written at a path; None if it can."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if path.is_dir():
        return "is a folder"
    if not above.is_dir():
        return f"lies below the file {above}"
    return "is no regular file" if path.exists() and not path.is_file() else None
