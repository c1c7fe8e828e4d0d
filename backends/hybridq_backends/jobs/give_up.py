"""Postings that the service has not listed for long: given up where the user says so."""

from __future__ import annotations

import logging

from hybridq_backends.jobs.ledger.ledger import Ledger

logger = logging.getLogger("hybridq")


def give_up(ledger: Ledger, *, now: float, after_seconds: float) -> int:
    """Take postings in doubt for not made, once they are old enough.

    What is in doubt must just have been looked up. The chunks are planned anew, under new tags, and
    the budget is freed of their limits; a job that the service lists later counts after all.

    Args:
        ledger: The ledger, open to write.
        now: The time, in seconds since 1970.
        after_seconds: How long they must not have been listed.

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
