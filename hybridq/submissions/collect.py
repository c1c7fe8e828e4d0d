"""Show how far submissions have come, fetch their results and cancel them (`hybridq jobs`)."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridq.config import JobsCancelConfig, JobsCollectConfig
from hybridq.errors import HybridqError
from hybridq.runs.folder import log_to_file
from hybridq.submissions.deduplication import submissions
from hybridq.submissions.plan.submission import Submission
from hybridq.submissions.results import RESULT, write_results
from hybridq_backends.ibm.trouble import ServiceError
from hybridq_backends.jobs.account import close_sessions
from hybridq_backends.jobs.fetch import fetch_again, fetch_all, fetch_charges
from hybridq_backends.jobs.give_up import give_up
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.opening import open_jobs
from hybridq_backends.jobs.rate_limit import Clock
from hybridq_backends.jobs.reconcile import take_stock

logger = logging.getLogger("hybridq")

_ENDED = (ChunkState.DONE, ChunkState.FAILED, ChunkState.CANCELLED)


@dataclass(frozen=True)
class Progress:
    """The progress of a submission.

    Attributes:
        folder: The folder of the submission.
        chunks: The chunks of the submission.
        trouble: The error that ended the command early, or None.
        unreadable: Why the folder cannot be read, in one line; None if it can.
        has_doubts: Whether the service may have accepted a job, of any attempt, that is not known.
    """

    folder: Path
    chunks: Sequence[Chunk]
    trouble: ServiceError | None = None
    unreadable: str | None = None
    has_doubts: bool = False

    @property
    def complete(self) -> bool:
        """Whether every image has its result."""
        here = all(chunk.state is ChunkState.DONE for chunk in self.chunks)
        return here and self.unreadable is None

    @property
    def untouched(self) -> bool:
        """Whether no job of it is at the service."""
        return all(chunk.state is ChunkState.PLANNED for chunk in self.chunks)

    @property
    def ended(self) -> bool:
        """Whether all its jobs have ended, and none is in doubt."""
        return all(chunk.state in _ENDED for chunk in self.chunks) and not self.has_doubts

    def images(self, *states: ChunkState) -> int:
        """Count the images in chunks of some states, or all images if no state is given."""
        return sum(chunk.size for chunk in self.chunks if not states or chunk.state in states)


def progress(folder: Path, trouble: ServiceError | None = None) -> Progress:
    """Read how far a submission has come, without asking the service.

    Raises:
        MissingFileError: If there is no ledger.
    """
    with Ledger.read(folder) as ledger:
        return Progress(folder, ledger.chunks(), trouble, has_doubts=ledger.has_doubts())


def all_progress(runs: Path) -> list[Progress]:
    """Read the progress of every submission in a folder of runs, the newest first.

    A submission that cannot be read has no chunks, and says why.
    """
    found = []
    for folder in submissions(runs):
        try:
            Submission.load(folder)
            found.append(progress(folder))
        except (HybridqError, sqlite3.DatabaseError, ValueError) as error:
            found.append(Progress(folder, (), unreadable=str(error)))
    return found


def collect(config: JobsCollectConfig, *, clock: Clock | None = None) -> Progress:
    """Fetch and keep finished results, and write predictions and figures of those that are here.

    Raises:
        HybridqError: If the folder is not that of a submission, or another process works on it.
    """
    clock = clock or Clock()
    folder = config.submission
    submission = Submission.load(folder)
    if not may_write(folder) and _is_finished(folder):
        logger.info("%s cannot be written to: it is told as it was collected", folder)
        return progress(folder)
    if config.run is not None:
        submission = submission.at(config.run, folder)
    service = open_jobs(submission.spec(), folder / "rehearsed")
    with log_to_file(folder), Ledger.write(folder) as ledger:
        unknown = take_stock(ledger, service, clock=clock, settle_seconds=config.settle_seconds)
        again = fetch_again(ledger, service, clock=clock)
        fetching = fetch_all(ledger, service, clock=clock, wait_seconds=config.wait)
        trouble = unknown or again or fetching
        if trouble is None:
            fetch_charges(ledger, service)
        write_results(folder, submission, ledger, looked_up=unknown is None)
    return progress(folder, trouble)


def may_write(folder: Path) -> bool:
    """Whether this process may write in a folder."""
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _is_finished(folder: Path) -> bool:
    """Whether all results and charges of a submission are here and reported."""
    with Ledger.read(folder) as ledger:
        here = all(chunk.state is ChunkState.DONE for chunk in ledger.chunks())
        charged = all(job.qpu_seconds is not None for job in ledger.jobs())
        return here and charged and not ledger.has_doubts() and (folder / RESULT).is_file()


def cancel(config: JobsCancelConfig, *, clock: Clock | None = None) -> Progress:
    """Cancel every job that has not ended, also those of earlier attempts and those in doubt.

    Results that are there are kept.

    Raises:
        HybridqError: If the folder is not that of a submission, or another process works on it.
    """
    clock = clock or Clock()
    folder = config.submission
    submission = Submission.load(folder)
    service = open_jobs(submission.spec(), folder / "rehearsed")
    with log_to_file(folder), Ledger.write(folder) as ledger:
        unknown = take_stock(ledger, service, clock=clock, settle_seconds=config.settle_seconds)
        if unknown is None:
            close_sessions(ledger, service)
        errors = [unknown]
        for job in ledger.jobs():
            if job.qpu_seconds is None:  # else it has ended
                try:
                    service.cancel(job.job_id)
                except ServiceError as error:
                    logger.warning("job %s was not cancelled: %s", job.job_id, error)
                    errors.append(error)
        errors.append(fetch_all(ledger, service, clock=clock, wait_seconds=0.0))
        if unknown is None:  # else a job of it may be at the service
            if config.give_up:
                give_up(ledger, now=clock.now(), after_seconds=config.give_up_after)
            for chunk in ledger.chunks(ChunkState.PLANNED):
                ledger.cancelled(chunk)
        try:
            write_results(folder, submission, ledger, looked_up=unknown is None)
        except HybridqError as error:
            logger.warning("jobs were cancelled, results were not written: %s", error)
    return progress(folder, next((error for error in errors if error is not None), None))
