"""Plan the jobs of a submission and their cost before anything is posted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hybridq.errors import InvalidValueError
from hybridq_backends.ibm.job_size import SECONDS_PER_EXECUTION, SECONDS_PER_JOB, ProgramSize
from hybridq_backends.jobs.budget import (
    MARGIN_FACTOR,
    MARGIN_SECONDS,
    Estimate,
    check_budget,
    share_budget,
)

if TYPE_CHECKING:
    from hybridq_backends import IbmRuntime

REHEARSAL = "rehearsal"
_CHARGED = {"session": ", charged by wall clock while it is open, waiting included"}


@dataclass(frozen=True)
class Limits:
    """The limits on the size of one job.

    Attributes:
        executions: The most executions (circuits times shots, mitigation included).
        body_bytes: The most bytes of the request that posts it.
    """

    executions: int
    body_bytes: int


@dataclass(frozen=True)
class PlannedJob:
    """One job of a submission.

    Attributes:
        start: Index of the first row.
        stop: Index of the row after the last.
        executions: The number of executions on the device.
        body_bytes: Bytes of the request that posts it.
        qpu_seconds: Estimated QPU seconds, by the device's own times, or by IBM's quick formula
            if the device does not report them.
        max_seconds: QPU seconds after which the service stops it.
        quick_seconds: Estimated QPU seconds by IBM's quick formula; None in plans of earlier
            versions, whose `qpu_seconds` are that estimate.
    """

    start: int
    stop: int
    executions: int
    body_bytes: int
    qpu_seconds: float
    max_seconds: int
    quick_seconds: float | None = None

    @property
    def estimate(self) -> Estimate:
        """Both estimates of its QPU time."""
        quick = self.qpu_seconds if self.quick_seconds is None else self.quick_seconds
        return Estimate(self.qpu_seconds, quick)


@dataclass(frozen=True)
class Plan:
    """The plan of a submission: its device, its jobs and their estimated cost.

    Attributes:
        device: The device.
        calibration_date: The date of its calibration.
        backend: The backend as the user named it.
        mode: `batch`, `session`, `job`, or `REHEARSAL`.
        shots: Shots for one circuit.
        mitigation: The methods that suppress and mitigate errors, in words.
        layout: The physical qubit of each logical one at the start.
        expected_error: 1 - the product of the success probabilities of all gates and readings.
        layouts_compared: The number of layouts that were compared.
        depth: Depth of the compiled circuit.
        two_qubit_gates: The number of its two-qubit gates.
        images: The number of images.
        jobs: The jobs.
        seconds_left: QPU seconds that the account has left; None without a limit.
        is_timed: Whether the device reports the times that the estimate is made of.
        circuits: Number of circuits; layout, error, depth and gates are those of the deepest.
        remarks: What the model's head says of the job: names and sentences.
    """

    device: str
    calibration_date: str | None
    backend: str
    mode: str
    shots: int
    mitigation: str
    layout: tuple[int, ...]
    expected_error: float
    layouts_compared: int
    depth: int
    two_qubit_gates: int
    images: int
    jobs: tuple[PlannedJob, ...]
    seconds_left: float | None
    is_timed: bool = False
    circuits: int = 1
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def rows_in_all(self) -> int:
        """The number of rows of all jobs: one for each image and circuit of a usual model."""
        return max(job.stop for job in self.jobs)

    @property
    def executions(self) -> int:
        """The number of executions of all jobs."""
        return sum(job.executions for job in self.jobs)

    @property
    def qpu_seconds(self) -> float:
        """Estimated QPU seconds of all jobs."""
        return sum(job.qpu_seconds for job in self.jobs)

    @property
    def quick_seconds(self) -> float:
        """IBM's quick estimate of the QPU seconds of all jobs."""
        return sum(job.estimate.quick_seconds for job in self.jobs)

    @property
    def larger_seconds(self) -> float:
        """The sum over all jobs of the larger estimate of each, in QPU seconds."""
        return sum(job.estimate.larger for job in self.jobs)

    @property
    def least_budget(self) -> int:
        """The least `--max-qpu-seconds` that leaves every job its margin."""
        return sum(job.estimate.least_limit() for job in self.jobs)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-safe values."""
        return {
            **asdict(self),
            "qpu_seconds": self.qpu_seconds,
            "quick_seconds": self.quick_seconds,
            "least_budget": self.least_budget,
            "executions": self.executions,
        }

    def rows(self) -> list[list[str]]:
        """List the pairs of name and value that `--dry-run` prints."""
        total = sum(job.body_bytes for job in self.jobs)
        basis = "the device tells no times, so that this is IBM's quick estimate"
        if self.is_timed:
            own = (self.qpu_seconds - SECONDS_PER_JOB * len(self.jobs)) / self.executions
            basis = (
                f"{SECONDS_PER_JOB:g} s for each job, {own * 1e3:.3f} ms for each execution: the "
                "device's delay and the circuit's duration"
            )
        largest = max(job.body_bytes for job in self.jobs)
        many = "" if self.circuits == 1 else f"{self.circuits} of them, the deepest: "
        each = "" if self.rows_in_all == self.images else f"{self.rows_in_all} circuits to run, "
        left = "no limit known"
        if self.seconds_left is not None:
            share = self.qpu_seconds / self.seconds_left if self.seconds_left > 0 else math.inf
            left = f"{share:.1%} of the {self.seconds_left:.0f} s that the account has left"
        return [
            ["device", f"{self.device}, calibrated {self.calibration_date or '(unknown)'}"],
            [
                "layout",
                f"qubits {', '.join(map(str, self.layout))}: expected error "
                f"{self.expected_error:.3f}, the best of {self.layouts_compared} compared",
            ],
            ["circuit", f"{many}depth {self.depth}, {self.two_qubit_gates} two-qubit gates"],
            ["images", f"{self.images}, {each}{self.shots} shots each"],
            ["mitigation", self.mitigation],
            ["jobs", f"{len(self.jobs)} in mode {self.mode}{_CHARGED.get(self.mode, '')}"],
            ["executions", f"{self.executions}, mitigation included"],
            ["upload", f"{total / 1e3:.0f} kB in all, {largest / 1e3:.0f} kB the largest request"],
            [
                "QPU time",
                f"{self.qpu_seconds:.1f} s estimated ({basis}); {left}",
            ],
            [
                "quick formula",
                f"{self.quick_seconds:.1f} s by IBM's ({SECONDS_PER_JOB:g} s for each job, "
                f"{SECONDS_PER_EXECUTION * 1e3:g} ms for each execution)",
            ],
            [
                "least budget",
                f"--max-qpu-seconds {self.least_budget}: for each job the larger estimate and a "
                f"margin of {MARGIN_FACTOR - 1:.0%}, at least {MARGIN_SECONDS:g} s",
            ],
            [
                "stopped after",
                f"about {max(job.max_seconds for job in self.jobs)} s of QPU time at most for one "
                "job, by the service",
            ],
            *map(list, self.remarks),
        ]


def mitigation_words(spec: IbmRuntime) -> str:
    """Name the methods of a spec against errors."""
    chosen = {
        "readout mitigation (TREX)": spec.mitigates_readout,
        "extrapolation to zero noise (ZNE)": spec.extrapolates,
        "gate twirling": spec.twirls_gates,
        "measurement twirling": spec.twirls_measurements,
        "dynamical decoupling": spec.dynamical_decoupling,
    }
    named = [name for name, on in chosen.items() if on]
    return f"{', '.join(named) or 'none'} (resilience level {spec.resilience_level})"


def plan_jobs(
    parts: Sequence[int],
    size_of: Callable[[int, int], ProgramSize],
    *,
    limits: Limits,
    max_seconds: int,
    budget: float | None,
    tight: bool = False,
) -> tuple[PlannedJob, ...]:
    """Cut the rows of each part into jobs of nearly equal size, as few as the limits allow.

    Args:
        parts: The number of rows of each circuit, at least 1; rows are numbered part by part.
        size_of: A function from two numbers to the size of a job of the rows from the first to
            before the second.
        limits: The limits on the size of one job.
        max_seconds: QPU seconds that the backend's options allow one job.
        budget: QPU seconds that all jobs may take together, if the user said so.
        tight: Whether the user gave up the margin between estimates and limits.

    Raises:
        InvalidValueError: If one row alone is too large, or the estimate is above the budget.
    """
    first, ranges, found = 0, [], []
    for rows in parts:
        own = _ranges(first, rows, size_of, limits, max_seconds, tight)
        sizes = {stop - start: size_of(start, stop) for start, stop in reversed(own)}
        ranges += own
        found += [sizes[stop - start] for start, stop in own]
        first += rows
    estimates = [_estimate(size) for size in found]
    check_budget(sum(one.seconds for one in estimates), None, budget=budget, agreed=True)
    least = [one.least_limit(tight=tight) for one in estimates]
    caps = share_budget(least, max_seconds, budget)
    return tuple(
        PlannedJob(
            start,
            stop,
            size.executions,
            size.body_bytes,
            size.qpu_seconds,
            cap,
            size.quick_seconds,
        )
        for (start, stop), size, cap in zip(ranges, found, caps, strict=True)
    )


def _ranges(
    first: int,
    rows: int,
    size_of: Callable[[int, int], ProgramSize],
    limits: Limits,
    max_seconds: int,
    tight: bool,
) -> list[tuple[int, int]]:
    """Cut the rows of one circuit into ranges of nearly equal size that each fit into a job."""
    most = rows
    while True:
        size = size_of(first, first + most)
        needed = _estimate(size).least_limit(tight=tight)
        excess = max(
            size.executions / limits.executions,
            size.body_bytes / limits.body_bytes,
            needed / max_seconds,
        )
        if excess <= 1:
            break
        if most == 1:
            raise InvalidValueError(
                f"Expected one image to fit into a job of {limits.executions} executions, "
                f"{limits.body_bytes} bytes and {max_seconds} QPU seconds, got {size.executions}, "
                f"{size.body_bytes} and {needed}: take fewer shots or less mitigation, or raise "
                "--job-executions, --job-bytes or the backend's max_execution_time."
            )
        most = max(1, min(most - 1, int(most / excess)))
    count = math.ceil(rows / most)
    edges = [first + round(rows * place / count) for place in range(count + 1)]
    return list(itertools.pairwise(edges))


def _estimate(size: ProgramSize) -> Estimate:
    return Estimate(size.qpu_seconds, size.quick_seconds)
