"""Check the instance of a submission, and open and close its sessions at the service."""

from __future__ import annotations

import logging

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.ibm.trouble import ServiceError
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.service import JobService

logger = logging.getLogger("hybridq")


def check_account(ledger: Ledger, service: JobService) -> ServiceError | None:
    """Refuse an instance other than the one that knows the submission's jobs.

    Returns:
        The error that kept the service from being asked, or None.

    Raises:
        InvalidValueError: If the account belongs to another instance.
    """
    if ledger.account is None:
        return None
    try:
        account = service.account()
    except ServiceError as error:
        return error
    if account not in (None, ledger.account):  # None cannot be compared
        raise InvalidValueError(
            "Expected the account and instance that the jobs were posted under, got another: take "
            "that one again, or begin anew under this one (`hybridq submit --again`, a new run)."
        )
    return None


def begin_session(ledger: Ledger, service: JobService, seconds: int) -> None:
    """Open a session of at most so many seconds, and note what it may cost.

    Args:
        ledger: The ledger, open to write.
        service: The service that takes the jobs.
        seconds: Longest time of the session, in seconds.

    Raises:
        ServiceError: If the service cannot be asked.
    """
    service.session_seconds = seconds
    number = ledger.begin_session(seconds)  # it costs from now on, whoever knows its id
    try:
        service.ready()
    except ServiceError as error:
        if not error.maybe_accepted:
            ledger.forget_session(number)
        raise
    ledger.opened_session(number, service.session_id)


def close_sessions(ledger: Ledger, service: JobService) -> None:
    """Close the batch or session in use, and sessions that a killed process left open.

    A session that cannot be closed is reported; the service closes it after its limit of time.
    """
    earlier: list[str | None] = [*ledger.open_sessions(), None]
    for session_id in earlier:
        try:
            service.close(session_id)
            if session_id is not None:
                ledger.closed_session(session_id)
        except ServiceError as error:
            logger.warning("the batch or session was not closed: %s", error)
