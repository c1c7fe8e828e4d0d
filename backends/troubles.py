"""What an exception of IBM's client means: the trouble, and whether a job may have been posted."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from qiskit_ibm_runtime.accounts import AccountNotFoundError, InvalidAccountError
from qiskit_ibm_runtime.exceptions import (
    IBMAccountError,
    IBMBackendError,
    IBMInputValueError,
    IBMNotAuthorizedError,
    IBMRuntimeError,
    RuntimeJobFailureError,
)

from backends.account import without_secrets
from backends.errors import UnavailableError
from backends.jobs import ServiceError, Trouble
from backends.secrets import HIDDEN
from backends.specs import IbmRuntime

_REMEDIES = {
    Trouble.RATE: "wait a minute; jobs are posted at most five times a minute.",
    Trouble.ACCOUNT: "renew the token with QiskitRuntimeService.save_account(token=..., "
    "overwrite=True) or QISKIT_IBM_TOKEN, then give the same command again.",
    Trouble.QUOTA: "the instance's time is used up: wait until the plan grants more, or use "
    "another instance, then give the same command again.",
    Trouble.NO_SESSIONS: "this plan has no sessions: use mode=batch or mode=job.",
    Trouble.CLOSED: "the batch or session was closed: give the same command again, which opens "
    "another.",
    Trouble.DEVICE: "the device takes no jobs now: wait, or name another with device=...",
    Trouble.REQUEST: "the request itself is at fault: read the reason.",
    Trouble.NETWORK: "check the network and https://quantum.cloud.ibm.com/status, then give the "
    "same command again.",
}
_BY_CODE = {1352: Trouble.NO_SESSIONS, 1217: Trouble.CLOSED}
_BY_STATUS = {
    401: Trouble.ACCOUNT,
    402: Trouble.QUOTA,
    403: Trouble.ACCOUNT,
    408: Trouble.NETWORK,
    409: Trouble.QUOTA,
    429: Trouble.RATE,
}
_ACCOUNT = (IBMAccountError, IBMNotAuthorizedError, AccountNotFoundError, InvalidAccountError)
_REQUEST = (IBMRuntimeError, IBMInputValueError, RuntimeJobFailureError)


@contextlib.contextmanager
def service_errors_of_jobs(spec: IbmRuntime, *, posting: bool = False) -> Iterator[None]:
    """Turn what the client raises inside into a `ServiceError`.

    Args:
        spec: Whose `service_options` may hold secrets.
        posting: Whether a job is posted inside.

    Raises:
        ServiceError: For everything the client raises.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:  # noqa: BLE001  what the client lets through has many types
        found = explain(error, spec, posting=posting)
        raise found from (None if HIDDEN in str(found) else error)


def explain(error: BaseException, spec: IbmRuntime, *, posting: bool) -> ServiceError:
    """Say what an exception means.

    A job counts as refused only where that is certain: the first reply had a status from 400 to
    499, or the client failed in a request before the post. A reply that was lost, and whatever is
    not known, leave it open; so does a 5xx, also where the client posted again on its own and was
    refused then.
    """
    chain = list(_chain(error))
    text = without_secrets(str(error), spec)
    status = _status(chain)
    trouble = _trouble(chain, status, text, posting=posting)
    # the client wraps what its POST raises, and nothing before it, in this class
    in_post = isinstance(error, IBMRuntimeError) and "Failed to run program" in text
    before_post = isinstance(error, IBMBackendError) or type(error).__name__ == "RequestsApiError"
    refused = (
        (status is not None and 400 <= status < 500 and status != 408 and not _posted_again(chain))
        or isinstance(error, IBMInputValueError | AccountNotFoundError)
        or (before_post and not in_post)
    )
    what = "a job" if posting else "an answer"
    message = f"Expected {what} from IBM Quantum, got {type(error).__name__} ({text}): "
    if isinstance(error, UnavailableError):  # which says it all already
        message, remedy = text, ""
    else:
        remedy = _REMEDIES[trouble]
    return ServiceError(
        message + remedy,
        trouble,
        maybe_accepted=posting and not refused,
        retry_after=_retry_after(chain),
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, its causes and contexts, and what requests and urllib3 wrap in arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _status(chain: list[BaseException]) -> int | None:
    """The HTTP status of the reply, if there was one."""
    for one in chain:
        response = getattr(one, "response", None)
        if response is not None:
            return int(response.status_code)
        status = getattr(one, "status_code", -1)
        if isinstance(status, int) and status > 0:
            return status
    return None


def _posted_again(chain: list[BaseException]) -> bool:
    """Whether the client had an answer of 500 or above before the one that it gave up at."""
    for one in chain:
        raw = getattr(getattr(one, "response", None), "raw", None)
        history = getattr(getattr(raw, "retries", None), "history", ())
        if any(entry.status is not None and entry.status >= 500 for entry in history):
            return True
    return False


def _trouble(
    chain: list[BaseException], status: int | None, text: str, *, posting: bool
) -> Trouble:
    for code in re.findall(r"\b(?:code[\"']?:?\s*)(\d{4})\b", text):
        if int(code) in _BY_CODE:
            return _BY_CODE[int(code)]
    if any(isinstance(one, _ACCOUNT) for one in chain):
        return Trouble.ACCOUNT
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    refused = status is not None and 400 <= status < 500
    if status == 404 and not posting:
        return Trouble.REQUEST
    # a raw error of another request, such as those that come before a post, says nothing of a job
    if isinstance(chain[0], _REQUEST) and (refused or not isinstance(chain[0], IBMRuntimeError)):
        return Trouble.REQUEST
    return Trouble.NETWORK


def _retry_after(chain: list[BaseException]) -> float | None:
    """Seconds in the reply's Retry-After, where it has one in seconds."""
    for one in chain:
        headers = getattr(getattr(one, "response", None), "headers", None) or {}
        value = str(headers.get("Retry-After", ""))
        if value.isdigit():
            return float(value)
    return None
