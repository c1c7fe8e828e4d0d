"""The one door to IBM's service: each request with its limit of time, and in words what failed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from backends import errands
from backends.errands import Errand, Sent
from backends.jobs import ServiceError, Trouble
from backends.specs import IbmRuntime
from backends.troubles import Act, raise_explained

T = TypeVar("T")

MOST_LEFT = 8
"""Requests without an answer that are left behind, before no more are made."""


class Door:
    """Asks the client, which by itself waits without a limit.

    Attributes:
        answer_seconds: Seconds within which a request must be answered.
        sent: What has become of requests that create something, in the last call that failed or
            was interrupted.
    """

    def __init__(self, spec: IbmRuntime, *, answer_seconds: float | None = None) -> None:
        """Make the door of an account.

        Args:
            spec: Whose account it is; its `service_options` may hold secrets.
            answer_seconds: Seconds within which a request must be answered.
        """
        self.answer_seconds = errands.ANSWER_SECONDS if answer_seconds is None else answer_seconds
        self.sent = Sent.NOTHING
        self._spec = spec
        self._left: list[Errand[Any]] = []

    def ask(self, call: Callable[[], T], act: Act = Act.ASK) -> T:
        """What a call of the client gives, within the time there is for an answer.

        Raises:
            ServiceError: If it fails or takes too long; one line without secrets.
        """
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
        errand = Errand(call)
        try:
            return self._explained(lambda: errand.answer(self.answer_seconds), act, errand)
        finally:
            self.sent = errand.sent
            self._left.append(errand)

    def _explained(self, call: Callable[[], T], act: Act, errand: Errand[Any]) -> T:
        try:
            return call()
        except ServiceError:
            raise
        except Exception as error:  # noqa: BLE001  what the client lets through has many types
            raise_explained(error, self._spec, act, sent=errand.sent)
