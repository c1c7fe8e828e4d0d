"""The SQLite file of a ledger: created completely or not at all, and checked when opened."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from shlex import quote

from hybridq_backends.errors import InvalidValueError, MissingFileError
from hybridq_backends.jobs.ledger.rows import check_rows

FILE = "jobs.sqlite"
LOCK = "jobs.lock"
"""The name of the lock file, made when a ledger is first opened to write."""
SUBMISSION_FILE = "submission.json"
BUSY_SECONDS = 30.0
"""How long to wait for another process that is just writing, in seconds."""

_FORMAT = 3
_OUTSIDE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
_CLOSED = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH),
}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NEEDS_WRITING = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}

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
        name: The beginning of its tags.
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


@contextmanager
def file_to_write(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger's file to write, its rows checked.

    The caller holds the folder's lock. An unfinished change of a killed writer is undone. After
    closing, no other file of SQLite is left in the folder, so that the ledger can be read where
    nothing can be written.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it cannot be opened, is damaged or of another version.
    """
    check_there(folder)
    with closing(sqlite3.connect(folder / FILE, timeout=BUSY_SECONDS)) as connection:
        with _explained(folder):
            _check(connection, folder)  # before anything changes a file that is none of ours
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
        try:
            with _explained(folder, opening=False):
                yield connection
        finally:
            with suppress(sqlite3.Error):  # while somebody reads, or where the disk is full
                connection.execute("pragma busy_timeout = 1000")
                connection.execute("pragma journal_mode = delete")


@contextmanager
def file_to_read(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger's file to read, whoever is writing, also where nobody can write.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it cannot be opened, is damaged or of another version.
    """
    check_there(folder)
    with ExitStack() as stack:
        with _explained(folder):
            try:
                connection = stack.enter_context(closing(_open_to_read(folder / FILE)))
                connection.execute("select count(*) from sqlite_master").fetchone()
            except sqlite3.OperationalError as error:
                if _code(error) not in _NEEDS_WRITING:
                    raise
                connection = stack.enter_context(_copied(folder))
        with _explained(folder):
            _check(connection, folder)
        with _explained(folder, opening=False):
            yield connection


@contextmanager
def _copied(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a ledger that cannot be read without writing.

    An interrupted writer, or an earlier version, left a journal that has to be applied first.
    """
    with tempfile.TemporaryDirectory(prefix="hybridq-") as copy:
        for path in folder.glob(f"{FILE}*"):
            if not path.name.endswith("-shm"):
                shutil.copyfile(path, Path(copy, path.name))
        with closing(sqlite3.connect(Path(copy, FILE))) as connection:
            yield connection


def _open_to_read(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)


def check_there(folder: Path) -> None:
    """Refuse a folder without a ledger, and say what can be done about it.

    Raises:
        MissingFileError: If there is none.
    """
    if has_ledger(folder):
        return
    got = f"has no {FILE}" if folder.is_dir() else "is no folder"
    remedy = "give the folder that `hybridq submit` printed"
    if (folder / SUBMISSION_FILE).is_file():
        remedy = "give the same `hybridq submit` again, since nothing was posted"
        if (folder / LOCK).exists():
            remedy = rebuilds(folder)
    raise MissingFileError(
        f"Expected the folder of a submission, got {str(folder)!r}, which {got}: {remedy}."
    )


def rebuilds(folder: Path) -> str:
    """Name the remedy for a ledger that is lost or damaged."""
    command = f"hybridq jobs recover {quote(str(folder))}"
    return f"`{command}` rebuilds it from the service and the other files"


def _check(connection: sqlite3.Connection, folder: Path) -> None:
    """Check a ledger's version, its pages and its rows.

    Raises:
        InvalidValueError: If it is of another version, or damaged.
        sqlite3.Error: If it cannot be read.
    """
    found = connection.execute("select value from meta where name = 'format'").fetchone()
    state = connection.execute("pragma integrity_check(1)").fetchone()
    if state != ("ok",):
        raise _damaged(folder, " ".join(str(state[0]).split()))
    if found != (str(_FORMAT),):
        raise InvalidValueError(
            f"Expected a ledger of format {_FORMAT} in {folder / FILE}, got {_short(found)}: use "
            "the version of hybridq that made it."
        )
    try:
        check_rows(connection)
    except ValueError as error:
        raise _damaged(folder, str(error)) from error


@contextmanager
def _explained(folder: Path, *, opening: bool = True) -> Iterator[None]:
    """Explain in one line what SQLite raises for a damaged file or one that it may not open.

    Errors of a full or broken disk, and mistakes of the writer, are raised as they are.

    Raises:
        InvalidValueError: If the file is damaged, or cannot be opened.
    """
    try:
        yield
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        code = _code(error)
        if code in _OUTSIDE or isinstance(error, sqlite3.IntegrityError):
            raise
        if code in _CLOSED:
            raise InvalidValueError(
                f"Expected to open {folder / FILE}, got {error}: check the folder's permissions, "
                "and that no other process holds the file."
            ) from error
        if opening or code in _DAMAGE:
            raise _damaged(folder, str(error)) from error
        raise


def _damaged(folder: Path, what: str) -> InvalidValueError:
    return InvalidValueError(
        f"Expected a ledger in {folder / FILE}, got a damaged file ({_short(what)}): restore it "
        f"from a copy, or {rebuilds(folder)}."
    )


def _short(what: object) -> str:
    """Shorten any value to a few words on one line."""
    words = " ".join(str(what).split())
    return words if len(words) <= 200 else f"{words[:200]}..."


def _code(error: Exception) -> int | None:
    """Find SQLite's primary code of an error, if it has one."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
