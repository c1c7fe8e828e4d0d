"""Posting the chunks of a submission, each at most once, whatever happens in between."""

from __future__ import annotations

import logging
from collections.abc import Callable

from backends.jobs import JobService, ServiceError, Trouble
from hybridq.hardware.circuit import Pub
from hybridq.hardware.ledger import Chunk, ChunkState, Ledger
from hybridq.hardware.pace import Clock, Pace

logger = logging.getLogger("hybridq")

MOST_TRIES = 8
"""Refused posts of one chunk in a row, before it is given up for now."""
MOST_DOUBTS = 3
"""Posts in a row without an answer, before no more are made."""


def post_all(
    ledger: Ledger,
    service: JobService,
    pub_of: Callable[[Chunk], Pub],
    *,
    clock: Clock,
    pace: Pace,
    settle_seconds: float,
    max_seconds_of: Callable[[Chunk], int | None] = lambda _: None,
) -> ServiceError | None:
    """Post every chunk that is planned, after what is in doubt has been looked up.

    Args:
        ledger: The ledger, open to write.
        service: Where to post.
        pub_of: The PUB of a chunk.
        clock: The time.
        pace: The rate of posts.
        settle_seconds: How long to wait before a job that is not listed is looked up again.
        max_seconds_of: QPU seconds after which the service stops a chunk's job.

    Returns:
        What ended it before all were posted; None if nothing did. What could not be known stays
        `uncertain` in the ledger either way.
    """
    look_up(ledger, service, clock=clock, settle_seconds=settle_seconds)
    stopped = None
    doubts = 0
    waiting = ledger.chunks(ChunkState.PLANNED)
    for place, chunk in enumerate(waiting):
        try:
            _post(ledger, service, chunk, pub_of(chunk), clock, pace, max_seconds_of(chunk))
            doubts = 0
            logger.info("chunk %d of %d posted", place + 1, len(waiting))
        except ServiceError as error:
            if error.maybe_accepted:
                doubts += 1
                logger.warning("chunk %d: %s", chunk.index, error)
                if doubts < MOST_DOUBTS:
                    continue
            stopped = error
            break
    if ledger.chunks(ChunkState.UNCERTAIN):
        look_up(ledger, service, clock=clock, settle_seconds=settle_seconds)
    return stopped


def _post(
    ledger: Ledger,
    service: JobService,
    chunk: Chunk,
    pub: Pub,
    clock: Clock,
    pace: Pace,
    max_seconds: int | None,
) -> None:
    """Post one chunk; again where the service has certainly refused it for a passing reason.

    Raises:
        ServiceError: If it is not accepted; the ledger then says `planned`, `failed` or
            `uncertain`.
    """
    reopened = False
    for attempt in range(MOST_TRIES):
        pace.wait()
        ledger.intend(chunk)
        try:
            job_id = service.post(pub, chunk.tag, max_seconds=max_seconds)
        except ServiceError as error:
            if error.maybe_accepted:
                ledger.doubt(chunk, str(error))
                raise
            if error.trouble is Trouble.REQUEST:
                ledger.fail(chunk, str(error))
                raise
            ledger.refuse(chunk, str(error))
            if error.trouble is Trouble.CLOSED and not reopened:
                reopened = True
                service.reopen()
                logger.info("the batch or session was closed: opening another")
                continue
            if not error.trouble.passes or attempt == MOST_TRIES - 1:
                raise
            wait = error.retry_after
            if wait is None:
                wait = 60.0 if error.trouble is Trouble.RATE else min(60.0, 2.0 * 2**attempt)
            logger.info("%s; trying again in %.0f s", error.trouble, wait)
            clock.sleep(wait)
        else:
            ledger.accept(chunk, job_id)
            return


def look_up(
    ledger: Ledger, service: JobService, *, clock: Clock, settle_seconds: float
) -> ServiceError | None:
    """Ask the service for the jobs of chunks that may have been posted.

    What it does not list is asked for once more after a while, since nothing promises that a job
    is listed at once. Then it stays `uncertain`, or `planned` where the service's listing is known
    to be complete.

    Returns:
        What kept the service from being asked, if something did.
    """
    doubtful = ledger.chunks(ChunkState.POSTING, ChunkState.UNCERTAIN)
    try:
        missing = [chunk for chunk in doubtful if not _found(ledger, service, chunk)]
        if missing and not service.is_local:
            logger.info(
                "%d of %d chunks in doubt are not listed; asking again in %.0f s",
                len(missing),
                len(doubtful),
                settle_seconds,
            )
            clock.sleep(settle_seconds)
            missing = [chunk for chunk in missing if not _found(ledger, service, chunk)]
    except ServiceError as error:
        for chunk in ledger.chunks(ChunkState.POSTING):
            ledger.doubt(chunk, f"it could not be looked up: {error}")
        return error
    for chunk in missing:
        if service.is_local:
            ledger.refuse(chunk, "the service has no job with its tag")
        else:
            ledger.doubt(chunk, "the service lists no job with its tag, which may still appear")
    return None


def repost(ledger: Ledger, service: JobService) -> None:
    """Plan chunks in doubt anew, which the user asked for, unless they turn up after all.

    Raises:
        ServiceError: If they cannot be looked up.
    """
    for chunk in ledger.chunks(ChunkState.POSTING, ChunkState.UNCERTAIN):
        if not _found(ledger, service, chunk):
            ledger.begin_anew(chunk)


def _found(ledger: Ledger, service: JobService, chunk: Chunk) -> bool:
    jobs = service.find(chunk.tag)
    if not jobs:
        return False
    reason = None
    if len(jobs) > 1:
        reason = f"the service accepted it as several jobs, of which the first counts: {jobs}"
        logger.warning("chunk %d: %s", chunk.index, reason)
    ledger.accept(chunk, jobs[0], reason=reason)
    return True
