"""Give up postings that the service has not listed for long, if the user says so."""

from __future__ import annotations

import logging

from hybridq_backends.jobs.ledger.ledger import Ledger

logger = logging.getLogger("hybridq")


def give_up(ledger: Ledger, *, now: float, after_seconds: float) -> int:
    """Treat old postings in doubt as not made.

    The postings in doubt must just have been looked up. Their chunks are planned anew under new
    tags, and their limits no longer count in the budget. A job that the service lists later counts
    again.

    Args:
        ledger: The ledger, open to write.
        now: The time, in seconds since 1970.
        after_seconds: How long they must have been unlisted, in seconds.

    Returns:
        How many were given up.
    """
    count = 0
    for doubt in ledger.doubts():
        hours = (now - doubt.posted_at) / 3600
        if now - doubt.posted_at < after_seconds:
            logger.warning(
                "chunk %d: its posting of %.1f hours ago is not given up before %.1f hours "
                "(--give-up-after)",
                doubt.index,
                hours,
                after_seconds / 3600,
            )
            continue
        ledger.give_up(doubt, f"a posting was given up: not listed for {hours:.1f} hours")
        logger.info("chunk %d: not listed for %.1f hours, given up", doubt.index, hours)
        count += 1
    return count
