"""Requests that are waited for only so long, and what may have gone out by then."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class GivenUpError(Exception):
    """Nobody waits for the answer any more: the request is not made."""


class Errand(threading.Thread, Generic[T]):
    """A call of IBM's client in a thread of its own, left behind if the service hangs.

    The client gives its requests no limit of time. A thread cannot be stopped, but through a
    watched client one that was left behind makes no more requests. What was under way then, and
    what the transport repeats of it after a 5xx, still counts as sent.

    Attributes:
        sent: Whether a job may have been posted. A client that is not watched may always have.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        """Take what is to be called.

        Args:
            call: Uses the client, and gives what it answers.
        """
        super().__init__(daemon=True)
        self.sent = True
        self._call = call
        self._found: list[T] = []
        self._failed: Exception | None = None
        self._given_up = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Call it, and keep what comes of it."""
        try:
            self._found.append(self._call())
        except Exception as error:  # noqa: BLE001  raised again where it is waited for
            self._failed = error

    def answer(self, seconds: float) -> T:
        """What the call gives, which begins now.

        Args:
            seconds: How long to wait, in seconds.

        Raises:
            TimeoutError: If it takes longer; the thread goes on and sends nothing more.
            Exception: What the call raises.
        """
        # Here and not in the thread: the filters are the whole process's, and one that hangs
        # would never put them back. What the client warns of, quota and status, is checked.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.start()
            self.join(seconds)
        with self._lock:
            self._given_up = not self._found and self._failed is None
        if self._failed is not None:
            raise self._failed
        if self._given_up:
            raise TimeoutError(f"no answer within {seconds:g} s")
        return self._found[0]

    def leave(self, method: str) -> None:
        """Note that a request is about to go out.

        Raises:
            GivenUpError: If nobody waits for it.
        """
        with self._lock:
            if self._given_up:
                raise GivenUpError("the request took too long and was given up")
            self.sent = self.sent or method == "POST"


def watch_jobs(service: Any) -> None:
    """Let the errand at work in this thread know from now on when a job goes out.

    Args:
        service: The service of the client. Where its connections cannot be found, jobs count as
            sent.
    """
    errand = threading.current_thread()
    with contextlib.suppress(AttributeError):
        sessions = [client._session for client in service._api_clients.values()]
        for session in sessions:
            adapter = session.get_adapter(session.base_url)
            if not isinstance(adapter, _Watched):
                session.mount(session.base_url, _Watched(adapter))
        if isinstance(errand, Errand):
            errand.sent = not sessions


class _Watched:
    """A transport adapter of the client's session that asks the errand before it sends."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        """Send a request as before, if somebody waits for it."""
        errand = threading.current_thread()
        if isinstance(errand, Errand):
            errand.leave(str(request.method))
        return self._adapter.send(request, *arguments, **options)

    def close(self) -> None:
        """Close its connections."""
        self._adapter.close()
