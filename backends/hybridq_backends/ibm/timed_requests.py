"""Limit the time of each request, and send a request that creates something only once."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from requests import HTTPError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError

T = TypeVar("T")

ANSWER_SECONDS = 120.0
"""Seconds within which a request must be answered."""
_CONNECT_SECONDS = 5.0


class Sent(Enum):
    """The fate of those requests of a failed call that create a job or a session.

    `NOTHING` went out, all were `REFUSED` for certain, or it is `UNKNOWN` whether one was accepted.
    """

    NOTHING = auto()
    REFUSED = auto()
    UNKNOWN = auto()


class GivenUpError(Exception):
    """A request is not made because nobody waits for its answer any more."""


class Errand(threading.Thread, Generic[T]):
    """A call of IBM's client in its own thread, which is abandoned if the service hangs.

    The client gives its requests no limit of time, and a thread cannot be stopped. But the
    watched client lets an abandoned thread make no more requests. A request that was already on
    its way may still arrive.

    Attributes:
        sent: The fate of the requests that create something, if the call fails.
        last_failure: Why the last failed request failed, which the client may not report.
        records: The records that the client logged during the call.
        clean: A function that takes the secrets out of a text.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        """Prepare a call.

        Args:
            call: A function that uses the client and returns its answer.
        """
        super().__init__(daemon=True)
        self.sent = Sent.NOTHING
        self.last_failure: Exception | None = None
        self.records: list[logging.LogRecord] = []
        self.clean: Callable[[str], str] = str
        self._call = call
        self._found: list[T] = []
        self._failed: Exception | None = None
        self._given_up = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Make the call, and keep its answer or its exception."""
        try:
            self._found.append(self._call())
        except Exception as error:  # noqa: BLE001  raised again where it is waited for
            self._failed = error

    def answer(self, seconds: float | None) -> T:
        """Start the call and return its answer.

        Args:
            seconds: How long to wait, in seconds; None waits without a limit.

        Raises:
            TimeoutError: If it takes longer. The thread then sends nothing more; the same holds
                if the wait is interrupted.
            Exception: The exception of the call.
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

    def leave(self, *, creates: bool = False) -> Sent:
        """Note that a request is about to go out.

        Args:
            creates: Whether it creates something.

        Returns:
            The fate of the requests before it.

        Raises:
            GivenUpError: If nobody waits for it.
        """
        with self._lock:
            if self._given_up:
                raise GivenUpError("the request took too long and was given up")
            before = self.sent
            if creates:
                self.sent = Sent.UNKNOWN
        return before


def forget_failure() -> None:
    """Forget why an earlier request of this errand failed, and what was logged of it."""
    errand = threading.current_thread()
    if isinstance(errand, Errand):
        errand.last_failure = None
        errand.records.clear()


def has_failed() -> bool:
    """Whether a request of this errand failed, though the client goes on."""
    errand = threading.current_thread()
    return isinstance(errand, Errand) and errand.last_failure is not None


def watch(service: Any) -> bool:
    """Send all further requests of a service's client through `_Watched`.

    Args:
        service: The service of the client.

    Returns:
        Whether its connections were found. Where they were not, the client may post a job again
        on its own.
    """
    try:
        sessions = [client._session for client in service._api_clients.values()]
        for session in sessions:
            adapter = session.get_adapter(session.base_url)
            if not isinstance(adapter, _Watched):
                session.mount(session.base_url, _Watched(adapter, session.auth))
                _forget_token_request(session.auth)
    except AttributeError:
        return False
    return bool(sessions)


class _Watched:
    """A transport adapter of the client's session, which limits the time of each request.

    A request that creates a job or a session goes out once. If IBM's client posted it again after
    a server error, nobody would know how many were accepted. So each such request has one outcome:
    it was accepted, it was refused, or nobody knows.

    Args:
        adapter: The client's own adapter, which repeats requests that create nothing.
        auth: The object with which the client signs requests.
    """

    def __init__(self, adapter: Any, auth: Any) -> None:
        self._adapter = adapter
        self._auth = auth
        self._once = HTTPAdapter(max_retries=0)

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        """Send a request, if somebody waits for it."""
        options["timeout"] = (_CONNECT_SECONDS, ANSWER_SECONDS)
        errand = threading.current_thread()
        if not isinstance(errand, Errand):
            errand = Errand(lambda: None)  # of which nobody asks what has become
        errand.leave()
        try:
            self._sign(request)
            if request.method == "POST" and not str(request.url).endswith("/cancel"):
                reply = self._create(errand, request, *arguments, **options)
            else:
                reply = self._adapter.send(request, *arguments, **options)
            if reply.status_code >= 400:
                errand.last_failure = _failure(reply)
        except Exception as error:
            errand.last_failure = error
            raise
        return reply

    def close(self) -> None:
        """Close its connections."""
        self._adapter.close()
        self._once.close()

    def _create(self, errand: Errand[Any], request: Any, *arguments: Any, **options: Any) -> Any:
        """Send a request that creates something, and note whether it was refused for certain."""
        before = errand.leave(creates=True)
        after = Sent.UNKNOWN
        try:
            reply = self._once.send(request, *arguments, **options)
            reply.headers.pop("Location", None)  # which would have it posted again
            if 400 <= reply.status_code < 500 and reply.status_code != 408:
                after = Sent.REFUSED
        except OSError as error:
            if _never_left(error):
                after = before
            raise
        finally:
            if before is not Sent.UNKNOWN:
                errand.sent = after
        return reply

    def _sign(self, request: Any) -> None:
        """Ask for an access token once more where the client got none.

        It sends the account's key instead then, and hides why.

        Raises:
            Exception: The cause, if no token is issued.
        """
        if str(request.headers.get("Authorization", "")).startswith("apikey "):
            _forget_token_request(self._auth)
            try:
                request.headers["Authorization"] = f"Bearer {self._auth.tm.get_token()}"
            finally:
                _forget_token_request(self._auth)


def _forget_token_request(auth: Any) -> None:
    """Ask for the next token at once; after a failed request the client would wait a minute."""
    with contextlib.suppress(AttributeError):
        auth.tm.request_time = 0


def _failure(reply: Any) -> HTTPError:
    """Read the failure that a reply reports."""
    text = f"{reply.status_code} {reply.reason} for {reply.request.path_url}: {reply.text}"
    return HTTPError(text, request=reply.request, response=reply)


def _never_left(error: OSError) -> bool:
    """Whether no connection was made, so that nothing can have been sent."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), ConnectTimeoutError)
