"""The one door to IBM's service: it limits the time of each request, and explains failures.

The messages that the client logs go through it, too. They are redacted, and shown only if nothing
failed, since a failure is explained in one line.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from qiskit.providers.exceptions import QiskitBackendNotFoundError

from hybridq_backends.ibm import timed_requests
from hybridq_backends.ibm.exceptions import Act, raise_explained, without_secrets
from hybridq_backends.ibm.timed_requests import Errand, Sent
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.utils.secrets import HIDDEN, redact

T = TypeVar("T")

MOST_LEFT = 8
"""The number of unanswered requests after which no more are made."""
_CLIENT = "qiskit_ibm_runtime"
_LIBRARIES = ("urllib3.connectionpool", "ibm-cloud-sdk-core")


class Door:
    """A door to IBM's client, which by itself would wait without a limit.

    Attributes:
        answer_seconds: Seconds within which a request must be answered.
        sent: The fate of the requests that create something, in the last call that failed or
            was interrupted.
    """

    def __init__(self, spec: IbmRuntime, *, answer_seconds: float | None = None) -> None:
        """Make the door of an account.

        Args:
            spec: The spec whose account it is; its `service_options` may hold secrets.
            answer_seconds: Seconds within which a request must be answered.
        """
        self.answer_seconds = (
            timed_requests.ANSWER_SECONDS if answer_seconds is None else answer_seconds
        )
        self.sent = Sent.NOTHING
        self._spec = spec
        self._left: list[Errand[Any]] = []

    def ask(self, call: Callable[[], T], act: Act = Act.ASK) -> T:
        """Make a call of the client and return its answer, within the time for one answer.

        Raises:
            ServiceError: If it fails or takes too long; one line without secrets.
        """
        return self._ask(call, act, self.answer_seconds)

    def wait(self, call: Callable[[], T], act: Act) -> T:
        """Make a call that may take any time; only each of its requests is limited.

        Raises:
            ServiceError: If it fails; one line without secrets.
        """
        return self._ask(call, act, None)

    def _ask(self, call: Callable[[], T], act: Act, seconds: float | None) -> T:
        outer = threading.current_thread()
        if isinstance(outer, Errand):  # whose time it is that counts
            return self._explained(call, act, outer)
        self._left = [errand for errand in self._left if errand.is_alive()]
        if len(self._left) >= MOST_LEFT:
            raise ServiceError(
                f"Expected answers from IBM Quantum, got none to {len(self._left)} requests: check "
                "the network, then give the same command again.",
                Trouble.NETWORK,
            )
        _keep_quiet()
        errand = Errand(call)
        errand.clean = self._clean
        try:
            found = self._explained(lambda: errand.answer(seconds), act, errand)
        finally:
            self.sent = errand.sent
            self._left.append(errand)
        self._tell(errand)
        return found

    def _clean(self, text: str) -> str:
        return without_secrets(text, self._spec)

    def _tell(self, errand: Errand[Any]) -> None:
        """Show what the client logged, if nothing failed and it names no secret."""
        for record in errand.records if errand.last_failure is None else ():
            text = self._clean(record.getMessage())
            if HIDDEN not in text:
                record.msg, record.args = text, ()
                logging.getLogger(record.name).handle(record)

    def _explained(self, call: Callable[[], T], act: Act, errand: Errand[Any]) -> T:
        try:
            return call()
        except Exception as error:  # noqa: BLE001  what the client lets through has many types
            if isinstance(error, QiskitBackendNotFoundError) and errand.last_failure is not None:
                error = errand.last_failure  # which the client hides behind this
            raise_explained(error, self._spec, act, sent=errand.sent)


class _Quiet(logging.Filter):
    """A filter that holds back the client's messages until it is known whether the call failed.

    If the client's logger shows more than warnings, nothing is held back.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Hold back a record of a call to the client; redact any other record."""
        errand = threading.current_thread()
        clean = errand.clean if isinstance(errand, Errand) else lambda text: redact(text, {})
        shows_all = logging.getLogger(_CLIENT).getEffectiveLevel() < logging.WARNING
        if isinstance(errand, Errand) and not shows_all:
            if record.name.startswith(_CLIENT) and record not in errand.records:
                errand.records.append(record)
            return False
        record.msg, record.args = clean(record.getMessage()), ()
        record.exc_info = record.exc_text = None
        return True


_QUIET = _Quiet()


def _keep_quiet() -> None:
    """Send the messages of the client and its libraries through the filter."""
    for handler in logging.getLogger(_CLIENT).handlers:
        handler.addFilter(_QUIET)
    for name in _LIBRARIES:
        logging.getLogger(name).addFilter(_QUIET)
