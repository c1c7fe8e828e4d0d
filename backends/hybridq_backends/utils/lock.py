"""A lock between processes, which the system releases if its process is killed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridq_backends.errors import InvalidValueError

_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@contextmanager
def locked(path: Path, doing: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock, so that this is the only process inside the block.

    The lock is a transaction on an empty SQLite file, which ends with its process.

    Args:
        path: The file of the lock, which is made.
        doing: The work of the other process, for the message.
        wait_seconds: How long to wait for the other process, in seconds.

    Raises:
        InvalidValueError: If another process is inside for longer, or the file cannot be written.
        sqlite3.OperationalError: If the disk is full or broken.
    """
    try:
        lock = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise InvalidValueError(
            f"Expected to write {path}, got {error}: check permissions and space."
        ) from error
    try:
        try:
            lock.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in _DISK:
                raise
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise InvalidValueError(
                    f"Expected to write {path}, got {error}: check permissions and space."
                ) from error
            raise InvalidValueError(
                f"Expected to be the only one at work on {path.parent}, got another process that "
                f"{doing}: wait until it has ended."
            ) from error
        yield
    finally:
        lock.close()
