"""Jobs that outlive the process that posts them: posted, found again by tag, and collected."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hybridq_backends.expvals import Expvals


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class JobReport:
    """What a service says of a job.

    Attributes:
        state: Where it stands.
        reason: Why it failed, one line; None unless it did.
        qpu_seconds: What it was charged, in seconds; None while that is not known.
    """

    state: JobState
    reason: str | None = None
    qpu_seconds: float | None = None


@dataclass(frozen=True)
class FoundJob:
    """A job that a service lists.

    Attributes:
        job_id: Its id.
        tags: Its tags.
    """

    job_id: str
    tags: tuple[str, ...]


class JobService(abc.ABC):
    """Posts PUBs as jobs, and knows them by id and tag in any process.

    Every method raises a `ServiceError` if the service cannot be asked or refuses.

    Attributes:
        is_local: Whether jobs run in this process; else a job that was accepted may be missing
            from `find` for a while, and posts are limited.
        session_seconds: Longest time of a session, by wall clock, in whole seconds, to be set
            before the first post; None leaves the service's own limit.
    """

    is_local: bool = False
    session_seconds: int | None = None

    @property
    def maybe_posted(self) -> bool:
        """Whether a post that was interrupted may have gone out; False only where it has not."""
        return True

    @property
    def session_id(self) -> str | None:
        """Id of the session in use; None without one, in a batch too."""
        return None

    def account(self) -> str | None:
        """What tells the instance in use from others, 16 hexadecimal digits of a hash.

        None on this machine, and where no device says which of several instances is in use.
        """
        return None

    def ready(self) -> None:
        """Open what jobs are posted to: the device, which must take jobs, and its batch or session.

        Nothing is posted. A post that was not made ready for does this first.
        """
        return

    @abc.abstractmethod
    def post(
        self, pub: tuple[Any, ...], tags: Sequence[str], *, max_seconds: int | None = None
    ) -> str:
        """Post one PUB as one job.

        Args:
            pub: Circuit, observables and `(batch, num_angles)` gate angles in radians.
            tags: What the job is found by: first a tag of its own, then those that it shares.
            max_seconds: QPU seconds after which the service stops the job.

        Returns:
            The id of the job, which has been accepted.
        """

    @abc.abstractmethod
    def find(self, tag: str) -> list[FoundJob]:
        """The jobs that carry a tag, the oldest first."""

    @abc.abstractmethod
    def report(self, job_id: str) -> JobReport:
        """Where a job stands."""

    def estimate(self, job_id: str) -> float | None:
        """QPU seconds that the service estimates a job to take; None where it does not say."""
        return None

    @abc.abstractmethod
    def result(self, job_id: str) -> Expvals:
        """Values and standard errors of a job that is done, `(batch, num_observables)` each."""

    @abc.abstractmethod
    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended stays as it is."""

    def seconds_left(self) -> float | None:
        """QPU seconds that the account has left; None where there is no such limit."""
        return None

    def reopen(self) -> None:
        """Begin a new batch or session, after the service closed the one in use."""
        return

    def close(self, session_id: str | None = None) -> None:
        """Take no more jobs in a batch or session; those accepted still run.

        Args:
            session_id: Of a session opened earlier, which may have ended; None is the batch or
                session in use.
        """
        return
