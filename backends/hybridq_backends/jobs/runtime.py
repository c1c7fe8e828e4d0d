"""Post and read jobs on IBM hardware with IBM's own client."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Sequence
from typing import Any

from qiskit.providers import BackendV2
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, RuntimeJobV2, Session
from qiskit_ibm_runtime.exceptions import RuntimeInvalidStateError
from qiskit_ibm_runtime.executor_estimator import Estimator

from hybridq_backends.expvals import Expvals, read_expvals
from hybridq_backends.ibm.account import find_device, open_mode, open_service, watch_posts
from hybridq_backends.ibm.door import Door
from hybridq_backends.ibm.exceptions import Act, without_secrets
from hybridq_backends.ibm.options import estimator_options
from hybridq_backends.ibm.timed_requests import ANSWER_SECONDS, Sent, watch
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.service import FoundJob, JobReport, JobService, JobState
from hybridq_backends.specs.ibm_runtime import IbmRuntime

OPEN_AGAIN_SECONDS = 5.0
"""The wait after a failure to open the service, in seconds, before the next try."""
PAGE = 100
"""The number of jobs in one page of a listing."""
MOST_PAGES = 200
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
        self,
        spec: IbmRuntime,
        device: BackendV2 | None = None,
        *,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._spec = spec
        self._device = device
        self._door = Door(spec, answer_seconds=answer_seconds)
        self._known_service: QiskitRuntimeService | None = None
        self._unopened: tuple[float, ServiceError] | None = None
        self._mode: Batch | Session | None = None
        self._is_ready = False
        self._jobs: dict[str, Any] = {}

    @property
    def maybe_posted(self) -> bool:
        """Whether an interrupted post may have gone out."""
        return self._door.sent is Sent.UNKNOWN

    @property
    def session_id(self) -> str | None:
        """The id of the session in use, or None."""
        return self._mode.session_id if self._mode and self._spec.mode == "session" else None

    def account(self) -> str | None:
        """A hash of the device's instance, or of the only one there is."""

        def instance() -> str | None:
            service = self._service()
            if self._device is not None:
                return str(service.active_instance())
            crns = _instances(service)
            return crns[0] if len(crns) == 1 else None

        found = self._door.ask(instance)
        return None if found is None else hashlib.sha256(found.encode()).hexdigest()[:16]

    def ready(self) -> None:
        """Check the device, and open a batch or session if none is in use."""
        device = self._checked_device()
        if self._mode is None and self._spec.mode != "job":
            self._mode = self._door.ask(lambda: open_mode(self._spec, device, self.session_seconds))
        self._is_ready = True

    def post(
        self, pub: tuple[Any, ...], tags: Sequence[str], *, max_seconds: int | None = None
    ) -> str:
        """Post one PUB as one job."""
        if not self._is_ready:
            self.ready()
        self._is_ready = False  # the next post checks the device again
        device, mode = self._open_device(), self._mode

        def run() -> str:
            watch(device.service)
            options = estimator_options(self._spec)
            options.environment.job_tags = list(tags)
            if max_seconds is not None:
                options.max_execution_time = max_seconds
            estimator = Estimator(mode=device if mode is None else mode, options=options)
            return _id_of(estimator.run([pub]).job_id())

        return self._door.ask(run, Act.POST)

    def find(self, tag: str) -> list[FoundJob]:
        """Find the jobs that carry a tag, the oldest first."""

        def jobs() -> list[FoundJob]:
            service = self._service()
            clients = [service._get_api_client()]
            if self._device is None:  # no device says which instance: look in each
                clients = list(service._get_api_clients().values()) or clients
            found = [job for client in clients for job in _listing(client, tag)]
            found.sort(key=lambda job: str(job.get("created") or ""))
            tags = {str(job["id"]): tuple(job.get("tags") or ()) for job in found}
            return [FoundJob(job_id, tags[job_id]) for job_id in tags]

        return self._door.ask(jobs)

    def report(self, job_id: str) -> JobReport:
        """Report the state of a job and, once it has ended, its charge."""
        state = self._door.ask(lambda: _STATES.get(self._job(job_id).status(), JobState.RUNNING))
        if state in (JobState.QUEUED, JobState.RUNNING):
            return JobReport(state)
        reason = None
        if state is JobState.FAILED:
            reason = self._door.ask(lambda: self._job(job_id).error_message())
            reason = without_secrets(str(reason or "no reason given"), self._spec)
        return JobReport(state, reason, self._charged(job_id))

    def estimate(self, job_id: str) -> float | None:
        """Ask for the service's estimate of a job in QPU seconds; None without one."""
        return self._door.ask(
            lambda: _seconds(self._job(job_id).usage_estimation.get("quantum_seconds"))
        )

    def result(self, job_id: str) -> Expvals:
        """Read the values and standard errors of a finished job."""
        job = self._door.ask(lambda: self._ended(job_id))
        return self._door.ask(lambda: read_expvals(job.result()), Act.READ)

    def cancel(self, job_id: str) -> None:
        """Cancel a job, unless it has ended."""

        def stop() -> None:
            with contextlib.suppress(RuntimeInvalidStateError):  # it has ended meanwhile
                self._job(job_id).cancel()

        if self.report(job_id).state in (JobState.QUEUED, JobState.RUNNING):
            self._door.ask(stop)

    def seconds_left(self) -> float | None:
        """Ask for the QPU seconds that the instance has left; None without a limit."""

        def ask() -> float | None:
            if self._spec.device is None:  # that of the device which jobs would be posted to
                self._open_device()
            usage = self._service().usage()
            left = usage.get("usage_remaining_seconds")
            return None if left is None else max(0.0, float(left))

        return self._door.ask(ask)

    def reopen(self) -> None:
        """Open another batch or session at the next post."""
        self._mode, self._is_ready = None, False

    def close(self, session_id: str | None = None) -> None:
        """Close an earlier session, or the batch or session in use if one was opened."""

        def earlier() -> None:
            session = Session.from_id(session_id, self._service())
            if session.status() != "Closed":
                session.close()

        if session_id is not None:
            self._door.ask(earlier)
            return
        mode = self._mode
        self.reopen()
        if mode is not None:
            self._door.ask(mode.close)

    def _job(self, job_id: str) -> Any:
        if job_id not in self._jobs:
            service = self._service()
            clients = list(service._get_api_clients().values())
            if len(clients) == 1:
                # Without asking for its device, which the client does for each job: it may be gone.
                self._jobs[job_id] = RuntimeJobV2(None, clients[0], job_id, "executor", service)
            else:
                self._jobs[job_id] = service.job(job_id)
        return self._jobs[job_id]

    def _ended(self, job_id: str) -> Any:
        job = self._job(job_id)
        job.wait_for_final_state(timeout=self._door.answer_seconds)
        return job

    def _charged(self, job_id: str) -> float | None:
        """Read the charge of a job, which the service may not know yet."""

        def charged() -> float | None:
            usage = self._job(job_id).metrics().get("usage", {})
            if usage.get("status", "pending") == "pending":
                return None
            return _seconds(usage.get("qpu_charge_time_seconds"))

        try:
            return self._door.ask(charged)
        except ServiceError:
            return None

    def _service(self) -> QiskitRuntimeService:
        """The service, with the device's instance in use.

        The client asks the instance that it used last, and moves on to another one on its own.
        """
        if self._known_service is None:
            if self._unopened is not None and time.monotonic() < self._unopened[0]:
                raise self._unopened[1]
            try:
                self._known_service = self._first_service()
            except ServiceError as error:
                self._unopened = (time.monotonic() + OPEN_AGAIN_SECONDS, error)
                raise
        service = self._known_service
        watch(service)
        instance = getattr(self._device, "_instance", None)
        if instance is not None and service.active_instance() != instance:
            service.backend(self._open_device().name, instance=instance)
        return service

    def _first_service(self) -> QiskitRuntimeService:
        if self._device is not None:
            return self._device.service
        service = open_service(self._spec)
        if self._spec.device is not None and len(service._get_api_clients()) > 1:
            try:
                self._device = find_device(self._spec, service)
            except ServiceError as error:
                if error.trouble is not Trouble.DEVICE:
                    raise
                # a device that is no longer offered: its jobs are still there
        return service

    def _open_device(self) -> BackendV2:
        if self._device is None:
            self._device = find_device(self._spec, self._known_service)
        return self._device

    def _checked_device(self) -> BackendV2:
        """The device, which must be taking jobs."""
        device = self._door.ask(self._open_device)
        watch_posts(device)
        status = self._door.ask(device.status)
        if not status.operational:
            said = without_secrets(str(status.status_msg), self._spec)
            raise ServiceError(
                f"Expected device {device.name} to take jobs, got status {said!r}: wait until its "
                "maintenance is over and give the same command again, or name another with "
                "device=...",
                Trouble.DEVICE,
            )
        return device


def _id_of(found: object) -> str:
    """The id of a job that was accepted.

    Raises:
        ValueError: If the reply holds none.
    """
    if not isinstance(found, str) or not found:
        raise ValueError(f"a job with the id {found!r}")
    return found


def _seconds(value: object) -> float | None:
    """Read a number of seconds from a reply; None if it is missing or nonsense."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and value >= 0 else None  # type: ignore


def _instances(service: QiskitRuntimeService) -> list[str]:
    """List the CRN of the named instance, or those of all instances of the account."""
    named = service.active_account().get("instance")
    return [str(named)] if named else [str(one["crn"]) for one in service.instances()]


def _listing(client: Any, tag: str) -> list[dict[str, Any]]:
    """List every job of one instance that carries a tag, as the service describes it.

    The client's own listing would never end if the service's count and its pages disagreed.

    Raises:
        ServiceError: If the listing does not end.
    """
    found: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        page = client.jobs_get(limit=PAGE, skip=len(found), job_tags=[tag], descending=False)
        if not page["jobs"]:
            return found
        found += page["jobs"]
    raise ServiceError(
        f"Expected at most {MOST_PAGES} pages of jobs with the tag {tag!r}, got more: the "
        "service's listing does not end, give the same command again later.",
        Trouble.NETWORK,
    )
