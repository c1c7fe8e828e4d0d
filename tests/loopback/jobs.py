"""The queue: accepting jobs, finding them, running them one after another."""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from typing import Any

from tests.loopback.accounts import Account
from tests.loopback.devices import NAME
from tests.loopback.execution import count_executions
from tests.loopback.faults import Faults
from tests.loopback.records import Accepted, now, quick_estimate
from tests.loopback.replies import RefusedError

PAGE = 10
LONGEST_PAGE = 200


class Queue:
    """Jobs in the order of acceptance, and the one thread that runs them.

    Attributes:
        accepted: Every job, deleted ones included.
        held: While true no job starts.
        open: While false no job starts: the device is not operational.
        estimate: What is said of a job's QPU seconds beforehand, by its executions.
        changed: Notified whenever a job changes its state; guards everything here.
    """

    def __init__(
        self,
        account: Account,
        faults: Faults,
        run: Callable[[Accepted], str],
        *,
        queue_delay: float,
        listing_delay: float,
    ) -> None:
        """Make an empty queue; `start` lets it run."""
        self.accepted: list[Accepted] = []
        self.held = False
        self.open = True
        self.estimate: Callable[[int], Any] = quick_estimate
        self.changed = threading.Condition()
        self._account = account
        self._faults = faults
        self._run = run
        self._queue_delay = queue_delay
        self._listing_delay = listing_delay
        self._stopped = False
        self._unanswered: dict[bytes, Accepted] = {}
        self._worker = threading.Thread(target=self._work, name="loopback-queue", daemon=True)

    def start(self) -> None:
        """Start the worker."""
        self._worker.start()

    def stop(self) -> None:
        """Stop the worker once the job that runs has ended."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()
        self._worker.join(timeout=30.0)

    def set_gate(self, *, held: bool | None = None, is_open: bool | None = None) -> None:
        """Hold or release the queue, open or close the device."""
        with self.changed:
            self.held = self.held if held is None else held
            self.open = self.open if is_open is None else is_open
            self.changed.notify_all()

    def accept(self, posted: dict[str, Any], body: bytes) -> Accepted:
        """Accept a job.

        Args:
            posted: The body of `POST /jobs`, checked.
            body: The same as it came in.

        Returns:
            The job, queued.

        Raises:
            RefusedError: 400 if the program cannot be read.
        """
        try:
            executions = count_executions(posted["params"])
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedError(400, 1002, "Error in the validation process of the job.") from error
        with self.changed:
            job = Accepted(
                id=f"d{len(self.accepted):04d}{uuid.uuid4().hex[:15]}",
                number=len(self.accepted),
                tags=list(posted.get("tags") or []),
                session_id=posted.get("session_id"),
                body_bytes=len(body),
                posted=time.monotonic(),
                params=posted["params"],
                backend=posted.get("backend", NAME),
                cost=posted.get("cost"),
                executions=executions,
                estimated=self.estimate(executions),
                ending=self._faults.take_ending(),
            )
            self.accepted.append(job)
            self.changed.notify_all()
            return job

    def unanswered(self, body: bytes) -> Accepted | None:
        """Find the job that this very body was accepted as, its poster not knowing."""
        with self.changed:
            return self._unanswered.get(_digest(body))

    def leave_unanswered(self, body: bytes, job_id: str) -> None:
        """Remember that a job was accepted but its poster was told of a server error."""
        with self.changed:
            self._unanswered[_digest(body)] = self._find(job_id)

    def answered(self, body: bytes) -> None:
        """Forget the above: the poster knows the job's id now."""
        with self.changed:
            self._unanswered.pop(_digest(body), None)

    def get(self, job_id: str) -> Accepted:
        """Find a job.

        Raises:
            RefusedError: 404 if there is none, or it was deleted.
        """
        with self.changed:
            return self._find(job_id)

    def listing(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """Answer `GET /jobs`: what matches the query and is listed already.

        Args:
            query: limit, offset, tags, pending, session_id, backend, program, created_after,
                created_before, sort, exclude_params.

        Returns:
            One page, and the count of all pages.
        """
        one = {name: values[-1] for name, values in query.items()}
        tags = set(query.get("tags", []))
        listed = time.monotonic() - self._listing_delay
        with self.changed:
            found = [
                job.describe(with_params=one.get("exclude_params") != "true")
                for job in self.accepted
                if job.posted <= listed and not job.deleted and tags <= set(job.tags)
                if one.get("pending") in (None, "true" if job.pending else "false")
                if one.get("session_id") in (None, job.session_id)
                if one.get("backend") in (None, job.backend)
                if one.get("program") in (None, "executor")
                if one.get("created_after", "") <= str(job.timestamps["created"])
                if str(job.timestamps["created"]) <= one.get("created_before", "~")
            ]
        if one.get("sort") != "ASC":
            found.reverse()
        limit = min(int(one.get("limit", PAGE)), LONGEST_PAGE)
        offset = int(one.get("offset", 0))
        page = found[offset : offset + limit]
        return {"jobs": page, "count": len(found), "limit": limit, "offset": offset}

    def cancel(self, job_id: str) -> None:
        """Cancel a job.

        Raises:
            RefusedError: 409 if it has ended.
        """
        with self.changed:
            job = self._find(job_id)
            if not job.pending:
                raise RefusedError(409, 1220, "Job cannot be cancelled: it has ended.")
            job.end("Cancelled")
            self.changed.notify_all()

    def cancel_session(self, session_id: str) -> None:
        """Cancel what waits in a session."""
        with self.changed:
            for job in self.accepted:
                if job.session_id == session_id and job.state == "Queued":
                    job.end("Cancelled")
            self.changed.notify_all()

    def wait_idle(self, timeout: float) -> None:
        """Wait until every job has ended.

        Raises:
            TimeoutError: If one has not in time.
        """
        with self.changed:
            if not self.changed.wait_for(
                lambda: not any(job.pending for job in self.accepted), timeout
            ):
                waiting = [job.id for job in self.accepted if job.pending]
                raise TimeoutError(f"Jobs that have not ended after {timeout} s: {waiting}.")

    def _find(self, job_id: str) -> Accepted:
        """Find a job, with the lock held."""
        for job in self.accepted:
            if job.id == job_id and not job.deleted:
                return job
        raise RefusedError(404, 1291, "Job not found.")

    def _work(self) -> None:
        """Run jobs until stopped."""
        while (job := self._next()) is not None:
            if job.ending is not None:
                with self.changed:
                    if job.state == "Running":
                        job.reason, job.reason_code = job.ending.reason, job.ending.code
                        job.end(job.ending.status)
                    self.changed.notify_all()
                continue
            try:
                result, state = self._run(job), "Completed"
            except Exception:  # noqa: BLE001 - whatever goes wrong in a job is the job's result
                result, state = traceback.format_exc(), "Failed"
            with self.changed:
                if job.state == "Running":
                    job.result = result
                    if state == "Failed":
                        job.reason, job.reason_code = result.strip().splitlines()[-1], 1517
                    elif job.backend == NAME:
                        job.charge = job.takes
                        self._account.seconds_left -= job.charge
                    job.end(state)
                self.changed.notify_all()

    def _next(self) -> Accepted | None:
        """Wait for the next job and mark it as running; None once stopped."""
        with self.changed:
            while not self._stopped:
                job = next((job for job in self.accepted if job.state == "Queued"), None)
                wait: float | None = None
                if job is not None and self.open and not self.held:
                    wait = job.posted + self._queue_delay - time.monotonic()
                    if wait <= 0:
                        job.state = "Running"
                        job.timestamps["running"] = now()
                        self.changed.notify_all()
                        return job
                self.changed.wait(wait)
            return None


def _digest(body: bytes) -> bytes:
    """Tell bodies apart."""
    return hashlib.sha256(body).digest()
