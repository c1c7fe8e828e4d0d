"""Run one PUB after another as jobs of a service: each is posted once, and none is lost.

Training steps and evaluations ask for the values of a PUB and wait. Their jobs are posted like
those of a submission: a tag and an intent in a ledger before each post, a look-up after it, and a
limit for each job within one budget. A ledger that is kept in a folder outlives the process: if the
same rows are asked for again, the jobs that were posted and paid for before answer.
"""

from __future__ import annotations

import hashlib
import logging
import math
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

from hybridq_backends.errors import InvalidValueError, UnavailableError
from hybridq_backends.expvals import Expvals
from hybridq_backends.ibm.job_size import ProgramSize
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.account import begin_session, close_sessions
from hybridq_backends.jobs.budget import FREE_SECONDS, Estimate, check_limit
from hybridq_backends.jobs.fetch import fetch_all, fetch_charges
from hybridq_backends.jobs.ledger.chunks import Chunk, ChunkState
from hybridq_backends.jobs.ledger.run_ledger import RunLedger
from hybridq_backends.jobs.ledger.storage import has_ledger
from hybridq_backends.jobs.post import Pub, post_all
from hybridq_backends.jobs.rate_limit import POSTS_PER_MINUTE, Clock, Pace
from hybridq_backends.jobs.reconcile import ended, look_up, lost, take_stock
from hybridq_backends.jobs.service import JobService
from hybridq_backends.specs.ibm_runtime import IbmRuntime

logger = logging.getLogger("hybridq")

SETTLE_SECONDS = 30.0
"""The wait before an unlisted job is looked up again, in seconds."""
DOUBT_SECONDS = 900.0
"""The time for which a posting must be unlisted before it is made anew, in seconds.

Both postings count in the budget until it is known that one of them is no job."""
WORKLOADS = "https://quantum.cloud.ibm.com/workloads"

_DOUBTFUL = (ChunkState.POSTING, ChunkState.UNCERTAIN)
_ENDED = (ChunkState.FAILED, ChunkState.CANCELLED)
_MAY_CHANGE = {"max_qpu_seconds", "max_execution_time", "mode", "service_options", "device"}
"""The fields of a spec that may differ in another process with the same ledger."""


class JobQueue:
    """A queue that runs PUBs as jobs, one at a time, and returns their values.

    Args:
        service: The service that takes the jobs.
        spec: The spec with the budget (`max_qpu_seconds`), the mode and the longest time of a job.
        device: Name of the device.
        size_of: A function that measures a PUB as a job.
        clock: The time.
    """

    def __init__(
        self,
        service: JobService,
        spec: IbmRuntime,
        device: str,
        size_of: Callable[[Pub], ProgramSize],
        *,
        clock: Clock | None = None,
    ) -> None:
        self._service = service
        self._spec = spec
        self._device = device
        self._size_of = size_of
        self._clock = clock or Clock()
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._spent_before = 0.0
        self._ledger: RunLedger | None = None
        self._used: set[int] = set()

    def keep_in(self, folder: Path, *, spent: float = 0.0) -> None:
        """Keep the ledger in a folder, and continue one that is there.

        Args:
            folder: The folder; without one the ledger is lost with the process.
            spent: QPU seconds of the budget that are used already.

        Raises:
            InvalidValueError: If jobs were posted already, or the ledger is of another backend.
        """
        if self._ledger is not None:
            raise InvalidValueError(
                "Expected the folder of a ledger before the first job, got it after: give it first."
            )
        folder.mkdir(parents=True, exist_ok=True)
        if has_ledger(folder):
            with RunLedger.read(folder) as ledger:
                self._check_settings(ledger, folder)
        self._folder, self._spent_before = folder, spent

    def values(self, pub: Pub) -> Expvals:
        """Run one PUB as one job, and wait for its values however long that takes.

        If an error or Ctrl-C ended the wait, the same request later uses the same job.

        Raises:
            InvalidValueError: If it is not within the budget, or has no rows; nothing is posted
                then.
            UnavailableError: If the service does not return them, or if it is unknown whether it
                accepted the job.
        """
        if len(pub[2]) == 0:
            raise InvalidValueError(
                "Expected at least one row of parameter values in a job, got none: leave it out."
            )
        size = self._size_of(pub)
        ledger = self._opened(pub, size)
        chunk = self._chunk(ledger, pub, size)
        if chunk.state is ChunkState.PLANNED:
            self._post(ledger, chunk, pub, Estimate(size.qpu_seconds, size.quick_seconds))
        trouble = fetch_all(ledger, self._service, clock=self._clock, wait_seconds=math.inf)
        chunk = ledger.chunks()[chunk.index]
        if chunk.state is ChunkState.DONE:
            self._used.add(chunk.index)
            return Expvals(*ledger.result(chunk))
        if chunk.state is ChunkState.POSTED and trouble is not None:
            raise trouble
        raise ServiceError(
            f"Expected the values of job {chunk.job_id}, got none ({chunk.reason or chunk.state}): "
            f"{self._again()}, which posts it anew.",
            Trouble.REQUEST,
        )

    def close(self) -> None:
        """Close the batch or session in use, and the ledger."""
        if self._ledger is not None:
            close_sessions(self._ledger, self._service)
            self._ledger = None
        self._stack.close()

    def _again(self) -> str:
        """Say in words how the same request is made again."""
        if self._folder is None:
            return (
                "ask for it again in this process (a ledger without a folder is lost with it; "
                f"{WORKLOADS} lists all jobs)"
            )
        return "give the same command again (--resume for a training)"

    def _opened(self, pub: Pub, size: ProgramSize) -> RunLedger:
        """Open the ledger, after everything that has to come first."""
        if self._ledger is not None:
            return self._ledger
        with ExitStack() as stack:
            folder = self._folder or Path(
                stack.enter_context(TemporaryDirectory(prefix="hybridq-"))
            )
            is_new = not has_ledger(folder)
            if is_new:
                name = f"hybridq-{uuid.uuid4().hex[:12]}"
                RunLedger.create(folder, [(0, len(pub[2]))], name=name)
            ledger = stack.enter_context(
                RunLedger.write(folder, doing=f"has jobs of a run in {folder}")
            )
            if is_new:
                ledger.request(0, request_key(pub), size.qpu_seconds)
            self._check_settings(ledger, folder)
            self._go_on(ledger, is_new=is_new)
            if ledger.settings is None:
                ledger.keep_settings(self._settings())
            self._stack, self._ledger = stack.pop_all(), ledger
        return ledger

    def _go_on(self, ledger: RunLedger, *, is_new: bool) -> None:
        """Look up jobs that the ledger of an earlier process does not know; note the instance.

        Raises:
            UnavailableError: If the service cannot be asked.
        """
        if not is_new:
            trouble = take_stock(
                ledger, self._service, clock=self._clock, settle_seconds=SETTLE_SECONDS
            )
            if trouble is not None:
                raise trouble
            close_sessions(ledger, self._service)
        account = self._service.account()
        if ledger.account is None and account is not None:
            ledger.keep_account(account)

    def _settings(self) -> dict[str, Any]:
        """The settings, besides the request itself, that decide the result of a job."""
        fields = self._spec.model_dump(mode="json", exclude=_MAY_CHANGE)
        return {**fields, "device": self._device}

    def _check_settings(self, ledger: RunLedger, folder: Path) -> None:
        """Refuse a ledger whose answers come from another backend.

        Raises:
            InvalidValueError: If they do.
        """
        own, kept = self._settings(), ledger.settings
        if kept is None:  # it was made, and nothing was posted
            return
        apart = [name for name in own if kept.get(name) != own[name]]
        if apart:
            raise InvalidValueError(
                f"Expected the backend that the jobs in {folder} were posted to, "
                f"{apart[0]} {kept.get(apart[0])}, got {own[apart[0]]}: give that one, or begin a "
                "new run."
            )

    def _chunk(self, ledger: RunLedger, pub: Pub, size: ProgramSize) -> Chunk:
        """Find the chunk of a request among earlier ones, or plan a new one."""
        key = request_key(pub)
        chunks = ledger.chunks()
        for index, request in ledger.requests().items():
            if request.key == key and index not in self._used:
                return self._settled(ledger, chunks[index])
        number = ledger.add(len(pub[2]), key, size.qpu_seconds)
        return ledger.chunks()[number]

    def _settled(self, ledger: RunLedger, chunk: Chunk) -> Chunk:
        """Return a chunk as it is, or planned anew if its job gave no result.

        Raises:
            UnavailableError: If its job may still appear, or the service cannot be asked.
        """

        def now() -> Chunk:
            return ledger.chunks()[chunk.index]

        waited = self._clock.now() - (chunk.posted_at or 0.0)
        if chunk.state in _DOUBTFUL:
            trouble = look_up(ledger, self._service, clock=self._clock, settle_seconds=0.0)
            if trouble is not None:
                raise trouble
            if now().state not in _DOUBTFUL:
                return now()
            if waited < DOUBT_SECONDS:
                raise UnavailableError(
                    f"Expected to know whether job {chunk.tag}, posted {waited:.0f} s ago, was "
                    f"accepted, got no answer, and no listing yet: {self._again()} "
                    f"{DOUBT_SECONDS - waited:.0f} s later, which looks it up, and posts it anew "
                    "if it is still not listed."
                )
        elif chunk.state in _ENDED:
            ended(ledger, self._service)  # one of its jobs may have a result after all
            if now().state not in _ENDED:
                return now()
        elif chunk.state is ChunkState.POSTED and chunk.reason is not None:
            known = lost(ledger, self._service) if waited >= DOUBT_SECONDS else []
            if chunk.index not in [one.index for one in known]:
                return now()
        else:
            return chunk
        ledger.begin_anew(chunk)
        return now()

    def _limit(self) -> float:
        """The QPU seconds that all jobs may take together."""
        limit = self._spec.max_qpu_seconds
        if limit is not None:
            return limit
        return math.inf if self._service.is_local else FREE_SECONDS

    def _spent(self, ledger: RunLedger) -> float:
        """Add up the QPU seconds of earlier jobs; those of a rehearsal are estimates."""
        estimates = {index: one.seconds for index, one in ledger.requests().items()}
        if self._service.is_local:
            jobs = {job.index for job in ledger.jobs()}
            return self._spent_before + sum(estimates.get(index, 0.0) for index in jobs)
        fetch_charges(ledger, self._service)
        return self._spent_before + ledger.spent(estimates)

    def _cap(self, chunk: Chunk, estimate: Estimate) -> int | None:
        """Compute the limit of a job in QPU seconds; it doubles with each new attempt.

        Raises:
            InvalidValueError: If the backend's own limit is below the estimate.
        """
        if self._service.is_local:
            return None
        most = self._spec.max_execution_time
        if most < estimate.seconds:
            raise InvalidValueError(
                f"Expected max_execution_time of at least {math.ceil(estimate.seconds)} s, which "
                f"the job is estimated to take, got {most}: raise it in the backend, or take fewer "
                "shots or images."
            )
        return int(min(most, estimate.least_limit() * 2 ** (chunk.attempt - 1)))

    def _post(self, ledger: RunLedger, chunk: Chunk, pub: Pub, estimate: Estimate) -> None:
        """Post a chunk within the budget.

        Raises:
            InvalidValueError: If the budget does not allow it.
            UnavailableError: If it is not accepted, or if that is unknown.
        """
        cap = self._cap(chunk, estimate)
        if self._service.session_id is None:  # else the session's time is limited as a whole
            limit, spent = self._limit(), self._spent(ledger)
            needed = estimate.seconds if cap is None else float(cap)
            check_limit(needed, estimate.seconds, spent, limit)
            if self._spec.mode == "session" and not self._service.is_local:
                begin_session(ledger, self._service, math.floor(limit - spent))
        now = self._clock.now()
        posted = [one.posted_at for one in ledger.chunks() if one.posted_at is not None]
        trouble = post_all(
            ledger,
            self._service,
            lambda _: pub,
            clock=self._clock,
            pace=Pace(
                self._clock,
                None if self._service.is_local else POSTS_PER_MINUTE,
                [at for at in posted if now - 60.0 < at <= now],
            ),
            settle_seconds=SETTLE_SECONDS,
            max_seconds_of=lambda _: cap,
            most_estimated=FREE_SECONDS if self._spec.max_qpu_seconds is None else math.inf,
            only=chunk,
            remedies=(
                f"{self._again()}, which allows it twice as long",
                f"give max_qpu_seconds=... in the backend, and {self._again()}",
            ),
        )
        found = ledger.chunks()[chunk.index]
        if found.state in _DOUBTFUL:
            found = self._settled(ledger, found)
        if trouble is not None and found.state not in (ChunkState.POSTED, ChunkState.DONE):
            raise trouble


def request_key(pub: Pub) -> str:
    """Hash the content of a PUB; the names of its parameters do not count."""
    circuit, column, angles = pub
    digest = hashlib.sha256(_gates(circuit).encode())
    digest.update(repr((column.tolist(), np.shape(angles))).encode())
    digest.update(np.ascontiguousarray(angles, dtype=np.float64).tobytes())
    return digest.hexdigest()


def _gates(circuit: QuantumCircuit) -> str:
    """Write the gates of a circuit, its parameters by their order."""
    order = {parameter: f"#{place}" for place, parameter in enumerate(circuit.parameters)}
    lines: list[Any] = [circuit.num_qubits]
    for item in circuit.data:
        values = [order.get(value, value) for value in getattr(item.operation, "params", ())]
        qubits = [circuit.find_bit(qubit).index for qubit in item.qubits]
        lines.append((item.operation.name, qubits, [str(value) for value in values]))
    return repr(lines)
