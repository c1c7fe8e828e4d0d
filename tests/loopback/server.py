"""IBM Quantum's REST API on 127.0.0.1, enough of it for the unmodified client."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from qiskit.providers import BackendV2

from tests.loopback import accounts, devices, routes
from tests.loopback.accounts import Account
from tests.loopback.execution import job_seed, run_executor
from tests.loopback.faults import Faults
from tests.loopback.jobs import Queue
from tests.loopback.records import Accepted, OpenSession, Request
from tests.loopback.replies import RefusedError, Reply
from tests.loopback.throttle import Throttle
from tests.loopback.wire import Wire

# The client takes an address with this word as it is, port and all.
_API = "/experimental"


class Loopback:
    """A context manager: an IBM Quantum account with one small device, on this machine.

    It listens on 127.0.0.1 only, writes nothing to disk, and runs `executor` programs.

    Attributes:
        url: The API's address.
        token: The API key that it knows.
        environment: Variables under which the client talks to this server only.
        accepted: Every accepted job, in order.
        requests: Every request, in the order of their replies.
        sessions: Batches and sessions by id.
        faults: What is to go wrong.
        device: The device that it serves.
        status_message: Status of the device: "active", or such as "maintenance".
    """

    def __init__(
        self,
        device: BackendV2 | None = None,
        *,
        plan: str = "open",
        seconds_left: float = 600.0,
        ideal: bool = False,
        queue_delay: float = 0.0,
        listing_delay: float = 0.0,
        seed: int = 0,
        operational: bool = True,
        deduplicates: bool = False,
    ) -> None:
        """Make the server; entering the context starts it.

        Args:
            device: A backend of at most eight qubits; by default five of FakeTorino. The
                client lists it as ibm_loopback.
            plan: open, without sessions, or paid.
            seconds_left: QPU seconds left of the quota.
            ideal: Run jobs without noise; else with that of the device and its readout.
            queue_delay: Seconds that a job stays queued.
            listing_delay: Seconds before an accepted job is listed.
            seed: Of all jobs; each draws its own from it.
            operational: Whether the device says that it works.
            deduplicates: Whether a body that is posted again after a server error gets the first
                job, as IBM's client trusts that it does.
        """
        self.device = devices.default_device() if device is None else device
        if self.device.num_qubits > devices.MOST_QUBITS:
            raise ValueError(
                f"Expected a device of at most {devices.MOST_QUBITS} qubits, got "
                f"{self.device.num_qubits}: cut it with CutBackend."
            )
        self.token = accounts.TOKEN
        self.account = Account(plan, seconds_left)
        self.requests: list[Request] = []
        self.sessions: dict[str, OpenSession] = {}
        self.faults = Faults()
        self.throttle = Throttle()
        self.stopping = threading.Event()
        self.status_message = "active"
        self._deduplicates = deduplicates
        self._ideal = ideal
        self._seed = seed
        self.queue = Queue(
            self.account,
            self.faults,
            self._run,
            queue_delay=queue_delay,
            listing_delay=listing_delay,
        )
        self.accepted = self.queue.accepted
        self.operational = operational
        self._wire = Wire(self)
        root = self._wire.root
        self.url = root + _API
        self.environment = {
            "QISKIT_IBM_TOKEN": self.token,
            "QISKIT_IBM_URL": self.url,
            "QISKIT_IBM_INSTANCE": accounts.CRN,
            "QISKIT_IBM_CHANNEL": "ibm_quantum_platform",
            "IAM_URL": f"{root}/iam",
            "GLOBAL_SEARCH_URL": f"{root}/search",
            "GLOBAL_CATALOG_URL": f"{root}/catalog",
            "USAGE_DATA_OPT_OUT": "True",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def __enter__(self) -> Self:
        """Start serving."""
        self.queue.start()
        self._wire.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything: hanging requests, connections, the queue."""
        self.stopping.set()
        self._wire.close()
        self.queue.stop()

    @property
    def operational(self) -> bool:
        """Whether the device says that it works; while it does not, jobs stay queued."""
        return self.queue.open

    @operational.setter
    def operational(self, value: bool) -> None:
        self.queue.set_gate(is_open=value)

    @property
    def seconds_left(self) -> float:
        """QPU seconds left of the quota; at 0 or less no job is accepted."""
        return self.account.seconds_left

    @seconds_left.setter
    def seconds_left(self, value: float) -> None:
        self.account.seconds_left = float(value)

    @property
    def posts_per_minute(self) -> int | None:
        """How many `POST /jobs` are let through a minute; None is any number."""
        return self.throttle.limit

    @posts_per_minute.setter
    def posts_per_minute(self, value: int | None) -> None:
        self.throttle.limit = value

    @property
    def estimate(self) -> Callable[[int], Any]:
        """What the service says beforehand of a job's QPU seconds, by its executions."""
        return self.queue.estimate

    @estimate.setter
    def estimate(self, value: Callable[[int], Any]) -> None:
        self.queue.estimate = value

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of that limit, in seconds."""
        return self.throttle.clock

    @clock.setter
    def clock(self, value: Callable[[], float]) -> None:
        self.throttle.clock = value

    def accepted_by_tag(self, tag: str) -> list[Accepted]:
        """List the accepted jobs that carry a tag."""
        return [job for job in list(self.accepted) if tag in job.tags]

    def hold(self) -> None:
        """Let jobs stay queued until `release`; one that runs already goes on."""
        self.queue.set_gate(held=True)

    def release(self) -> None:
        """Let jobs run again."""
        self.queue.set_gate(held=False)

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Wait until every accepted job has ended.

        Raises:
            TimeoutError: If one has not in time.
        """
        self.queue.wait_idle(timeout)

    def expire_tokens(self) -> None:
        """Answer 401 to every access token issued so far; new ones are issued as ever."""
        self.account.expire_tokens()

    def jobs_waiting(self) -> int:
        """Count the jobs that have not ended."""
        return sum(job.pending for job in list(self.accepted))

    def path_below_root(self, path: str) -> str:
        """Strip the API's root from a path."""
        return path.removeprefix(_API)

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes, authorization: str
    ) -> Reply:
        """Answer one request; see `wire` for the faults that come before."""
        if (method, path) == ("POST", "/iam/identity/token"):
            return self.account.issue(body)
        try:
            self.account.check(authorization)
            if path.startswith("/search/"):
                return self.account.search()
            if path.startswith("/catalog/"):
                return self.account.catalog()
            if not path.startswith(f"{_API}/"):
                raise RefusedError(404, 1000, "No such service.")
            reply = routes.answer(self, method, self.path_below_root(path), query, body)
        except RefusedError as refusal:
            return refusal.reply
        return reply

    def settle(self, path: str, body: bytes, processed: Reply, sent: Reply) -> None:
        """Note whether the poster of an accepted job learns its id or of a server error.

        A server that de-duplicates gives the same body the first job then.
        """
        if not self._deduplicates or path != "/jobs" or processed.status != 200:
            return
        if sent.status >= 500:
            self.queue.leave_unanswered(body, json.loads(processed.body)["id"])
        elif sent is processed:
            self.queue.answered(body)

    def _run(self, job: Accepted) -> str:
        """Run a job on the device's simulator."""
        simulator = devices.simulator_of(self.device, self._ideal)
        return run_executor(job.params, simulator, job_seed(self._seed, job.number))
