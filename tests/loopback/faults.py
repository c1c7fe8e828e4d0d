"""Faults on request: refusals, lost replies, hanging, failing jobs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.loopback.records import Ending
from tests.loopback.replies import Reply, error_reply


@dataclass
class Fault:
    """What happens to some of the requests that match; see `Faults.add`."""

    method: str
    pattern: re.Pattern[str]
    times: int
    after: int
    status: int | None
    code: int | str | None
    message: str
    headers: Mapping[str, str]
    accept: bool
    copies: int
    drop: bool
    hang: float
    body: Any

    def reply(self) -> Reply | None:
        """Make the fault's reply; None if the request is to be answered as ever."""
        if self.body is not None:
            text = self.body if isinstance(self.body, str) else json.dumps(self.body)
            return Reply(self.status or 200, text.encode(), dict(self.headers))
        if self.status is None:
            return None
        code = self.status if self.code is None else self.code
        return error_reply(self.status, code, self.message, self.headers)


@dataclass
class Faults:
    """The faults that are yet to happen."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _requests: list[Fault] = field(default_factory=list)
    _endings: list[Ending] = field(default_factory=list)

    def add(
        self,
        method: str,
        pattern: str,
        *,
        times: int = 1,
        after: int = 0,
        status: int | None = None,
        code: int | str | None = None,
        message: str = "",
        headers: Mapping[str, str] | None = None,
        accept: bool = False,
        copies: int = 0,
        drop: bool = False,
        hang: float = 0.0,
        body: Any = None,
    ) -> None:
        """Let matching requests go wrong. Faults are looked at in the order of adding.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            pattern: Regular expression, searched for in the path without query: `^/jobs$`.
            times: How many matching requests go wrong.
            after: How many matching requests go well before.
            status: Status of the reply.
            code: IBM's code in its body; by default the status.
            message: The message in its body.
            headers: Headers of the reply, such as Retry-After.
            accept: Process the request before the reply is sent, or lost.
            copies: How often the request is processed besides, as by a gateway that repeats it.
            drop: Close the connection without a reply.
            hang: Seconds to wait; a request that is not accepted is processed after them.
            body: Body instead of IBM's: a string, or anything that JSON can hold.
        """
        fault = Fault(
            method.upper(),
            re.compile(pattern),
            times,
            after,
            status,
            code,
            message,
            dict(headers or {}),
            accept,
            copies,
            drop,
            hang,
            body,
        )
        with self._lock:
            self._requests.append(fault)

    def fail_job(self, times: int = 1, *, reason: str, code: int, status: str = "Failed") -> None:
        """Let the next accepted jobs end badly instead of running.

        Args:
            times: How many jobs.
            reason: What the client quotes.
            code: IBM's reason code; 1305 with a status of Cancelled is the one for running
                longer than the maximum execution time.
            status: Failed, or Cancelled; what follows Cancelled is left out, as the service
                does.
        """
        final = "Cancelled" if status.lower().startswith("cancelled") else "Failed"
        with self._lock:
            self._endings += [Ending(final, code, reason)] * times

    def clear(self) -> None:
        """Forget the faults that have not happened."""
        with self._lock:
            self._requests.clear()
            self._endings.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Use up the fault that a request meets, if any."""
        with self._lock:
            for fault in self._requests:
                if fault.method != method or not fault.pattern.search(path) or fault.times < 1:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def take_ending(self) -> Ending | None:
        """Use up the bad ending that an accepted job has, if any."""
        with self._lock:
            return self._endings.pop(0) if self._endings else None
