"""Compare the service's own estimates of posted jobs with the limits they were given.

A job whose estimate is above its limit would be stopped before its end, be charged and give no
result, so it is cancelled while it waits. If the service gives no estimate, only the limit counts.
"""

from __future__ import annotations

import logging
from typing import NoReturn

from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState, Job
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.service import JobService, JobState

logger = logging.getLogger("hybridq")


REMEDIES = (
    "raise --max-qpu-seconds (or the backend's max_execution_time), then --retry-failed",
    "give --max-qpu-seconds or --yes, then --retry-failed",
)
"""The remedies for a submission whose jobs are estimated to take too long."""


class Estimates:
    """A check that compares each posted job of a submission once.

    Args:
        ledger: The ledger, open to write.
        service: Where the jobs are.
        most: The largest sum of the service's estimates that is accepted, in QPU seconds, if there
            is no budget.
        remedies: What to do if one job, or all together, are estimated to take too long.
    """

    def __init__(
        self,
        ledger: Ledger,
        service: JobService,
        most: float,
        remedies: tuple[str, str] = REMEDIES,
    ) -> None:
        self._ledger = ledger
        self._remedies = remedies
        self._service = service
        self._most = most
        self._total = 0.0
        self._compared: set[str] = set()

    def check(self) -> None:
        """Ask for the estimates of jobs not compared yet, and cancel jobs above their limit.

        Raises:
            ServiceError: If a job was, or should have been, cancelled.
        """
        if self._service.is_local:
            return
        jobs = {job.job_id: job for job in self._ledger.jobs()}
        for chunk in self._ledger.chunks(ChunkState.POSTED):
            job = jobs.get(chunk.job_id or "")
            if job is not None and job.job_id not in self._compared:
                self._compared.add(job.job_id)
                self._compare(chunk, job)

    def _compare(self, chunk: Chunk, job: Job) -> None:
        try:
            seconds = self._service.estimate(job.job_id)
        except ServiceError as error:
            logger.warning("chunk %d: the service's estimate is not known: %s", chunk.index, error)
            return
        if seconds is None:
            return
        limit = job.max_seconds
        logger.info("chunk %d: the service estimates %.1f QPU seconds", chunk.index, seconds)
        if limit is not None and seconds > limit:
            self._cancel(
                chunk,
                job,
                f"Expected job {job.job_id} of chunk {chunk.index} to end within its limit of "
                f"{limit} QPU seconds, got an estimate of {seconds:.1f} from the service",
                self._remedies[0],
            )
        self._total += seconds
        if self._total > self._most:
            self._cancel(
                chunk,
                job,
                f"Expected a budget for jobs of more than {self._most:g} QPU seconds, got none and "
                f"an estimate of {self._total:.1f} from the service with job {job.job_id} of chunk "
                f"{chunk.index}",
                self._remedies[1],
            )

    def _cancel(self, chunk: Chunk, job: Job, too_much: str, remedy: str) -> NoReturn:
        """Cancel a job.

        Raises:
            ServiceError: Always; it says what has become of the job.
        """
        try:
            self._service.cancel(job.job_id)
            report = self._service.report(job.job_id)
        except ServiceError as error:
            raise ServiceError(
                f"{too_much}, and could not cancel it ({error}): give `hybridq jobs cancel`.",
                error.trouble,
            ) from error
        if report.qpu_seconds is not None:
            self._ledger.charge(job.job_id, report.qpu_seconds)
        if report.state is JobState.CANCELLED:
            message = f"{too_much}: it was cancelled; {remedy}."
            self._ledger.cancelled(chunk, message)
        else:
            message = f"{too_much}; it was to be cancelled and is {report.state}; {remedy}."
        logger.warning("%s", message)
        raise ServiceError(message, Trouble.QUOTA)
