"""Jobs on IBM hardware, by IBM's own client."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from qiskit.providers import BackendV2
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, Session
from qiskit_ibm_runtime.executor_estimator import Estimator

from backends.account import find_device, without_secrets
from backends.executable import Expvals, read_expvals
from backends.ibm_options import estimator_options
from backends.jobs import FoundJob, JobReport, JobService, JobState, ServiceError, Trouble
from backends.specs import IbmRuntime
from backends.troubles import service_errors_of_jobs

T = TypeVar("T")

_STATES = {
    "QUEUED": JobState.QUEUED,
    "INITIALIZING": JobState.QUEUED,
    "RUNNING": JobState.RUNNING,
    "DONE": JobState.DONE,
    "ERROR": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
}


class RuntimeJobs(JobService):
    """Jobs posted by the executor estimator, one PUB each, in a batch, a session or alone.

    The client waits for an answer without a limit; here each request has one.

    Args:
        spec: The spec; its `device` names where jobs are posted.
        device: The device, if it is open already.
        answer_seconds: Seconds within which a request must be answered.
    """

    def __init__(
        self, spec: IbmRuntime, device: BackendV2 | None = None, *, answer_seconds: float = 120.0
    ) -> None:
        self._spec = spec
        self._device = device
        self._answer_seconds = answer_seconds
        self._known_service: QiskitRuntimeService | None = None
        self._mode: Batch | Session | None = None
        self._jobs: dict[str, Any] = {}

    def post(
        self, pub: tuple[Any, ...], tags: Sequence[str], *, max_seconds: int | None = None
    ) -> str:
        """Post one PUB as one job."""
        device = self._checked_device()
        mode = self._open_mode(device)
        options = estimator_options(self._spec)
        options.environment.job_tags = list(tags)
        if max_seconds is not None:
            options.max_execution_time = max_seconds

        def run() -> str:
            estimator = Estimator(mode=device if mode is None else mode, options=options)
            return str(estimator.run([pub]).job_id())

        return self._asked(run, posting=True)

    def find(self, tag: str) -> list[FoundJob]:
        """The jobs that carry a tag, the oldest first."""

        def jobs() -> list[FoundJob]:
            found = self._service().jobs(limit=None, job_tags=[tag], descending=False)
            self._jobs.update({job.job_id(): job for job in found})
            return [FoundJob(str(job.job_id()), tuple(job.tags)) for job in found]

        return self._asked(jobs)

    def report(self, job_id: str) -> JobReport:
        """Where a job stands, and once it has ended what it was charged."""
        state = _STATES.get(self._asked(lambda: str(self._job(job_id).status())), JobState.RUNNING)
        if state in (JobState.QUEUED, JobState.RUNNING):
            return JobReport(state)
        reason = None
        if state is JobState.FAILED:
            reason = self._asked(lambda: self._job(job_id).error_message())
            reason = without_secrets(str(reason or "no reason given"), self._spec)
        return JobReport(state, reason, self._charged(job_id))

    def result(self, job_id: str) -> Expvals:
        """Values and standard errors of a job that is done."""
        found = self._asked(lambda: self._job(job_id).result(timeout=self._answer_seconds))
        try:
            return read_expvals(found)
        except (TypeError, IndexError, AttributeError, ValueError) as error:
            raise ServiceError(
                f"Expected expectation values from job {job_id}, got {type(found).__name__}: "
                "look at the job on IBM's site, then retry the chunk.",
                Trouble.REQUEST,
            ) from error

    def cancel(self, job_id: str) -> None:
        """Cancel a job, unless it has ended."""
        if self.report(job_id).state in (JobState.QUEUED, JobState.RUNNING):
            self._asked(lambda: self._job(job_id).cancel())

    def seconds_left(self) -> float | None:
        """QPU seconds that the instance has left, where it has a limit."""
        usage = self._asked(lambda: self._service().usage())
        left = usage.get("usage_remaining_seconds")
        return None if left is None else float(left)

    def reopen(self) -> None:
        """Open another batch or session at the next post."""
        self._mode = None

    def close(self) -> None:
        """Close the batch or session in use, if one was opened."""
        mode, self._mode = self._mode, None
        if mode is not None:
            self._asked(mode.close)

    def _job(self, job_id: str) -> Any:
        if job_id not in self._jobs:
            self._jobs[job_id] = self._service().job(job_id)
        return self._jobs[job_id]

    def _charged(self, job_id: str) -> float | None:
        """What a job was charged, which the service may not know yet."""
        try:
            usage = self._asked(lambda: self._job(job_id).metrics()).get("usage", {})
        except ServiceError:
            return None
        if usage.get("status", "pending") == "pending":
            return None
        seconds = usage.get("qpu_charge_time_seconds")
        return None if seconds is None else float(seconds)

    def _service(self) -> QiskitRuntimeService:
        if self._known_service is None:
            if self._device is not None:
                self._known_service = self._device.service
            else:
                self._known_service = QiskitRuntimeService(**self._spec.service_options)
        return self._known_service

    def _checked_device(self) -> BackendV2:
        """The device, which must be taking jobs."""
        if self._device is None:
            self._device = self._asked(lambda: find_device(self._spec))
        device = self._device
        status = self._asked(device.status)
        if not status.operational:
            raise ServiceError(
                f"Expected device {device.name} to take jobs, got status "
                f"{str(status.status_msg)!r}: wait until its maintenance is over and give the "
                "same command again, or name another with device=...",
                Trouble.DEVICE,
            )
        return device

    def _open_mode(self, device: BackendV2) -> Batch | Session | None:
        kinds = {"batch": Batch, "session": Session}
        if self._mode is None and self._spec.mode in kinds:
            self._mode = self._asked(lambda: kinds[self._spec.mode](backend=device))
        return self._mode

    def _asked(self, request: Callable[[], T], *, posting: bool = False) -> T:
        """What a request gives, within the time there is for an answer.

        It runs in a thread of its own, which is left behind if the service hangs.

        Raises:
            ServiceError: If it fails or takes too long.
        """
        found: list[T] = []
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                with (
                    service_errors_of_jobs(self._spec, posting=posting),
                    warnings.catch_warnings(),
                ):
                    warnings.simplefilter("ignore")  # quota and status are checked here
                    found.append(request())
            except ServiceError as error:
                failed.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(self._answer_seconds)
        if failed:
            raise failed[0]
        if not found:
            raise ServiceError(
                f"Expected an answer from IBM Quantum within {self._answer_seconds:g} s, got "
                "none: check the network, then give the same command again.",
                Trouble.NETWORK,
                maybe_accepted=posting,
            )
        return found[0]
