"""Time, as submitting and collecting see it: waiting, and the rate at which jobs are posted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

POSTS_PER_MINUTE = 5
"""What IBM allows a user (its REST description of POST /jobs)."""


@dataclass(frozen=True)
class Clock:
    """Where the time comes from and how to let it pass; both in seconds."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class Pace:
    """At most so many posts in any minute (a sliding window).

    Args:
        clock: The time.
        per_minute: Most posts in 60 seconds; None for no limit.
        earlier: When posts were made before, in the clock's seconds.
    """

    def __init__(
        self,
        clock: Clock,
        per_minute: int | None = POSTS_PER_MINUTE,
        earlier: Iterable[float] = (),
    ) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._posts = deque(sorted(earlier), maxlen=per_minute)

    def wait(self) -> None:
        """Return when the next post may be made, and count it."""
        if self._per_minute is None:
            return
        if len(self._posts) == self._per_minute:
            left = self._posts.popleft() + 60.0 - self._clock.now()
            if left > 0:
                self._clock.sleep(min(left, 60.0))
        self._posts.append(self._clock.now())


def growing(first: float, most: float, factor: float = 1.5) -> Iterable[float]:
    """Waiting times without an end: `first`, then each longer than the one before, up to `most`."""
    while True:
        yield first
        first = min(most, first * factor)
