"""A submission's chunks: consecutive rows of one circuit, which are one job, and where it stands.

What a chunk's state means:

- `planned`: nothing of it is at the service.
- `posting`: an intent without an answer; if no process is at work, it was interrupted there.
- `uncertain`: it may have been posted; the service did not list it when it was last asked.
- `posted`: the service accepted it as the job named.
- `done`: its result is here.
- `failed`, `cancelled`: its job ended without a result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class ChunkState(StrEnum):
    """Where a chunk stands; see the module."""

    PLANNED = "planned"
    POSTING = "posting"
    UNCERTAIN = "uncertain"
    POSTED = "posted"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of parameter values of one circuit, which are one job.

    Attributes:
        index: Number of the chunk, from 0.
        start: First row.
        stop: The row after the last.
        state: Where it stands.
        attempt: How often it has been begun anew, from 1.
        tag: The tag of its job, unique to submission, chunk and attempt.
        job_id: The job, once it is known to be accepted.
        reason: Why it failed or is uncertain, one line.
        posted_at: When its last intent was written, in seconds since 1970.
        qpu_seconds: What its job was charged, in seconds, where that is known.
    """

    index: int
    start: int
    stop: int
    state: ChunkState
    attempt: int
    tag: str
    job_id: str | None
    reason: str | None
    posted_at: float | None
    qpu_seconds: float | None

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.stop - self.start


@dataclass(frozen=True)
class Request:
    """What a chunk of a run asks for.

    Attributes:
        key: A hash of circuit, observables and rows.
        seconds: QPU seconds that its job is estimated to take.
    """

    key: str
    seconds: float


@dataclass(frozen=True)
class Job:
    """A job that the service has accepted.

    Attributes:
        job_id: Its id.
        index: Its chunk.
        tag: Its tag.
        max_seconds: QPU seconds after which the service stops it, where that is known.
        qpu_seconds: What it was charged, in seconds, where that is known.
    """

    job_id: str
    index: int
    tag: str
    max_seconds: int | None
    qpu_seconds: float | None


@dataclass(frozen=True)
class Doubt:
    """A posting that the service neither certainly refused nor lists.

    Attributes:
        tag: The tag of the job that there may be.
        index: Its chunk.
        max_seconds: QPU seconds after which the service would stop it, where that is known.
        posted_at: When it was posted, in seconds since 1970.
    """

    tag: str
    index: int
    max_seconds: int | None
    posted_at: float


def tag_of(name: str, index: int, attempt: int) -> str:
    """The tag of the job of a chunk's attempt, in the submission of that name."""
    return f"{name}-{index:04d}-{attempt}"


def numbers_of(name: str, tag: str) -> tuple[int, int] | None:
    """Chunk and attempt that a job's tag names; None if it is none of the submission of a name."""
    found = re.fullmatch(r"-(\d{4,9})-(\d{1,6})", tag.removeprefix(name), re.ASCII)
    if found is None or not tag.startswith(name):
        return None
    return int(found[1]), int(found[2])


def attempt_of(tag: str) -> int:
    """The attempt that a job's tag names."""
    return int(tag.rsplit("-", 1)[1])
