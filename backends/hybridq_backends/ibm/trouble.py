"""The reasons for which a service did not do what was asked."""

from __future__ import annotations

from enum import StrEnum

from hybridq_backends.errors import UnavailableError


class Trouble(StrEnum):
    """The reason for which a service did not do what was asked.

    `RESULT` means that a job is done but its result cannot be read.
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
        trouble: The reason.
        maybe_accepted: Whether a job that was being posted may have been accepted nevertheless.
        retry_after: The wait that the service asks for, in seconds; None if it asks for none.
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
