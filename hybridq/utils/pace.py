"""How long work of many equal steps will take, told after the first, and how far it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger("hybridq")

LONG = 180.0
"""Seconds from which on work is worth a word beforehand."""
EVERY = 30.0
"""Seconds between two lines on how far it is."""
ENOUGH = 20.0
"""Seconds after which two calls say enough of the others."""
LONG_STEP = 60.0
"""Seconds of a first step from which on it alone says enough, although it also warms up."""


class Pace:
    """Counts steps, and tells once how long all will take, then now and then how far they are.

    Work that takes less than `LONG` seconds is not spoken of beforehand, and work of less than
    `EVERY` seconds not at all.

    Args:
        total: Steps of the whole work.
        what: What they are, such as `images`.
        lines: Whether to tell how far it is; not where a bar does.
        clock: Gives the time in seconds.
    """

    def __init__(
        self,
        total: int,
        what: str,
        *,
        lines: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.what = what
        self.lines = lines
        self._clock = clock
        self._calls = 0
        self._estimated = False
        self._begun = self._told = self._first = clock()
        self._done_first = 0

    def done(self, count: int, place: str = "") -> None:
        """Say that `count` steps of the work are done by now.

        Args:
            count: The steps that are done, of all.
            place: What a line begins with, such as the epoch.
        """
        now = self._clock()
        self._calls += 1
        if self._calls == 1:
            self._first, self._done_first = now, count  # a first step also warms up
        left = self._seconds(count, now) * (self.total - count)
        known = self._calls > 5 or now - self._begun > (ENOUGH if self._calls > 1 else LONG_STEP)
        if known and not self._estimated:
            self._estimated = True
            if left > LONG:
                logger.info(
                    "%s %s to go take about %s", self.total - count, self.what, in_words(left)
                )
        if self.lines and now - self._told >= EVERY and count < self.total:
            self._told = now
            start = f"{place}, " if place else ""
            logger.info(
                "%s%d of %d %s, about %s left", start, count, self.total, self.what, in_words(left)
            )

    def _seconds(self, count: int, now: float) -> float:
        """Seconds of a step: of the first call where there is no other."""
        if self._calls > 1 and count > self._done_first:
            return (now - self._first) / (count - self._done_first)
        return (now - self._begun) / max(1, count)


def in_words(seconds: float) -> str:
    """A duration, rounded as an estimate is: `40 s`, `12 min`, `3 h 20 min`, `2 days 5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"
