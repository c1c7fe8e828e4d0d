"""Fetch the results of posted chunks, in any process, on any day."""

from __future__ import annotations

import logging

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.rate_limit import Clock, growing
from hybridq_backends.jobs.service import JobService, JobState

logger = logging.getLogger("hybridq")

MOST_FAILURES = 6
"""The number of failed rounds in a row after which fetching stops."""
MOST_IN_A_ROW = 3
"""The number of jobs in a row that cannot be asked for after which a round stops."""
RESULT_TRIES = 3
"""The number of unreadable results after which a chunk counts as failed."""
RESULT_SECONDS = 2.0
"""Seconds between two tries: the service may not have stored the result yet."""


def fetch_all(
    ledger: Ledger, service: JobService, *, clock: Clock, wait_seconds: float
) -> ServiceError | None:
    """Fetch the results that are there, and wait for the rest for some time.

    Args:
        ledger: The ledger, open to write.
        service: Where the jobs are.
        clock: The time.
        wait_seconds: How long to go on asking; 0 asks once.

    Returns:
        The error of the last round; None if all jobs were answered, though chunks may be
        outstanding.
    """
    ends = clock.now() + wait_seconds
    failures = 0
    failed: dict[int, ServiceError] = {}
    for wait in growing(2.0, 30.0):
        outstanding = ledger.chunks(ChunkState.POSTED)
        if not outstanding:
            return None
        outstanding.sort(key=lambda chunk: chunk.index in failed)  # none holds up the others
        answers, failed = _fetch_each(ledger, service, outstanding, clock)
        last = next(reversed(failed.values()), None)
        failures = 0 if answers else failures + 1
        left = ends - clock.now()
        hopeless = not answers and not any(error.trouble.passes for error in failed.values())
        if hopeless or failures == MOST_FAILURES or left <= 0:
            return last
        if not ledger.chunks(ChunkState.POSTED):
            return None
        pause = wait if last is None or last.retry_after is None else last.retry_after
        counts = ledger.counts()
        logger.info(
            "%d of %d chunks are here; asking again in %.0f s",
            counts.get(ChunkState.DONE, 0),
            sum(counts.values()),
            min(pause, left),
        )
        clock.sleep(min(pause, left))
    return None


def _fetch_each(
    ledger: Ledger, service: JobService, chunks: list[Chunk], clock: Clock
) -> tuple[int, dict[int, ServiceError]]:
    """Ask for each chunk once, as long as the service answers.

    Returns:
        The number of answers, and by chunk the error for those without an answer.
    """
    answers = 0
    failed: dict[int, ServiceError] = {}
    in_a_row = 0
    for chunk in chunks:
        try:
            fetch(ledger, service, chunk, clock=clock)
            answers += 1
            in_a_row = 0
        except ServiceError as error:
            failed[chunk.index] = error
            logger.warning("chunk %d: %s", chunk.index, error)
            if error.trouble is Trouble.REQUEST:  # which says nothing of other jobs
                continue
            in_a_row += 1
            if not error.trouble.passes or in_a_row == MOST_IN_A_ROW:
                break
    return answers, failed


def fetch_again(ledger: Ledger, service: JobService, *, clock: Clock) -> ServiceError | None:
    """Ask once more for results that could not be read, of jobs that are done.

    A rehearsal keeps its results in files, which stay as they are.

    Args:
        ledger: The ledger, open to write.
        service: The service that has the jobs.
        clock: The time.

    Returns:
        The error that kept the service from being asked, or None.
    """
    if service.is_local:
        return None
    for chunk in ledger.chunks(ChunkState.FAILED):
        try:
            if chunk.job_id and service.report(chunk.job_id).state is JobState.DONE:
                fetch(ledger, service, chunk, clock=clock)
        except ServiceError as error:
            if error.trouble is not Trouble.REQUEST:  # which says nothing of other jobs
                return error
    return None


def fetch(ledger: Ledger, service: JobService, chunk: Chunk, *, clock: Clock | None = None) -> None:
    """Ask for the job of one chunk, and keep its result or its failure.

    A chunk ends only if the service says that its job ended, or if its result cannot be read
    several times. A failed request does not change the chunk.

    Args:
        ledger: The ledger, open to write.
        service: Where the job is.
        chunk: The chunk, which has a job.
        clock: The time; the system's if None.

    Raises:
        ServiceError: If the service cannot be asked, or does not know the job.
    """
    if chunk.job_id is None:
        raise InvalidValueError(f"Expected a posted chunk, got chunk {chunk.index} without a job.")
    try:
        report = service.report(chunk.job_id)
        if report.qpu_seconds is not None:
            ledger.charge(chunk.job_id, report.qpu_seconds)
        if report.state is JobState.DONE:
            _keep_result(ledger, service, chunk, chunk.job_id, clock or Clock())
        elif report.state is JobState.CANCELLED:
            ledger.cancelled(chunk)
            logger.warning("chunk %d was cancelled", chunk.index)
        elif report.state is JobState.FAILED:
            _fail(ledger, chunk, report.reason or "no reason given")
        elif chunk.reason is not None:
            ledger.remark(chunk, None)
    except InvalidValueError as error:
        _fail(ledger, chunk, str(error))
    except ServiceError as error:
        if error.trouble is Trouble.RESULT:
            _fail(ledger, chunk, str(error))
            return
        if error.trouble is Trouble.REQUEST and chunk.reason != str(error):
            ledger.remark(chunk, str(error))
        raise


def _keep_result(
    ledger: Ledger, service: JobService, chunk: Chunk, job_id: str, clock: Clock
) -> None:
    """Keep a result; ask again if it cannot be read or does not fit the chunk.

    Raises:
        ServiceError: If the service cannot be asked, or never gives a result that can be read.
        InvalidValueError: If the result does not fit this chunk.
    """
    for attempt in range(1, RESULT_TRIES + 1):
        try:
            ledger.keep(chunk, *service.result(job_id))
            return
        except (InvalidValueError, ServiceError) as error:
            may_pass = isinstance(error, InvalidValueError) or error.trouble is Trouble.RESULT
            if service.is_local or not may_pass or attempt == RESULT_TRIES:
                raise
            logger.info("chunk %d: %s; asking again", chunk.index, error)
            clock.sleep(RESULT_SECONDS)


def _fail(ledger: Ledger, chunk: Chunk, reason: str) -> None:
    ledger.fail(chunk, reason)
    logger.warning("chunk %d failed: %s", chunk.index, reason)


def fetch_charges(ledger: Ledger, service: JobService) -> None:
    """Ask again for the charges that are not known, those of earlier attempts too."""
    waited_for = {chunk.job_id for chunk in ledger.chunks(ChunkState.POSTED)}
    for job in ledger.jobs():
        if job.qpu_seconds is None and job.job_id not in waited_for:
            try:
                seconds = service.report(job.job_id).qpu_seconds
            except ServiceError as error:
                if error.trouble is Trouble.REQUEST:  # which says nothing of other jobs
                    continue
                return
            if seconds is not None:
                ledger.charge(job.job_id, seconds)
