"""The SQLite file of a ledger: its tables, made whole or not at all, and checked when opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from hybridq.errors import InvalidValueError, MissingFileError

FILE = "jobs.sqlite"
_FORMAT = 3

_TABLES = """
create table meta (name text primary key, value text not null);
create table chunks (
    number integer primary key, start integer not null, stop integer not null,
    state text not null, attempt integer not null, tag text not null unique,
    job_id text unique, reason text, posted_at real,
    vals blob, stds blob, columns integer
);
create table intents (tag text primary key, number integer not null, max_seconds integer);
create table sessions (session_id text, max_seconds integer not null, closed integer not null);
create table jobs (
    job_id text primary key, number integer not null, tag text not null, max_seconds integer,
    qpu_seconds real
);
create table events (
    at real not null, number integer not null, tag text not null, state text not null,
    job_id text, reason text
);
"""


def create_file(folder: Path, name: str, chunks: Sequence[tuple[int, int, int, str]]) -> None:
    """Make a ledger's file.

    Args:
        folder: The submission's folder.
        name: What its tags begin with.
        chunks: Number, first image, the image after the last, and tag of each chunk.
    """
    path = folder / f".{FILE}.part"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.executescript(_TABLES)
        connection.execute("insert into meta values ('format', ?)", [str(_FORMAT)])
        connection.execute("insert into meta values ('name', ?)", [name])
        connection.executemany(
            "insert into chunks (number, start, stop, state, attempt, tag) "
            "values (?, ?, ?, 'planned', 1, ?)",
            chunks,
        )
        connection.commit()
    finally:
        connection.close()
    path.replace(folder / FILE)


def has_ledger(folder: Path) -> bool:
    """Whether a folder is that of a submission."""
    return (folder / FILE).is_file()


def open_file(folder: Path) -> sqlite3.Connection:
    """Open a ledger's file.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it cannot be opened, is damaged or of another version.
    """
    if not has_ledger(folder):
        raise MissingFileError(
            f"Expected the folder of a submission, got {str(folder)!r}, which "
            f"{'has no ' + FILE if folder.is_dir() else 'is no folder'}: give the folder that "
            "`hybridq submit` printed."
        )
    connection = sqlite3.connect(folder / FILE, timeout=30.0)
    try:
        found = connection.execute("select value from meta where name = 'format'").fetchone()
        state = connection.execute("pragma quick_check(1)").fetchone()
        if state != ("ok",):
            raise sqlite3.DatabaseError(" ".join(str(state[0]).split()))
    except sqlite3.OperationalError as error:
        connection.close()
        raise InvalidValueError(
            f"Expected to open {folder / FILE}, got {error}: check the folder's permissions and "
            "space, and that no other process holds the file."
        ) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InvalidValueError(
            f"Expected a ledger in {folder / FILE}, got a damaged file ({error}): restore it from "
            "a copy; jobs are at the service under the tags it held."
        ) from error
    if found != (str(_FORMAT),):
        connection.close()
        raise InvalidValueError(
            f"Expected a ledger of format {_FORMAT} in {folder / FILE}, got {found}: use the "
            "version of hybridq that made it."
        )
    return connection
