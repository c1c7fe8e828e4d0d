"""Post the jobs that a submission has not posted yet, at once or on another day."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

from hybridq.config import SubmitConfig
from hybridq.runs.folder import log_to_file, read_config
from hybridq.submissions.plan.circuit import Program
from hybridq.submissions.plan.comparison import Beside, beside, comparison_of, posting
from hybridq.submissions.plan.submission import COMMAND, Submission
from hybridq_backends.ibm.trouble import ServiceError
from hybridq_backends.jobs.account import begin_session, close_sessions
from hybridq_backends.jobs.budget import FREE_SECONDS, check_budget, share_budget
from hybridq_backends.jobs.fetch import fetch_charges
from hybridq_backends.jobs.give_up import give_up
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.opening import open_jobs
from hybridq_backends.jobs.post import post_all
from hybridq_backends.jobs.rate_limit import Clock, Pace
from hybridq_backends.jobs.reconcile import ended, lost, take_stock
from hybridq_backends.jobs.service import JobService

logger = logging.getLogger("hybridq")

_FIXED = ("layout_seeds", "job_executions", "job_bytes", "name", "seed")
"""The options, besides those of the fingerprint, that a submission keeps once it is made."""


def go_on(
    config: SubmitConfig, folder: Path, clock: Clock, *, is_new: bool = False
) -> ServiceError | None:
    """Post the planned chunks, and those that the user wants to be posted anew.

    Args:
        config: The config of the command.
        folder: The folder of the submission.
        clock: The time.
        is_new: Whether the submission was just made.

    Raises:
        InvalidValueError: If that exceeds the budget; nothing is posted then.
        ServiceError: If chunks to be posted anew cannot be asked for.
    """
    submission = Submission.load(folder)
    program = Program.load(folder)
    service = open_jobs(submission.spec(), folder / "rehearsed")
    comparison = comparison_of(folder, submission)
    with posting(comparison), log_to_file(folder), Ledger.write(folder) as ledger:
        if not is_new:
            logger.info("going on with %s", folder)
            _tell_what_stays(config, folder)
            trouble = take_stock(ledger, service, clock=clock, settle_seconds=config.settle_seconds)
            if trouble is not None:
                return trouble
            close_sessions(ledger, service)
            fetch_charges(ledger, service)
            if config.give_up:
                give_up(ledger, now=clock.now(), after_seconds=config.give_up_after)
        again = _again(config, ledger, service, folder)
        waiting = [*ledger.chunks(ChunkState.PLANNED), *again]
        if not waiting:
            return None
        others = beside(comparison, folder, again=_states(config), tight=config.tight_budget)
        has_budget = _budget(config, submission, others) is not None
        seconds_left = None if is_new else service.seconds_left()
        caps = _caps(config, submission, ledger, waiting, seconds_left, others)
        for chunk in again:
            ledger.begin_anew(chunk)
        try:
            _begin(ledger, service, submission.spec().mode, sum(caps.values()))
        except ServiceError as error:
            return error
        now = clock.now()
        earlier = [chunk.posted_at for chunk in ledger.chunks() if chunk.posted_at is not None]
        earlier += others.posted_at
        recent = [at for at in earlier if now - 60.0 < at <= now]
        try:
            return post_all(
                ledger,
                service,
                lambda chunk: program.pub(chunk.start, chunk.stop),
                clock=clock,
                pace=Pace(clock, None if service.is_local else config.posts_per_minute, recent),
                settle_seconds=config.settle_seconds,
                max_seconds_of=lambda chunk: caps[chunk.index],
                most_estimated=math.inf if config.yes or has_budget else FREE_SECONDS,
            )
        finally:
            close_sessions(ledger, service)


def _begin(ledger: Ledger, service: JobService, mode: str, seconds: int) -> None:
    """Note the instance under which jobs are posted, and open the session if one is wanted.

    Raises:
        ServiceError: If the service cannot be asked.
    """
    account = service.account()
    if ledger.account is None and account is not None:
        ledger.keep_account(account)
    if mode == "session" and not service.is_local:
        begin_session(ledger, service, seconds)


def _tell_what_stays(config: SubmitConfig, folder: Path) -> None:
    """Report the options that stay as the submission was made with."""
    made = read_config(folder, SubmitConfig, COMMAND)
    changed = [name for name in _FIXED if getattr(made, name) != getattr(config, name)]
    if changed:
        options = ", ".join("--" + name.replace("_", "-") for name in changed)
        logger.warning("%s: as when it was submitted; --again makes another submission", options)


def _again(config: SubmitConfig, ledger: Ledger, service: JobService, folder: Path) -> list[Chunk]:
    """List the chunks to be posted anew, after their jobs have been asked for once more."""
    again = lost(ledger, service) if config.repost else []
    if config.retry_failed:
        return again + ended(ledger, service)
    left = len(ledger.chunks(ChunkState.FAILED, ChunkState.CANCELLED))
    if left:
        logger.warning(
            "%d chunks failed or were cancelled (hybridq jobs status %s says why); --retry-failed "
            "posts them again",
            left,
            folder,
        )
    return again


def _states(config: SubmitConfig) -> set[ChunkState]:
    """List the states of chunks that the user wants to be posted anew."""
    states: set[ChunkState] = set()
    if config.repost:
        states |= {ChunkState.POSTING, ChunkState.UNCERTAIN}
    if config.retry_failed:
        states |= {ChunkState.FAILED, ChunkState.CANCELLED}
    return states


def _budget(config: SubmitConfig, submission: Submission, others: Beside) -> float | None:
    """Return the budget of all jobs together, as given now or when they were planned."""
    return config.max_qpu_seconds or others.max_qpu_seconds or submission.max_qpu_seconds


def _caps(
    config: SubmitConfig,
    submission: Submission,
    ledger: Ledger,
    waiting: Sequence[Chunk],
    seconds_left: float | None,
    others: Beside,
) -> dict[int, int]:
    """Compute the limit of each chunk's job, in QPU seconds, within the rest of the budget.

    Raises:
        InvalidValueError: If the budget leaves too little.
    """
    estimates = submission.estimates(ledger.chunks())
    own = [estimates[chunk.index] for chunk in waiting]
    seconds = sum(one.seconds for one in own)
    budget = _budget(config, submission, others)
    spent = ledger.spent({index: one.seconds for index, one in estimates.items()}) + others.spent
    check_budget(seconds, seconds_left, budget=None, agreed=True)
    check_budget(
        seconds + others.seconds,
        None,
        budget=budget,
        agreed=config.yes or submission.device is None,
        spent=spent,
        larger=sum(one.larger for one in own) + others.larger,
    )
    caps = share_budget(
        [one.least_limit(tight=config.tight_budget) for one in own],
        submission.spec().max_execution_time,
        budget,
        spent=spent,
        reserved=others.least,
    )
    return {chunk.index: cap for chunk, cap in zip(waiting, caps, strict=True)}
