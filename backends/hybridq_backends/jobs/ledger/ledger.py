"""The ledger of a submission: the jobs to be posted, the jobs that were, and their results.

An intent is written before its job is posted, and the id of the job afterwards. Each is written in
a transaction that survives a kill of the process.

Every intent stays on record until it is certain that the service refused it. Every job that is
known to be accepted stays on record with its charge, also if its chunk was begun anew.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.jobs.ledger.chunks import (
    Chunk,
    ChunkState,
    Doubt,
    Job,
    attempt_of,
    tag_of,
)
from hybridq_backends.jobs.ledger.rows import MOST_ROWS
from hybridq_backends.jobs.ledger.storage import LOCK as LOCK
from hybridq_backends.jobs.ledger.storage import (
    check_there,
    create_file,
    file_to_read,
    file_to_write,
)
from hybridq_backends.utils.lock import locked

Floats = NDArray[np.float64]

_CHUNKS = """
select chunks.number, start, stop, state, attempt, chunks.tag, job_id, reason, posted_at,
    qpu_seconds
from chunks left join jobs using (job_id) order by chunks.number
"""


class Ledger:
    """The chunks of a submission in an SQLite file.

    Use `Ledger.create` once, `Ledger.write` as the only writer, and `Ledger.read` to look.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def create(cls, folder: Path, ranges: Sequence[tuple[int, int]], *, name: str) -> None:
        """Make the ledger of a new submission.

        Args:
            folder: The submission's folder.
            ranges: First row, and the one after the last, of each chunk.
            name: The beginning of its tags, unique to the submission.

        Raises:
            InvalidValueError: If there are more rows than a ledger holds.
        """
        if ranges[-1][1] > MOST_ROWS:
            raise InvalidValueError(
                f"Expected at most {MOST_ROWS} rows, got {ranges[-1][1]}: send fewer images "
                "(--limit)."
            )
        chunks = [
            (index, start, stop, tag_of(name, index, 1))
            for index, (start, stop) in enumerate(ranges)
        ]
        create_file(folder, name, chunks)

    @classmethod
    @contextmanager
    def read(cls, folder: Path) -> Iterator[Self]:
        """Open a ledger to look at it, whoever is writing.

        Raises:
            MissingFileError: If there is none.
            InvalidValueError: If it cannot be opened, or is damaged.
        """
        with file_to_read(folder) as connection:
            yield cls(connection)

    @classmethod
    @contextmanager
    def write(cls, folder: Path, *, doing: str | None = None) -> Iterator[Self]:
        """Open a ledger as its one writer.

        Args:
            folder: The submission's folder.
            doing: The work of this process, for the message that another process prints.

        Raises:
            MissingFileError: If there is none.
            InvalidValueError: If another process is writing, or it is damaged.
        """
        check_there(folder)
        doing = doing or f"submits, collects or cancels in {folder}"
        with locked(folder / LOCK, doing), file_to_write(folder) as connection:
            yield cls(connection)

    def chunks(self, *states: ChunkState) -> list[Chunk]:
        """List the chunks in some states, or all of them, in order."""
        rows = self._connection.execute(_CHUNKS)
        found = [Chunk(row[0], row[1], row[2], ChunkState(row[3]), *row[4:]) for row in rows]
        return [chunk for chunk in found if not states or chunk.state in states]

    def counts(self) -> dict[ChunkState, int]:
        """Count the chunks of each state that has some."""
        found = [chunk.state for chunk in self.chunks()]
        return {state: found.count(state) for state in ChunkState if state in found}

    def intend(
        self, chunk: Chunk, *, max_seconds: int | None = None, at: float | None = None
    ) -> None:
        """Note that the chunk is about to be posted, and how long its job may take.

        Args:
            chunk: The chunk.
            max_seconds: QPU seconds after which the service stops its job.
            at: When it may have been posted, in seconds since 1970; now if None.
        """
        self._connection.execute(  # in the transaction that `_set` ends
            "insert or replace into intents values (?, ?, ?)",
            [chunk.tag, chunk.index, max_seconds],
        )
        self._set(
            chunk, ChunkState.POSTING, posted_at=time.time() if at is None else at, reason=None
        )

    def accept(
        self, chunk: Chunk, job_id: str, *, tag: str | None = None, reason: str | None = None
    ) -> None:
        """Note that the service has accepted the chunk as a job.

        Args:
            chunk: The chunk.
            job_id: Its job from now on.
            tag: The job's tag, if it is one of another attempt.
            reason: A remark on it, in one line.
        """
        tag = tag or chunk.tag
        self._note(chunk, job_id, tag)  # in the transaction that `_set` ends
        self._set(
            chunk,
            ChunkState.POSTED,
            job_id=job_id,
            tag=tag,
            attempt=max(chunk.attempt, attempt_of(tag)),
            reason=reason,
        )

    def note(self, chunk: Chunk, job_id: str, tag: str) -> None:
        """Record a job of the chunk that the service accepted but that does not count.

        Args:
            chunk: The chunk.
            job_id: The id of the job.
            tag: The tag of the job.
        """
        with self._connection:
            self._note(chunk, job_id, tag)

    def remark(self, chunk: Chunk, reason: str | None) -> None:
        """Note a remark of the service on a chunk whose state does not change."""
        self._set(chunk, chunk.state, reason=reason)

    def refuse(self, chunk: Chunk, reason: str) -> None:
        """Note that the service certainly did not take the chunk."""
        self._forget_intent(chunk)
        self._set(chunk, ChunkState.PLANNED, reason=reason)

    def doubt(self, chunk: Chunk, reason: str) -> None:
        """Note that the service may or may not have taken the chunk."""
        self._set(chunk, ChunkState.UNCERTAIN, reason=reason)

    def fail(self, chunk: Chunk, reason: str) -> None:
        """Note that the chunk's job, or the post itself, failed for good."""
        self._forget_intent(chunk)
        self._set(chunk, ChunkState.FAILED, reason=reason)

    def cancelled(self, chunk: Chunk, reason: str | None = None) -> None:
        """Note that the chunk's job was cancelled, and why if it was not the user."""
        self._set(chunk, ChunkState.CANCELLED, reason=reason)

    def keep(self, chunk: Chunk, values: Floats, stds: Floats) -> None:
        """Keep the chunk's result, `(size, num_observables)` each.

        Args:
            chunk: The chunk.
            values: Expectation values.
            stds: Their standard errors.

        Raises:
            InvalidValueError: If it is not of the chunk's size, or not finite where it must be.
        """
        values = np.ascontiguousarray(values, dtype=np.float64)
        stds = np.ascontiguousarray(stds, dtype=np.float64)
        if values.ndim != 2 or values.shape[0] != chunk.size or values.shape != stds.shape:
            raise InvalidValueError(
                f"Expected values and errors of {chunk.size} rows in job {chunk.job_id}, got "
                f"shapes {values.shape} and {stds.shape}: retry the chunk."
            )
        if not np.isfinite(values).all():
            raise InvalidValueError(
                f"Expected finite values in job {chunk.job_id}, got NaN or infinity: retry the "
                "chunk."
            )
        self._set(
            chunk,
            ChunkState.DONE,
            reason=None,
            vals=values.tobytes(),
            stds=stds.tobytes(),
            columns=values.shape[1],
        )

    def charge(self, job_id: str, qpu_seconds: float) -> None:
        """Note the charge of a job, in QPU seconds."""
        with self._connection:
            self._connection.execute(
                "update jobs set qpu_seconds = ? where job_id = ?", [qpu_seconds, job_id]
            )

    def jobs(self) -> list[Job]:
        """List every job that the service accepted, those of earlier attempts too."""
        rows = self._connection.execute(
            "select job_id, number, tag, max_seconds, qpu_seconds from jobs order by rowid"
        )
        return [Job(*row) for row in rows]

    def spent(self, estimates: Mapping[int, float]) -> float:
        """Add up the QPU seconds that jobs took or may still take, those in doubt included.

        Args:
            estimates: The estimate for each chunk's job, for jobs without a known limit.
        """
        sessions = self._connection.execute("select max_seconds from sessions").fetchall()
        if sessions:  # charged by wall clock, whatever runs in them
            return float(sum(seconds for (seconds,) in sessions))
        limits = [
            (job.index, job.qpu_seconds if job.qpu_seconds is not None else job.max_seconds)
            for job in self.jobs()
        ]
        limits += [(doubt.index, doubt.max_seconds) for doubt in self.doubts()]
        return sum(estimates[index] if seconds is None else seconds for index, seconds in limits)

    def has_doubts(self) -> bool:
        """Whether the service may have accepted a job, of any attempt, that is not known."""
        return bool(self.doubts())

    def doubts(self) -> list[Doubt]:
        """List the postings, of any attempt, that were neither refused nor found accepted."""
        posted = {chunk.tag: chunk.posted_at for chunk in self.chunks()}
        latest: dict[str, float] = {}
        for at, _, tag, state, _, _ in self.events():
            if state == ChunkState.POSTING:
                latest[tag] = at
        rows = self._connection.execute(
            "select tag, number, max_seconds from intents where tag not in (select tag from jobs)"
        )
        return [
            Doubt(tag, index, limit, posted.get(tag) or latest.get(tag, 0.0))
            for tag, index, limit in rows
        ]

    def give_up(self, doubt: Doubt, reason: str) -> None:
        """Treat a posting as not made: its limit no longer counts, and its chunk begins anew."""
        chunk = self.chunks()[doubt.index]
        doubtful = chunk.state in (ChunkState.POSTING, ChunkState.UNCERTAIN)
        self._connection.execute(  # in the transaction that `_set` ends
            "delete from intents where tag = ?", [doubt.tag]
        )
        if chunk.tag == doubt.tag and doubtful:
            self.begin_anew(chunk, reason)
        else:
            self._set(chunk, chunk.state, reason=chunk.reason)

    def begin_session(self, max_seconds: int) -> int:
        """Note that a session is about to be opened, and return its number in the ledger."""
        with self._connection:
            row = self._connection.execute(
                "insert into sessions values (null, ?, 0)", [max_seconds]
            ).lastrowid
        return int(row or 0)

    def opened_session(self, number: int, session_id: str | None) -> None:
        """Note the id of a session that was opened."""
        with self._connection:
            self._connection.execute(
                "update sessions set session_id = ? where rowid = ?", [session_id, number]
            )

    def forget_session(self, number: int) -> None:
        """Note that a session was certainly not opened."""
        with self._connection:
            self._connection.execute("delete from sessions where rowid = ?", [number])

    def open_sessions(self) -> list[str]:
        """List the ids of sessions that are not known to be closed."""
        rows = self._connection.execute(
            "select session_id from sessions where closed = 0 and session_id is not null"
        )
        return [str(session_id) for (session_id,) in rows]

    def closed_session(self, session_id: str) -> None:
        """Note that a session takes no more jobs."""
        with self._connection:
            self._connection.execute(
                "update sessions set closed = 1 where session_id = ?", [session_id]
            )

    def begin_anew(self, chunk: Chunk, reason: str | None = None) -> None:
        """Plan the chunk once more, under a new tag; its old job stays on record."""
        name = self.name
        attempt = chunk.attempt + 1
        self._set(
            chunk,
            ChunkState.PLANNED,
            attempt=attempt,
            tag=tag_of(name, chunk.index, attempt),
            job_id=None,
            reason=reason,
        )

    def results(self) -> tuple[NDArray[np.bool_], Floats, Floats]:
        """Return which rows have a result, and values and errors `(rows, columns)`.

        Rows without a result are NaN, and so are the last columns of those with fewer observables.
        """
        found = self._connection.execute(
            "select start, stop, vals, stds, columns from chunks where state = 'done'"
        ).fetchall()
        total = max(chunk.stop for chunk in self.chunks())
        columns = max((row[4] for row in found), default=0)
        here = np.zeros(total, dtype=np.bool_)
        values, stds = np.full((2, total, columns), np.nan)
        for start, stop, some_values, some_stds, width in found:
            here[start:stop] = True
            values[start:stop, :width] = np.frombuffer(some_values).reshape(-1, width)
            stds[start:stop, :width] = np.frombuffer(some_stds).reshape(-1, width)
        return here, values, stds

    def events(self) -> list[tuple[float, int, str, str, str | None, str | None]]:
        """List every change of a state: time, chunk, tag, state, job, reason."""
        rows = self._connection.execute(
            "select at, number, tag, state, job_id, reason from events order by rowid"
        )
        return list(rows)

    @property
    def name(self) -> str:
        """The tag of all jobs of the submission, with which their own tags begin."""
        return str(self._meta("name"))

    @property
    def account(self) -> str | None:
        """A hash that identifies the account's instance; None before anything was posted."""
        return self._meta("account")

    def keep_account(self, account: str) -> None:
        """Note the hash of the instance under which jobs are posted."""
        with self._connection:
            self._connection.execute("insert into meta values ('account', ?)", [account])

    def _meta(self, name: str) -> str | None:
        row = self._connection.execute("select value from meta where name = ?", [name]).fetchone()
        return None if row is None else str(row[0])

    def _forget_intent(self, chunk: Chunk) -> None:
        """Delete an intent, in the transaction that `_set` ends."""
        self._connection.execute("delete from intents where tag = ?", [chunk.tag])

    def _note(self, chunk: Chunk, job_id: str, tag: str) -> None:
        self._connection.execute(
            "insert or ignore into jobs values "
            "(?, ?, ?, (select max_seconds from intents where tag = ?), null)",
            [job_id, chunk.index, tag, tag],
        )

    def _set(self, chunk: Chunk, state: ChunkState, **changes: object) -> None:
        changes = {"state": str(state), **changes}
        with self._connection:
            self._connection.execute(
                f"update chunks set {', '.join(f'{name} = ?' for name in changes)} "
                "where number = ?",
                [*changes.values(), chunk.index],
            )
            self._connection.execute(
                "insert into events values (?, ?, ?, ?, ?, ?)",
                [
                    time.time(),
                    chunk.index,
                    changes.get("tag", chunk.tag),
                    str(state),
                    changes.get("job_id", chunk.job_id),
                    changes.get("reason"),
                ],
            )
