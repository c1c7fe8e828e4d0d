"""Compare the jobs that a service lists with those that the ledger knows.

Every job carries the submission's own tag, so that one request lists them all: jobs whose answer
was lost, jobs that the service accepted twice, and jobs that are newer than a ledger restored from
a copy. Every command that works on a submission begins with this comparison, and every posting ends
with it.
"""

from __future__ import annotations

import logging

from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.account import check_account
from hybridq_backends.jobs.fetch import fetch
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState, numbers_of
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.rate_limit import Clock
from hybridq_backends.jobs.service import FoundJob, JobService, JobState

logger = logging.getLogger("hybridq")

_DOUBTFUL = (ChunkState.POSTING, ChunkState.UNCERTAIN)
_ACCEPTED = (ChunkState.POSTED, ChunkState.DONE)


def take_stock(
    ledger: Ledger, service: JobService, *, clock: Clock, settle_seconds: float
) -> ServiceError | None:
    """Begin a command: check the instance of the jobs, and look them up.

    Args:
        ledger: The ledger, open to write.
        service: The service that has the jobs.
        clock: The time.
        settle_seconds: Wait before an unlisted job is looked up again, in seconds.

    Returns:
        The error that kept the service from being asked, or None.

    Raises:
        InvalidValueError: If the account belongs to another instance.
    """
    trouble = check_account(ledger, service)
    if trouble is not None:
        return trouble
    return look_up(ledger, service, clock=clock, settle_seconds=settle_seconds)


def look_up(
    ledger: Ledger, service: JobService, *, clock: Clock, settle_seconds: float
) -> ServiceError | None:
    """Ask the service for the submission's jobs, and note those that the ledger does not know.

    If a chunk has two jobs, the one that does not count is cancelled unless it has ended. A
    posting in doubt that is not listed is looked up once more after a while, since a job may not
    be listed at once. Then it stays `uncertain`, or becomes `planned` if the service's listing is
    known to be complete.

    Args:
        ledger: The ledger, open to write.
        service: The service that has the jobs.
        clock: The time.
        settle_seconds: Wait before an unlisted job is looked up again, in seconds.

    Returns:
        The error that kept the service from being asked, or None.
    """
    try:
        _take(ledger, service)
        doubtful = ledger.chunks(*_DOUBTFUL)
        if doubtful and not service.is_local:
            logger.info(
                "%d chunks in doubt are not listed; asking again in %.0f s",
                len(doubtful),
                settle_seconds,
            )
            clock.sleep(settle_seconds)
            _take(ledger, service)
    except ServiceError as error:
        for chunk in ledger.chunks(ChunkState.POSTING):
            ledger.doubt(chunk, f"it could not be looked up: {error}")
        return error
    _end_extra(ledger, service)
    for chunk in ledger.chunks(*_DOUBTFUL):
        if service.is_local:
            ledger.refuse(chunk, "the service has no job with its tag")
        elif chunk.state is ChunkState.POSTING:
            ledger.doubt(chunk, "the service lists no job with its tag, which may still appear")
    return None


def lost(ledger: Ledger, service: JobService) -> list[Chunk]:
    """List the chunks that stay in doubt after a look-up, or whose jobs the service lost.

    Raises:
        ServiceError: If a job cannot be asked for.
    """
    asked = [chunk for chunk in ledger.chunks(ChunkState.POSTED) if chunk.reason is not None]
    return [
        *ledger.chunks(*_DOUBTFUL),
        *(chunk for chunk in asked if not _has_a_job(ledger, service, chunk)),
    ]


def ended(ledger: Ledger, service: JobService) -> list[Chunk]:
    """List the failed and cancelled chunks none of whose jobs has a result.

    Raises:
        ServiceError: If a job cannot be asked for.
    """
    for chunk in ledger.chunks(ChunkState.FAILED, ChunkState.CANCELLED):
        _has_a_job(ledger, service, chunk)
    return ledger.chunks(ChunkState.FAILED, ChunkState.CANCELLED)


def _has_a_job(ledger: Ledger, service: JobService, chunk: Chunk) -> bool:
    """Whether one of a chunk's jobs is done or may still be; that job then counts."""
    for job in ledger.jobs():
        if job.index != chunk.index:
            continue
        try:
            report = service.report(job.job_id)
            if report.state in (JobState.FAILED, JobState.CANCELLED):
                continue
            ledger.accept(chunk, job.job_id, tag=job.tag)
            found = next(one for one in ledger.chunks() if one.index == chunk.index)
            fetch(ledger, service, found)
        except ServiceError as error:
            if error.trouble is not Trouble.REQUEST:  # which says that it does not know the job
                raise
            continue
        if found.index not in [one.index for one in ledger.chunks(ChunkState.FAILED)]:
            return True
    return False


def _take(ledger: Ledger, service: JobService) -> None:
    """Note the jobs that the ledger does not know, and assign them to chunks without one."""
    known = {job.job_id for job in ledger.jobs()}
    new: dict[int, list[tuple[int, FoundJob, str]]] = {}
    for job in service.find(ledger.name):
        for tag in job.tags:
            numbers = numbers_of(ledger.name, tag)
            if numbers is not None and job.job_id not in known:
                new.setdefault(numbers[0], []).append((numbers[1], job, tag))
                break
    for chunk in ledger.chunks():
        mine = new.get(chunk.index, [])
        for _, job, tag in mine:
            ledger.note(chunk, job.job_id, tag)
        if not mine:
            continue
        latest = max(attempt for attempt, _, _ in mine)
        job, tag = next((job, tag) for attempt, job, tag in mine if attempt == latest)
        ids = ", ".join(job.job_id for _, job, _ in mine)
        settled = chunk.state is ChunkState.DONE or (
            chunk.state is ChunkState.POSTED and latest <= chunk.attempt
        )
        if settled:
            logger.warning("chunk %d: the service also accepted %s", chunk.index, ids)
            continue
        reason = None
        if len(mine) > 1:
            reason = f"the service accepted several jobs, of which {job.job_id} counts: {ids}"
            logger.warning("chunk %d: %s", chunk.index, reason)
        ledger.accept(chunk, job.job_id, tag=tag, reason=reason)


def _end_extra(ledger: Ledger, service: JobService) -> None:
    """Cancel surplus jobs that have not ended, and note the charges of those that ran.

    A job that cannot be asked for or cancelled is reported; the next look-up tries again.
    """
    counts = {chunk.index: chunk.job_id for chunk in ledger.chunks(*_ACCEPTED)}
    for job in ledger.jobs():
        if job.qpu_seconds is not None or counts.get(job.index, job.job_id) == job.job_id:
            continue
        try:
            report = service.report(job.job_id)
            if report.state in (JobState.QUEUED, JobState.RUNNING):
                service.cancel(job.job_id)
                logger.warning(
                    "chunk %d: job %s was cancelled, since %s counts",
                    job.index,
                    job.job_id,
                    counts[job.index],
                )
                report = service.report(job.job_id)
        except ServiceError as error:
            logger.warning("job %s, which does not count, may run: %s", job.job_id, error)
            continue
        if report.qpu_seconds is not None:
            ledger.charge(job.job_id, report.qpu_seconds)
