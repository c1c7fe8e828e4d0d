"""The clock of submitting and collecting, and the rate at which jobs are posted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

POSTS_PER_MINUTE = 5
"""The posts a minute that IBM allows (its REST description of POST /jobs)."""


@dataclass(frozen=True)
class Clock:
    """A source of time and a way to wait, both in seconds."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class Pace:
    """A limit on the posts in any minute (a sliding window).

    Args:
        clock: The time.
        per_minute: The most posts in 60 seconds; None sets no limit.
        earlier: Times of earlier posts, in the clock's seconds.
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
        """Wait until the next post may be made, and count it."""
        if self._per_minute is None:
            return
        if len(self._posts) == self._per_minute:
            left = self._posts.popleft() + 60.0 - self._clock.now()
            if left > 0:
                self._clock.sleep(min(left, 60.0))
        self._posts.append(self._clock.now())


def growing(first: float, most: float, factor: float = 1.5) -> Iterable[float]:
    """Yield waits without an end: `first`, then each longer than the last, up to `most`.

    Args:
        first: The first wait, in seconds.
        most: The longest wait, in seconds.
        factor: How many times longer each wait is than the last.
    """
    while True:
        yield first
        first = min(most, first * factor)
