"""Explain an exception of IBM's client: its cause, and whether a job may have been posted."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import NoReturn

from ibm_cloud_sdk_core import ApiException
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

from hybridq_backends.errors import HybridqError
from hybridq_backends.ibm.timed_requests import Sent
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.utils.secrets import HIDDEN, redact

LONGEST_WAIT = 600.0
"""The longest wait that the Retry-After of a reply may ask for, in seconds."""

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
_NOT_YOURS = (
    "the account may not use this device, or there is none of that name: name another with "
    "device=..., or another instance."
)
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
_ACCOUNT_ERRORS = (IBMAccountError, IBMNotAuthorizedError)
_REFUSALS = (IBMRuntimeError, IBMInputValueError, RuntimeJobFailureError)
_SAVED_SECRETS = ("token", "instance", "proxies")
_LONGEST_TEXT = 600


class Act(StrEnum):
    """The purpose of a call; the value completes "Expected ... from IBM Quantum"."""

    OPEN = "the account"
    ASK = "an answer"
    DEVICE = "the device's calibration"
    POST = "a job"
    READ = "a result"


def raise_explained(
    error: Exception, spec: IbmRuntime, act: Act = Act.ASK, *, sent: Sent = Sent.NOTHING
) -> NoReturn:
    """Raise the explanation of an exception, without a cause that quotes a secret.

    Args:
        error: The exception.
        spec: The spec of the backend; its `service_options` may hold secrets.
        act: The purpose of the call.
        sent: The fate of the requests that create something.

    Raises:
        ServiceError: Always.
    """
    found = explain(error, spec, act, sent=sent)
    if isinstance(error, ServiceError) and str(found) == str(error):  # told before
        raise error
    quoted = any(HIDDEN in without_secrets(str(one), spec) for one in _chain(error))
    raise found from (None if quoted else error)


def explain(
    error: BaseException, spec: IbmRuntime, act: Act = Act.ASK, *, sent: Sent = Sent.NOTHING
) -> ServiceError:
    """Explain an exception of IBM's client in one line.

    Args:
        error: The exception.
        spec: The spec of the backend; its `service_options` may hold secrets.
        act: The purpose of the call.
        sent: The fate of the requests that create something.
    """
    chain = list(_chain(error))
    text = without_secrets(str(error), spec)
    if isinstance(error, ServiceError):
        return ServiceError(
            text,
            error.trouble,
            maybe_accepted=error.maybe_accepted,
            retry_after=error.retry_after,
        )
    status = _status(chain)
    trouble = _trouble(chain, status, text, act, sent)
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]} ..."
    remedy = _REMEDIES[trouble]
    if trouble is Trouble.DEVICE and status is not None:
        remedy = _NOT_YOURS
    if isinstance(error, AccountNotFoundError):
        message = _NO_ACCOUNT
    elif isinstance(error, HybridqError):  # which says it all already
        message = text
    else:
        message = f"Expected {act} from IBM Quantum, got {type(error).__name__} ({text}): {remedy}"
    return ServiceError(
        message,
        trouble,
        maybe_accepted=sent is Sent.UNKNOWN,
        retry_after=_retry_after(chain),
    )


def without_secrets(text: str, spec: IbmRuntime) -> str:
    """Remove the secrets of the options, the environment and the saved accounts from a text."""
    return redact(text, spec.service_options, _saved_secrets(spec.service_options.get("filename")))


class _Reading(threading.local):
    """Whether this thread reads saved accounts, while the messages of the client are redacted."""

    active = False


_READING = _Reading()


def _saved_secrets(filename: str | None) -> list[object]:
    """List the tokens, instances and proxies of all saved accounts that can be read."""
    if _READING.active:
        return []
    _READING.active = True
    try:
        saved = QiskitRuntimeService.saved_accounts(filename=filename).values()
        return [account.get(name) for account in saved for name in _SAVED_SECRETS]
    except Exception:  # noqa: BLE001  a file of accounts that holds anything else
        return []
    finally:
        _READING.active = False


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, its causes and contexts, and those that its arguments wrap."""
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
    """Find the HTTP status of the reply, if there was one."""
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
    unasked = any(isinstance(one, InvalidAccountError) and one.__cause__ for one in chain)
    if not unasked and any(isinstance(one, _ACCOUNT_ERRORS) for one in chain):
        return Trouble.ACCOUNT
    if any(isinstance(one, QiskitBackendNotFoundError) for one in chain):
        # Before it posts, the client looks a device up again that was there a moment ago.
        return Trouble.NETWORK if act is Act.POST else Trouble.DEVICE
    if status in (403, 404) and _is_of_a_device(chain):
        return Trouble.DEVICE
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if _is_refusal(status):
        if any(isinstance(one, ApiException) for one in chain):  # of tokens and instances
            return Trouble.ACCOUNT
        if act is Act.POST and sent is not Sent.REFUSED:  # of another request than the post
            return Trouble.NETWORK
        if act is Act.POST and status == 409:
            return Trouble.QUOTA
        return Trouble.ACCOUNT if act is Act.OPEN else Trouble.REQUEST
    if sent is Sent.UNKNOWN or status is not None or unasked:
        return Trouble.NETWORK
    if any(isinstance(one, OSError) for one in chain):  # a reply that is no JSON, too
        return Trouble.NETWORK
    if isinstance(chain[0], _REFUSALS):
        return Trouble.ACCOUNT if act is Act.OPEN else Trouble.REQUEST
    return _own_fault(chain[0], act)


def _own_fault(error: BaseException, act: Act) -> Trouble:
    """Name what is at fault if it is not the network: the request, or a reply without sense."""
    if act is Act.OPEN:  # options that the client refuses
        is_option = isinstance(error, ValueError | HybridqError) or "keyword" in str(error)
        return Trouble.ACCOUNT if is_option else Trouble.NETWORK
    if act is Act.READ:
        return Trouble.RESULT
    return Trouble.REQUEST if act is Act.POST else Trouble.NETWORK


def _is_of_a_device(chain: list[BaseException]) -> bool:
    """Whether the reply is to a question about one device."""
    urls = [str(getattr(getattr(one, "response", None), "url", "")) for one in chain]
    return any("/backends/" in url for url in urls)


def _retry_after(chain: list[BaseException]) -> float | None:
    """Read the seconds of the reply's Retry-After, up to a limit; None without one."""
    for one in chain:
        headers = getattr(getattr(one, "response", None), "headers", None) or {}
        value = str(headers.get("Retry-After", ""))
        if value.isdigit():
            return min(float(value), LONGEST_WAIT)
    return None
