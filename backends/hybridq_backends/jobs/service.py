"""The protocol of a service whose jobs outlive the process that posts them."""

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
    """The report of a service on a job.

    Attributes:
        state: The state of the job.
        reason: Why it failed, in one line; None unless it failed.
        qpu_seconds: The charge in QPU seconds; None while it is not known.
    """

    state: JobState
    reason: str | None = None
    qpu_seconds: float | None = None


@dataclass(frozen=True)
class FoundJob:
    """A job that a service lists.

    Attributes:
        job_id: The id of the job.
        tags: The tags of the job.
    """

    job_id: str
    tags: tuple[str, ...]


class JobService(abc.ABC):
    """A service that takes PUBs as jobs, and finds them by id and tag in any process.

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
        """Whether an interrupted post may have gone out; False only if it has not."""
        return True

    @property
    def session_id(self) -> str | None:
        """The id of the session in use; None without one, as in a batch."""
        return None

    def account(self) -> str | None:
        """A hash that identifies the instance in use, 16 hexadecimal digits.

        It is None in a rehearsal, and if no device says which of several instances is in use.
        """
        return None

    def ready(self) -> None:
        """Open the device, which must be taking jobs, and its batch or session.

        Nothing is posted. `post` calls this first if it was not called before.
        """
        return

    @abc.abstractmethod
    def post(
        self, pub: tuple[Any, ...], tags: Sequence[str], *, max_seconds: int | None = None
    ) -> str:
        """Post one PUB as one job.

        Args:
            pub: Circuit, observables and `(batch, num_angles)` gate angles in radians.
            tags: The tags of the job: first one of its own, then those that it shares.
            max_seconds: QPU seconds after which the service stops the job.

        Returns:
            The id of the job, which has been accepted.
        """

    @abc.abstractmethod
    def find(self, tag: str) -> list[FoundJob]:
        """Find the jobs that carry a tag, the oldest first."""

    @abc.abstractmethod
    def report(self, job_id: str) -> JobReport:
        """Where a job stands."""

    def estimate(self, job_id: str) -> float | None:
        """Ask for the service's estimate of a job in QPU seconds; None without one."""
        return None

    @abc.abstractmethod
    def result(self, job_id: str) -> Expvals:
        """Read values and standard errors of a finished job, `(batch, num_observables)` each."""

    @abc.abstractmethod
    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended stays as it is."""

    def seconds_left(self) -> float | None:
        """Ask for the QPU seconds that the account has left; None without a limit."""
        return None

    def reopen(self) -> None:
        """Begin a new batch or session, after the service closed the one in use."""
        return

    def close(self, session_id: str | None = None) -> None:
        """Take no more jobs in a batch or session; those accepted still run.

        Args:
            session_id: The id of a session opened earlier, which may have ended; None means the
                batch or session in use.
        """
        return
