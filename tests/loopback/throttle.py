"""The service's limit on jobs a minute."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from tests.loopback.replies import RefusedError

WINDOW = 60.0


class Throttle:
    """Lets so many `POST /jobs` through in any minute.

    Attributes:
        limit: How many, or None without limit.
        clock: Seconds; a test may put its own here.
    """

    def __init__(self) -> None:
        """Start without limit."""
        self.limit: int | None = None
        self.clock: Callable[[], float] = time.monotonic
        self._passed: list[float] = []
        self._lock = threading.Lock()

    def check(self) -> None:
        """Count one request.

        Raises:
            RefusedError: 429 with Retry-After, if it is one too many; it does not count then.
        """
        with self._lock:
            time_now = self.clock()
            self._passed = [moment for moment in self._passed if moment > time_now - WINDOW]
            if self.limit is not None and len(self._passed) >= self.limit:
                wait = (
                    math.ceil(self._passed[-self.limit] + WINDOW - time_now) if self.limit else 60
                )
                message = f"Too many job requests received: limit is {self.limit} per minute."
                raise RefusedError(429, 1202, message, {"Retry-After": str(max(wait, 1))})
            self._passed.append(time_now)
