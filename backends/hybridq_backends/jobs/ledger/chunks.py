"""The chunks of a submission: consecutive rows of one circuit, which are one job.

The states of a chunk are:

- `planned`: nothing of it is at the service.
- `posting`: it is being posted; if no process is at work, the posting was interrupted.
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
    """The state of a chunk; the module explains each."""

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
        start: Index of its first row.
        stop: Index of the row after its last.
        state: The state.
        attempt: Number of the attempt, from 1.
        tag: The tag of its job, unique to submission, chunk and attempt.
        job_id: The job, once it is known to be accepted.
        reason: Why it failed or is uncertain, in one line.
        posted_at: When its last intent was written, in seconds since 1970.
        qpu_seconds: The charge of its job, in QPU seconds, if it is known.
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
    """The request behind a chunk of a run.

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
        job_id: The id of the job.
        index: The number of its chunk.
        tag: The tag of the job.
        max_seconds: QPU seconds after which the service stops it, if known.
        qpu_seconds: The charge in QPU seconds, if known.
    """

    job_id: str
    index: int
    tag: str
    max_seconds: int | None
    qpu_seconds: float | None


@dataclass(frozen=True)
class Doubt:
    """A posting that the service neither refused for certain nor lists.

    Attributes:
        tag: The tag of the possible job.
        index: The number of its chunk.
        max_seconds: QPU seconds after which the service would stop it, if known.
        posted_at: When it was posted, in seconds since 1970.
    """

    tag: str
    index: int
    max_seconds: int | None
    posted_at: float


def tag_of(name: str, index: int, attempt: int) -> str:
    """Make the tag of the job of a chunk's attempt, in the submission of that name.

    Args:
        name: The tag of the submission.
        index: The number of the chunk.
        attempt: The number of the attempt, from 1.
    """
    return f"{name}-{index:04d}-{attempt}"


def numbers_of(name: str, tag: str) -> tuple[int, int] | None:
    """Read chunk and attempt from a job's tag; None if the tag is of another submission."""
    found = re.fullmatch(r"-(\d{4,9})-(\d{1,6})", tag.removeprefix(name), re.ASCII)
    if found is None or not tag.startswith(name):
        return None
    return int(found[1]), int(found[2])


def attempt_of(tag: str) -> int:
    """Read the number of the attempt from a job's tag."""
    return int(tag.rsplit("-", 1)[1])
