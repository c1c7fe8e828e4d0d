"""Post the chunks of a submission, each at most once."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.primitives.containers.observables_array import ObservablesArray

from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.estimates import REMEDIES, Estimates
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.rate_limit import Clock, Pace
from hybridq_backends.jobs.reconcile import look_up
from hybridq_backends.jobs.service import JobService

logger = logging.getLogger("hybridq")

Pub = tuple[QuantumCircuit, ObservablesArray, npt.NDArray[np.float64]]
"""A circuit with a plain parameter for each gate angle, a column of observables, and angles."""

MOST_TRIES = 8
"""The number of refusals in a row after which a chunk is left for later."""
MOST_DOUBTS = 3
"""The number of posts in a row without an answer after which posting stops."""


def post_all(
    ledger: Ledger,
    service: JobService,
    pub_of: Callable[[Chunk], Pub],
    *,
    clock: Clock,
    pace: Pace,
    settle_seconds: float,
    max_seconds_of: Callable[[Chunk], int | None] = lambda _: None,
    most_estimated: float = math.inf,
    only: Chunk | None = None,
    remedies: tuple[str, str] = REMEDIES,
) -> ServiceError | None:
    """Post every planned chunk; postings in doubt must have been looked up before.

    Args:
        ledger: The ledger, open to write.
        service: The service that takes the jobs.
        pub_of: A function from a chunk to its PUB.
        clock: The time.
        pace: The rate of posts.
        settle_seconds: Wait before an unlisted job is looked up again, in seconds.
        max_seconds_of: A function from a chunk to the limit of its job, in QPU seconds.
        most_estimated: QPU seconds that the service may estimate of all jobs together.
        only: The one chunk to post; all that are planned if None.
        remedies: The remedies of `Estimates`.

    Returns:
        The error that ended it before all were posted, or None. Chunks of unknown fate stay
        `uncertain` in the ledger in both cases.
    """
    stopped = None
    doubts = 0
    estimates = Estimates(ledger, service, most_estimated, remedies)
    waiting = ledger.chunks(ChunkState.PLANNED) if only is None else [only]
    for place, chunk in enumerate(waiting, start=1):
        try:
            _post(ledger, service, chunk, pub_of(chunk), clock, pace, max_seconds_of(chunk))
            doubts = 0
            far = f" ({place} of {len(waiting)})" if len(waiting) > 1 else ""
            logger.info("chunk %d posted%s", chunk.index, far)
            estimates.check()
        except ServiceError as error:
            if error.maybe_accepted:
                doubts += 1
                logger.warning("chunk %d: %s", chunk.index, error)
                if doubts < MOST_DOUBTS:
                    continue
            stopped = error
            break
    if waiting:
        trouble = look_up(ledger, service, clock=clock, settle_seconds=settle_seconds)
        if trouble is not None:
            logger.warning("the jobs that were posted are not looked up yet: %s", trouble)
    try:
        estimates.check()  # jobs whose answer was lost
    except ServiceError as error:
        stopped = stopped or error
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
    """Post one chunk; post it again if the service refused it for a passing reason.

    Raises:
        ServiceError: If it is not accepted; the ledger then says `planned`, `failed` or
            `uncertain`.
    """
    reopened = False
    for attempt in range(MOST_TRIES):
        pace.wait()
        try:
            service.ready()
        except ServiceError as error:  # nothing was sent
            refusal = error
        else:
            ledger.intend(chunk, max_seconds=max_seconds, at=clock.now())
            try:
                job_id = service.post(pub, (chunk.tag, ledger.name), max_seconds=max_seconds)
            except KeyboardInterrupt:
                if not service.maybe_posted:
                    ledger.refuse(chunk, "interrupted before it was posted")
                raise
            except ServiceError as error:
                if error.maybe_accepted:
                    ledger.doubt(chunk, str(error))
                    raise
                if error.trouble is Trouble.REQUEST:
                    ledger.fail(chunk, str(error))
                    raise
                ledger.refuse(chunk, str(error))
                refusal = error
            else:
                ledger.accept(chunk, job_id)
                return
        closed = refusal.trouble is Trouble.CLOSED and not reopened
        closed = closed and service.session_id is None  # a session costs while it is open
        if attempt == MOST_TRIES - 1 or not (closed or refusal.trouble.passes):
            raise refusal
        if closed:
            reopened = True
            service.reopen()
            logger.info("the batch was closed: opening another")
            continue
        wait = refusal.retry_after
        if wait is None:
            wait = 60.0 if refusal.trouble is Trouble.RATE else min(60.0, 2.0 * 2**attempt)
        logger.info("%s; trying again in %.0f s", refusal.trouble, wait)
        clock.sleep(wait)
