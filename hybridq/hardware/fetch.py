"""Fetching the results of posted chunks, in any process, on any day."""

from __future__ import annotations

import logging

from backends.jobs import JobService, JobState, ServiceError, Trouble
from hybridq.errors import InvalidValueError
from hybridq.hardware.ledger import Chunk, ChunkState, Ledger
from hybridq.hardware.pace import Clock, growing

logger = logging.getLogger("hybridq")

MOST_FAILURES = 6
"""Requests in a row that may fail before fetching stops."""


def fetch_all(
    ledger: Ledger, service: JobService, *, clock: Clock, wait_seconds: float
) -> ServiceError | None:
    """Fetch what is done, and wait for the rest as long as asked.

    Args:
        ledger: The ledger, open to write.
        service: Where the jobs are.
        clock: The time.
        wait_seconds: How long to go on asking; 0 asks once.

    Returns:
        What ended it early; None if nothing did, though chunks may be outstanding.
    """
    ends = clock.now() + wait_seconds
    failures = 0
    for wait in growing(2.0, 30.0):
        outstanding = ledger.chunks(ChunkState.POSTED)
        if not outstanding:
            return None
        retry_after = None
        for chunk in outstanding:
            try:
                fetch(ledger, service, chunk)
                failures = 0
            except ServiceError as error:
                failures += 1
                if not error.trouble.passes or failures == MOST_FAILURES:
                    return error
                logger.warning("chunk %d: %s", chunk.index, error)
                retry_after = error.retry_after
                break
        left = ends - clock.now()
        if left <= 0 or not ledger.chunks(ChunkState.POSTED):
            return None
        counts = ledger.counts()
        logger.info(
            "%d of %d chunks are here; asking again in %.0f s",
            counts.get(ChunkState.DONE, 0),
            sum(counts.values()),
            min(wait if retry_after is None else retry_after, left),
        )
        clock.sleep(min(wait if retry_after is None else retry_after, left))
    return None


def fetch(ledger: Ledger, service: JobService, chunk: Chunk) -> None:
    """Ask for one posted chunk, and keep what has become of it.

    Raises:
        ServiceError: If the service cannot be asked.
    """
    if chunk.job_id is None:
        raise InvalidValueError(f"Expected a posted chunk, got chunk {chunk.index} without a job.")
    seconds = None
    try:
        report = service.report(chunk.job_id)
        seconds = report.qpu_seconds
        if report.state is JobState.CANCELLED:
            ledger.cancelled(chunk, seconds)
            logger.warning("chunk %d was cancelled", chunk.index)
        elif report.state is JobState.FAILED:
            _fail(ledger, chunk, report.reason or "no reason given", seconds)
        elif report.state is JobState.DONE:
            ledger.keep(chunk, *service.result(chunk.job_id), seconds)
    except InvalidValueError as error:
        _fail(ledger, chunk, str(error), seconds)
    except ServiceError as error:
        if error.trouble is not Trouble.RESULT:
            raise
        _fail(ledger, chunk, str(error), seconds)


def _fail(ledger: Ledger, chunk: Chunk, reason: str, qpu_seconds: float | None) -> None:
    ledger.fail(chunk, reason, qpu_seconds)
    logger.warning("chunk %d failed: %s", chunk.index, reason)


def fetch_charges(ledger: Ledger, service: JobService) -> None:
    """Ask again what jobs were charged, where that was not known when they ended."""
    for chunk in ledger.chunks(ChunkState.DONE, ChunkState.FAILED, ChunkState.CANCELLED):
        if chunk.qpu_seconds is None and chunk.job_id is not None:
            try:
                seconds = service.report(chunk.job_id).qpu_seconds
            except ServiceError:
                return
            if seconds is not None:
                ledger.charge(chunk, seconds)
