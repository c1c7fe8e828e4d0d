"""Read files within bounds, and write files so that each is the old one or the whole new one.

Every small file of a user (options, profiles, calibrations, records of runs) is read by
`read_text`, `read_json` or `read_toml`, and larger files are opened by `open_regular`. They take
regular files only, so that a pipe cannot make them wait and a device cannot fill the memory. Every
fault is one line: "Expected X in PATH, got Y: remedy".
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from hybridq_backends.errors import InvalidValueError, MissingFileError
from hybridq_backends.utils.atomic import atomic_path as atomic_path

MAX_BYTES = 16 * 2**20
"""The most bytes of a document, unless its reader sets another limit."""

MAX_DEPTH = 100
"""The deepest nesting of objects, arrays and tables in a document."""

_KINDS: dict[Callable[[int], bool], str] = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def open_regular(path: str | Path, what: str, remedy: str) -> BinaryIO:
    """Open a regular file, or a link to one, for reading; never wait for it.

    Args:
        path: The file.
        what: What the file should be, as in "a saved calibration".
        remedy: What the user can do, as in "check the path.".

    Raises:
        MissingFileError: If it is not there, cannot be read, or is no regular file.
    """
    check_regular(path, what, remedy)  # before it is opened: to open a device may act on it
    with _told(path, what, remedy):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            _check_kind(os.fstat(handle).st_mode)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise


def check_regular(path: str | Path, what: str, remedy: str) -> None:
    """Refuse a path that is not a regular file or a link to one; arguments as in `open_regular`.

    Raises:
        MissingFileError: If it is not.
    """
    with _told(path, what, remedy):
        _check_kind(os.stat(path).st_mode)


def read_text(path: str | Path, what: str, remedy: str, *, limit: int = MAX_BYTES) -> str:
    """Read a small text file: UTF-8, with or without a byte-order mark, and without NUL.

    Args:
        path: The file.
        what: What it should be, as in "a model card".
        remedy: What the user can do, as in "restore it from a copy.".
        limit: The most bytes that are read.

    Raises:
        MissingFileError: If it is not there, cannot be read, or is no regular file.
        InvalidValueError: If it is too large, or not such text.
    """
    return _decode(path, what, remedy, limit, "text")


def read_json(path: str | Path, what: str, remedy: str, *, limit: int = MAX_BYTES) -> Any:
    """Read a JSON file by `read_text` and `parse_json`, whose arguments and errors it has."""
    text = _decode(path, what, remedy, limit, "JSON")
    return parse_json(text, f"{what} in {str(path)!r}", remedy)


def read_toml(
    path: str | Path, what: str, remedy: str, *, limit: int = MAX_BYTES
) -> dict[str, Any]:
    """Read a TOML file by `read_text` and `parse_toml`, whose arguments and errors it has."""
    text = _decode(path, what, remedy, limit, "TOML")
    return parse_toml(text, f"{what} in {str(path)!r}", remedy)


def parse_json(text: str, what: str, remedy: str) -> Any:
    """Parse JSON in which every number is finite and every key occurs once.

    Args:
        text: The document.
        what: What it should be and where, as in "an encoder's spec in 'encoder.safetensors'".
        remedy: What the user can do.

    Raises:
        InvalidValueError: If it is not such JSON, is nested too deeply, or has a number with more
            digits than Python reads.
    """
    return _parse(
        lambda: json.loads(
            text,
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=_unique,
        ),
        "JSON",
        what,
        remedy,
    )


def parse_toml(text: str, what: str, remedy: str) -> dict[str, Any]:
    """Parse TOML in which every number is finite; arguments and errors as in `parse_json`."""
    found: dict[str, Any] = _parse(
        lambda: tomllib.loads(text, parse_float=_finite), "TOML", what, remedy
    )
    return found


def _decode(path: str | Path, what: str, remedy: str, limit: int, kind: str) -> str:
    """Decode the bytes of a file as UTF-8."""

    def refuse(got: str) -> NoReturn:
        raise InvalidValueError(f"Expected {what} in {str(path)!r}, got {got}: {remedy}")

    with open_regular(path, what, remedy) as file:
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise MissingFileError(
                f"Expected {what} at {str(path)!r}, got {error.strerror}: {remedy}"
            ) from error
    if len(content) > limit:
        refuse(f"a file of more than {limit:,} bytes")
    if b"\0" in content:
        refuse(f"damaged {kind} (a NUL byte in it)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse(f"damaged {kind} (no UTF-8 at byte {error.start})")


def _parse(parse: Callable[[], Any], kind: str, what: str, remedy: str) -> Any:
    """Parse a text, and turn a failure into one line."""
    try:
        found = parse()
        _check_depth(found)
    except RecursionError as error:
        reason = f"more than {MAX_DEPTH} levels within each other"
        raise InvalidValueError(
            f"Expected {what}, got damaged {kind} ({reason}): {remedy}"
        ) from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        if "integer string conversion" in reason:
            reason = "a number of thousands of digits"
        raise InvalidValueError(
            f"Expected {what}, got damaged {kind} ({reason[:200]}): {remedy}"
        ) from error
    return found


def _check_depth(value: Any) -> None:
    """Raise RecursionError if there are more than `MAX_DEPTH` levels, ValueError at a NUL."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(item, str) and "\0" in item for item in level):
            raise ValueError("a NUL character in a string")
        holders = [item for item in level if isinstance(item, dict | list)]
        if not holders:
            return
        level = [key for item in holders if isinstance(item, dict) for key in item]
        for item in holders:
            level += item.values() if isinstance(item, dict) else item
    raise RecursionError


def _finite(text: str) -> float:
    """Read a number as JSON and TOML write it; it has to be finite."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]}, which is not finite")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of pairs, whose keys have to differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} twice in one object")
    return found


@contextmanager
def _told(path: str | Path, what: str, remedy: str) -> Iterator[None]:
    """Say in one line why a file cannot be read."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: NUL or lone surrogates in the path
        raise MissingFileError(
            f"Expected {what} at {str(path)!r}, got {_reason(path, error)}: {remedy}"
        ) from error


def _check_kind(mode: int) -> None:
    """Raise OSError, which names the kind of the file, unless it is a regular file."""
    if not stat.S_ISREG(mode):
        found = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), "no file")
        raise OSError(errno.EINVAL, found)


def _reason(path: str | Path, error: OSError | ValueError) -> str:
    """Say in a few words why a file cannot be read."""
    if isinstance(error, FileNotFoundError) and os.path.islink(path):
        return "a link to nothing"
    if isinstance(error, OSError):
        return str(error.strerror)
    return "a name that no file can have"
