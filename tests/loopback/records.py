"""What the server remembers: requests, jobs, sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PENDING = ("Queued", "Running")


def now() -> str:
    """Write the time as the service does, in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def quick_estimate(executions: int) -> float:
    """QPU seconds that a job takes, by IBM's quick formula."""
    return 2.0 + 0.00035 * executions


@dataclass(frozen=True)
class Request:
    """One request as the server saw it.

    Attributes:
        method: GET, POST, PUT, PATCH or DELETE.
        path: Without query; the runtime's paths start at the API's root, such as `/jobs`.
        query: Every value of every name.
        body_bytes: Size of the body.
        status: Status of the reply, or None if the connection was dropped.
        time: `time.monotonic()` when it came in.
        instance: The instance that it is for, if it says so.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    body_bytes: int
    status: int | None
    time: float
    instance: str | None = None


@dataclass(frozen=True)
class Ending:
    """How a job ends instead of running."""

    status: str
    code: int
    reason: str


@dataclass
class Accepted:
    """One accepted job.

    Attributes:
        id: The job's id.
        number: 0 for the first job of the server.
        tags: As posted, or as updated since.
        session_id: Of the batch or session, or None in job mode.
        body_bytes: Size of the posted body.
        posted: `time.monotonic()` when it was accepted.
        params: The program's parameters, as posted.
        backend: Name of the device.
        cost: `max_execution_time`, or None.
        executions: Circuits times shots.
        estimated: What the service says beforehand that it takes, in QPU seconds; None if it does
            not say.
        state: Queued, Running, Completed, Failed or Cancelled.
        reason: Why it failed.
        reason_code: IBM's code for that.
        charge: QPU seconds charged.
        result: The encoded result, or None.
        deleted: Whether the client deleted it.
        ending: Set if it is to fail.
        timestamps: When it was created, running, finished.
    """

    id: str
    number: int
    tags: list[str]
    session_id: str | None
    body_bytes: int
    posted: float
    params: dict[str, Any]
    backend: str
    cost: int | None
    executions: int
    estimated: Any = None
    state: str = "Queued"
    reason: str | None = None
    reason_code: int | None = None
    charge: float = 0.0
    result: str | None = None
    deleted: bool = False
    ending: Ending | None = None
    timestamps: dict[str, str | None] = field(
        default_factory=lambda: {"created": now(), "running": None, "finished": None}
    )

    @property
    def pending(self) -> bool:
        """Whether it has yet to end."""
        return self.state in PENDING

    @property
    def takes(self) -> float:
        """QPU seconds that it takes."""
        return quick_estimate(self.executions)

    def end(self, state: str) -> None:
        """Put it into a final state."""
        self.state = state
        self.timestamps["finished"] = now()

    def describe(self, *, with_params: bool) -> dict[str, Any]:
        """Write it as `GET /jobs/{id}` does."""
        state: dict[str, Any] = {"status": self.state}
        if self.reason is not None:
            state |= {"reason": self.reason, "reason_code": self.reason_code}
        described: dict[str, Any] = {
            "id": self.id,
            "backend": self.backend,
            "program": {"id": "executor"},
            "state": state,
            "status": self.state,
            "created": self.timestamps["created"],
            "tags": list(self.tags),
            "cost": self.cost,
            "private": False,
            "usage": {"seconds": self.charge},
            "estimated_running_time_seconds": self.estimated,
        }
        if self.session_id is not None:
            described["session_id"] = self.session_id
        if with_params:
            described["params"] = self.params
        return described

    def metrics(self) -> dict[str, Any]:
        """Write what `GET /jobs/{id}/metrics` answers."""
        return {
            "timestamps": dict(self.timestamps),
            "executions": self.executions,
            "usage": {
                "status": "pending" if self.pending else "completed",
                "quantum_seconds": self.charge,
                "seconds": self.charge,
                "qpu_charge_time_seconds": self.charge,
            },
        }


@dataclass
class OpenSession:
    """One batch or session.

    Attributes:
        id: Its id.
        mode: batch or dedicated.
        backend: Name of the device.
        max_ttl: Longest life asked for, in seconds.
        accepting_jobs: Whether jobs may be posted to it.
        closed: Whether it was closed or cancelled.
        created: When it was opened.
    """

    id: str
    mode: str
    backend: str
    max_ttl: int | None = None
    accepting_jobs: bool = True
    closed: bool = False
    created: str = field(default_factory=now)
