"""Requests that are waited for only so long, and what may have gone out by then."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

T = TypeVar("T")

ANSWER_SECONDS = 120.0
"""Seconds within which a request must be answered."""
_CONNECT_SECONDS = 5.0


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
        self._is_watched = False
        self._num_open = 0
        self._call = call
        self._found: list[T] = []
        self._failed: Exception | None = None
        self._given_up = False
        self._lock = threading.Lock()

    @property
    def refused(self) -> bool | None:
        """Whether jobs were posted, and all of them refused for certain; None if not watched."""
        return self.sent and self._num_open == 0 if self._is_watched else None

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
            TimeoutError: If it takes longer; the thread goes on and sends nothing more. So it
                does where the wait is interrupted.
            Exception: What the call raises.
        """
        # Here and not in the thread: the filters are the whole process's, and one that hangs
        # would never put them back. What the client warns of, quota and status, is checked.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.start()
                self.join(seconds)
        finally:
            with self._lock:
                self._given_up = not self._found and self._failed is None
        if self._failed is not None:
            raise self._failed
        if self._given_up:
            raise TimeoutError(f"no answer within {seconds:g} s")
        return self._found[0]

    def watched(self) -> None:
        """Note that from now on every request asks before it goes out."""
        self.sent, self._is_watched = False, True

    def leave(self, method: str) -> None:
        """Note that a request is about to go out.

        Raises:
            GivenUpError: If nobody waits for it.
        """
        with self._lock:
            if self._given_up:
                raise GivenUpError("the request took too long and was given up")
            if method == "POST":
                self.sent = True
                self._num_open += 1

    def take(self, method: str, reply: Any) -> None:
        """Note the reply to a request."""
        if method == "POST" and _is_refusal(reply):
            self._num_open -= 1


def watch(service: Any) -> None:
    """Let errands know from now on what goes out, and give each request a limit of time.

    Args:
        service: The service of the client. Where its connections cannot be found, jobs count as
            sent.
    """
    with contextlib.suppress(AttributeError):
        sessions = [client._session for client in service._api_clients.values()]
        for session in sessions:
            adapter = session.get_adapter(session.base_url)
            if not isinstance(adapter, _Watched):
                session.mount(session.base_url, _Watched(adapter))
        errand = threading.current_thread()
        if sessions and isinstance(errand, Errand):
            errand.watched()


def _is_refusal(reply: Any) -> bool:
    """Whether a reply says that nothing was accepted, and no request before it may have been.

    The transport repeats a request on its own: after a 5xx, and after a connection that broke
    while the reply was awaited.
    """
    history = getattr(getattr(reply.raw, "retries", None), "history", None)
    return (
        400 <= reply.status_code < 500
        and reply.status_code != 408
        and history is not None
        and all(isinstance(e.error, NewConnectionError | ConnectTimeoutError) for e in history)
    )


class _Watched:
    """A transport adapter of the client's session that asks the errand before it sends."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        """Send a request as before, if somebody waits for it."""
        options["timeout"] = (_CONNECT_SECONDS, ANSWER_SECONDS)
        errand = threading.current_thread()
        if not isinstance(errand, Errand):
            return self._adapter.send(request, *arguments, **options)
        errand.leave(str(request.method))
        reply = self._adapter.send(request, *arguments, **options)
        errand.take(str(request.method), reply)
        return reply

    def close(self) -> None:
        """Close its connections."""
        self._adapter.close()
