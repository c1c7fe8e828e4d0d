"""What an exception of IBM's client means: the trouble, and whether a job may have been posted."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NoReturn

from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.accounts import AccountNotFoundError, InvalidAccountError
from qiskit_ibm_runtime.exceptions import (
    IBMAccountError,
    IBMInputValueError,
    IBMNotAuthorizedError,
    IBMRuntimeError,
    RuntimeJobFailureError,
)

from backends.errands import Sent
from backends.errors import HybridqError
from backends.jobs import ServiceError, Trouble
from backends.secrets import HIDDEN, redact
from backends.specs import IbmRuntime

LONGEST_WAIT = 600.0
"""Seconds at most that are waited because a reply's Retry-After asks for it."""

_REMEDIES = {
    Trouble.RATE: "wait a minute; jobs are posted at most five times a minute.",
    Trouble.ACCOUNT: "check the account and its instance, or renew the token with "
    "QiskitRuntimeService.save_account(token=..., overwrite=True) or QISKIT_IBM_TOKEN, then give "
    "the same command again.",
    Trouble.QUOTA: "the instance's time is used up: wait until the plan grants more, then give "
    "the same command again.",
    Trouble.NO_SESSIONS: "this plan has no sessions: use mode=batch or mode=job.",
    Trouble.CLOSED: "the batch or session was closed: give the same command again, which opens "
    "another.",
    Trouble.DEVICE: "the device takes no jobs now: wait, or name another with device=...",
    Trouble.REQUEST: "the request itself is at fault: read the reason.",
    Trouble.RESULT: "the job is done but its result cannot be read: look at it on IBM's site, "
    "then retry the chunk.",
    Trouble.NETWORK: "check the network and https://quantum.cloud.ibm.com/status, then give the "
    "same command again.",
}
_NO_ACCOUNT = (
    "Expected an IBM Quantum account, got none: save one with "
    "QiskitRuntimeService.save_account(token=...), or set QISKIT_IBM_TOKEN (and "
    "QISKIT_IBM_INSTANCE), or name its file in a profile's table `service_options` "
    '(filename = "account.json"); without one use ibm_rehearsal.'
)
_BY_CODE = {1352: Trouble.NO_SESSIONS, 1217: Trouble.CLOSED, 1007: Trouble.DEVICE}
_BY_STATUS = {
    401: Trouble.ACCOUNT,
    402: Trouble.QUOTA,
    403: Trouble.ACCOUNT,
    408: Trouble.NETWORK,
    429: Trouble.RATE,
}
_BY_TYPE = {
    AccountNotFoundError: Trouble.ACCOUNT,
    InvalidAccountError: Trouble.ACCOUNT,
    IBMAccountError: Trouble.ACCOUNT,
    IBMNotAuthorizedError: Trouble.ACCOUNT,
}
_REFUSALS = (IBMRuntimeError, IBMInputValueError, RuntimeJobFailureError)


class Act(StrEnum):
    """What the client is asked for; the value completes "Expected ... from IBM Quantum"."""

    OPEN = "the account"
    ASK = "an answer"
    POST = "a job"
    READ = "a result"


@contextlib.contextmanager
def service_errors(spec: IbmRuntime, act: Act = Act.ASK) -> Iterator[None]:
    """Turn what the client raises inside into a `ServiceError`.

    Args:
        spec: Whose `service_options` may hold secrets.
        act: What the client is asked for.

    Raises:
        ServiceError: For everything that the client raises.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:  # noqa: BLE001  what the client lets through has many types
        raise_explained(error, spec, act)


def raise_explained(
    error: Exception, spec: IbmRuntime, act: Act = Act.ASK, *, sent: Sent = Sent.NOTHING
) -> NoReturn:
    """Raise what `explain` makes of an exception, without a cause that quotes a secret.

    Raises:
        ServiceError: Always.
    """
    found = explain(error, spec, act, sent=sent)
    raise found from (None if HIDDEN in str(found) else error)


def explain(
    error: BaseException, spec: IbmRuntime, act: Act = Act.ASK, *, sent: Sent = Sent.NOTHING
) -> ServiceError:
    """Say what an exception means.

    Args:
        error: What was raised.
        spec: Whose `service_options` may hold secrets.
        act: What the client was asked for.
        sent: What has become of requests that create something.
    """
    chain = list(_chain(error))
    text = without_secrets(str(error), spec)
    trouble = _trouble(chain, _status(chain), text, act, sent)
    if isinstance(error, AccountNotFoundError):
        message = _NO_ACCOUNT
    elif isinstance(error, HybridqError):  # which says it all already
        message = text
    else:
        message = (
            f"Expected {act} from IBM Quantum, got {type(error).__name__} ({text}): "
            f"{_REMEDIES[trouble]}"
        )
    return ServiceError(
        message,
        trouble,
        maybe_accepted=sent is Sent.UNKNOWN,
        retry_after=_retry_after(chain),
    )


def without_secrets(text: str, spec: IbmRuntime) -> str:
    """Redact what the options, the environment and the saved accounts hold."""
    options = dict(spec.service_options)
    tokens = []
    with contextlib.suppress(Exception):  # a file of accounts that holds anything else
        saved = QiskitRuntimeService.saved_accounts(filename=options.get("filename"))
        tokens = [account.get("token", "") for account in saved.values()]
    return redact(text, {**options, "saved_tokens": tokens})


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


def _is_refusal(status: int | None) -> bool:
    return status is not None and 400 <= status < 500 and status != 408


def _trouble(
    chain: list[BaseException],
    status: int | None,
    text: str,
    act: Act,
    sent: Sent,
) -> Trouble:
    for code in re.findall(r"\b(?:code[\"']?:?\s*)(\d{4})\b", text):
        if int(code) in _BY_CODE:
            return _BY_CODE[int(code)]
    for kind, trouble in _BY_TYPE.items():
        if any(isinstance(one, kind) for one in chain):
            return trouble
    if any(isinstance(one, QiskitBackendNotFoundError) for one in chain):
        # Before it posts, the client looks a device up again that was there a moment ago.
        return Trouble.NETWORK if act is Act.POST else Trouble.DEVICE
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    # What is at fault if the service refused this, or if it is not the service that failed.
    fault = Trouble.ACCOUNT if act is Act.OPEN else Trouble.REQUEST
    if _is_refusal(status):
        if act is Act.POST and sent is not Sent.REFUSED:  # of another request than the post
            return Trouble.NETWORK
        return Trouble.QUOTA if act is Act.POST and status == 409 else fault
    if sent is Sent.UNKNOWN or status is not None or any(isinstance(one, OSError) for one in chain):
        return Trouble.NETWORK
    if isinstance(chain[0], _REFUSALS):
        return fault
    # Not the network: our own side. A reply that makes no sense may make some the next time.
    return {Act.ASK: Trouble.NETWORK, Act.READ: Trouble.RESULT}.get(act, fault)


def _retry_after(chain: list[BaseException]) -> float | None:
    """Seconds in the reply's Retry-After, where it has one in seconds, up to a limit."""
    for one in chain:
        headers = getattr(getattr(one, "response", None), "headers", None) or {}
        value = str(headers.get("Retry-After", ""))
        if value.isdigit():
            return min(float(value), LONGEST_WAIT)
    return None
