"""What kept a service from doing what was asked."""

from __future__ import annotations

from enum import StrEnum

from hybridq_backends.errors import UnavailableError


class Trouble(StrEnum):
    """What kept a service from doing what was asked.

    `RESULT` is a job that is done, whose result came but cannot be read.
    """

    RATE = "rate limit"
    ACCOUNT = "account"
    QUOTA = "quota"
    NO_SESSIONS = "no sessions"
    CLOSED = "session closed"
    DEVICE = "device"
    REQUEST = "request"
    RESULT = "result"
    NETWORK = "network"

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self in (Trouble.RATE, Trouble.NETWORK)


class ServiceError(UnavailableError):
    """A service did not do what was asked; the message is one line without secrets.

    Attributes:
        trouble: What kept it.
        maybe_accepted: Whether a job that was being posted may have been accepted all the same.
        retry_after: Seconds the service asks to wait, if it says so.
    """

    def __init__(
        self,
        message: str,
        trouble: Trouble,
        *,
        maybe_accepted: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.maybe_accepted = maybe_accepted
        self.retry_after = retry_after
