"""Rebuild a ledger from the service's list of jobs and the other files (`jobs recover`)."""

from __future__ import annotations

import logging
import math
import re
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from hybridq.config import JobsRecoverConfig
from hybridq.errors import HybridqError, InvalidValueError, UnavailableError
from hybridq.runs.folder import log_to_file
from hybridq.submissions.collect import Progress, progress
from hybridq.submissions.plan.submission import Submission
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import LOCK, Ledger
from hybridq_backends.jobs.ledger.storage import FILE, has_ledger
from hybridq_backends.jobs.opening import open_jobs
from hybridq_backends.jobs.rate_limit import Clock
from hybridq_backends.jobs.reconcile import look_up
from hybridq_backends.utils.lock import locked

logger = logging.getLogger("hybridq")

_PREFIX = ".recovering-"
_DAMAGED = ".damaged-"


def recover(config: JobsRecoverConfig, *, clock: Clock | None = None) -> Progress:
    """Rebuild a ledger that is lost or damaged; the rest of the old one is kept beside it.

    Raises:
        HybridqError: If the ledger is whole, the tag of the submission's jobs is unknown, or the
            service cannot be asked. The old ledger is then unchanged.
    """
    folder = config.submission
    submission = Submission.load(folder)
    _check_damaged(folder)
    name = _name_of(folder, submission, config.tag)
    posted_at = _last_used(folder)
    with locked(folder / LOCK, f"submits, collects or cancels in {folder}"):
        for old in folder.glob(f"{_PREFIX}*"):  # of a process that was killed
            shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as place, log_to_file(folder):
            made = Path(place)
            jobs = submission.planned.jobs
            Ledger.create(made, [(job.start, job.stop) for job in jobs], name=name)
            _fill(made, folder, submission, posted_at, config, clock or Clock())
            for path in sorted(folder.glob(f"{FILE}*")):
                if _DAMAGED not in path.name:
                    path.rename(_aside(path))
            Path(made, FILE).rename(folder / FILE)
        if submission.name is None:
            submission.model_copy(update={"name": name}).save(folder)
    return progress(folder)


def _check_damaged(folder: Path) -> None:
    """Refuse a ledger that can be read.

    Raises:
        InvalidValueError: If it can be read.
    """
    if not has_ledger(folder):
        return
    try:
        with Ledger.read(folder):
            pass
    except HybridqError:
        return
    raise InvalidValueError(
        f"Expected a ledger that is lost or damaged in {folder}, got one that can be read: go on "
        "with `hybridq jobs collect`."
    )


def _name_of(folder: Path, submission: Submission, given: str | None) -> str:
    """Find the beginning of the tags of a submission's jobs.

    Raises:
        InvalidValueError: If it is noted nowhere.
    """
    name = given or submission.name or _name_in_ledger(folder)
    if name is None:
        raise InvalidValueError(
            f"Expected the name of its jobs' tags in {folder / 'submission.json'}, got none, since "
            f"an earlier version, which kept it in {FILE} alone, made the submission: look it up "
            "in the list of jobs at quantum.cloud.ibm.com and give it with --tag hybridq-..."
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise InvalidValueError(
            f"Expected the tag of a submission, such as hybridq-0123456789ab, got {name!r}: give "
            "the one that all its jobs share."
        )
    return name


def _name_in_ledger(folder: Path) -> str | None:
    """Read the name from a damaged ledger, if that is still possible."""
    if not has_ledger(folder):
        return None
    try:
        uri = f"{(folder / FILE).absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            row = connection.execute("select value from meta where name = 'name'").fetchone()
    except (sqlite3.Error, UnicodeError):
        return None
    return row[0] if row is not None and isinstance(row[0], str) else None


def _fill(
    made: Path,
    folder: Path,
    submission: Submission,
    posted_at: float | None,
    config: JobsRecoverConfig,
    clock: Clock,
) -> None:
    """Note the jobs that the service lists in a new ledger.

    Args:
        made: The folder of the new ledger.
        folder: The folder of the submission.
        submission: The submission.
        posted_at: The time of the last post. With it every chunk may have been posted, and chunks
            that are not listed stay in doubt. None if nothing was posted.
        config: The config of the command.
        clock: The time.

    Raises:
        UnavailableError: If the service cannot be asked.
    """
    jobs = submission.planned.jobs
    service = open_jobs(submission.spec(), folder / "rehearsed")
    with Ledger.write(made) as ledger:
        if posted_at is not None:
            for chunk, job in zip(ledger.chunks(), jobs, strict=True):
                ledger.intend(chunk, max_seconds=job.max_seconds, at=posted_at)
        trouble = look_up(ledger, service, clock=clock, settle_seconds=config.settle_seconds)
        if trouble is not None:
            raise trouble
        account = service.account()
        if account is not None:
            ledger.keep_account(account)
        if submission.spec().mode == "session" and posted_at is not None and not service.is_local:
            budget = submission.max_qpu_seconds or sum(job.max_seconds for job in jobs)
            ledger.begin_session(math.ceil(budget))  # whatever sessions there were
        found = len(ledger.chunks(ChunkState.POSTED))
    logger.info("%d of %d chunks were found at the service", found, len(jobs))


def _last_used(folder: Path) -> float | None:
    """Find the latest possible time of a post of a submission; None if there was none."""
    if not (folder / LOCK).exists():
        return None
    files = [folder / "log.txt", folder / LOCK]
    return max(path.stat().st_mtime for path in files if path.is_file())


def _aside(path: Path) -> Path:
    """Find a free name for the rest of an old ledger."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for count in range(1000):
        found = path.with_name(f"{path.name}{_DAMAGED}{stamp}" + (f"-{count}" if count else ""))
        if not found.exists():
            return found
    raise UnavailableError(f"Expected a free name beside {path}, got none: remove old copies.")
