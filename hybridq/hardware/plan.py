"""What a submission will cost, before anything is posted: jobs, executions, QPU seconds, bytes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backends.ibm import FREE_SECONDS
from backends.program import SECONDS_PER_EXECUTION, SECONDS_PER_JOB, ProgramSize
from hybridq.errors import InvalidValueError

if TYPE_CHECKING:
    from backends import IbmRuntime

REHEARSAL = "rehearsal"
_CHARGED = {"session": ", charged by wall clock while it is open, waiting included"}


@dataclass(frozen=True)
class Limits:
    """How large one job may be.

    Attributes:
        executions: Most executions (circuits times shots, mitigation included).
        body_bytes: Most bytes of the request that posts it.
    """

    executions: int
    body_bytes: int


@dataclass(frozen=True)
class PlannedJob:
    """One job of a submission.

    Attributes:
        start: First image.
        stop: The image after the last.
        executions: Executions on the device.
        body_bytes: Bytes of the request that posts it.
        qpu_seconds: IBM's quick estimate of what it takes, in seconds.
        max_seconds: QPU seconds after which the service stops it.
    """

    start: int
    stop: int
    executions: int
    body_bytes: int
    qpu_seconds: float
    max_seconds: int


@dataclass(frozen=True)
class Plan:
    """Where and how a submission runs, and what it is estimated to cost.

    Attributes:
        device: The device.
        calibration_date: When it was calibrated.
        backend: The backend as it was asked for.
        mode: `batch`, `session`, `job`, or `REHEARSAL`.
        shots: Shots for one circuit.
        mitigation: What suppresses and mitigates errors, in words.
        layout: The physical qubit of each logical one at the start.
        expected_error: 1 - the product of the success probabilities of all gates and readings.
        layouts_compared: How many layouts that was the best of.
        depth: Depth of the compiled circuit.
        two_qubit_gates: Its two-qubit gates.
        images: Number of images.
        jobs: The jobs.
        seconds_left: QPU seconds the account has left; None where there is no limit.
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

    @property
    def executions(self) -> int:
        """Executions of all jobs."""
        return sum(job.executions for job in self.jobs)

    @property
    def qpu_seconds(self) -> float:
        """Estimated QPU seconds of all jobs."""
        return sum(job.qpu_seconds for job in self.jobs)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-safe values."""
        return {**asdict(self), "qpu_seconds": self.qpu_seconds, "executions": self.executions}

    def rows(self) -> list[list[str]]:
        """What `--dry-run` prints: pairs of name and value."""
        total = sum(job.body_bytes for job in self.jobs)
        largest = max(job.body_bytes for job in self.jobs)
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
            ["circuit", f"depth {self.depth}, {self.two_qubit_gates} two-qubit gates"],
            ["images", f"{self.images}, {self.shots} shots each"],
            ["mitigation", self.mitigation],
            ["jobs", f"{len(self.jobs)} in mode {self.mode}{_CHARGED.get(self.mode, '')}"],
            ["executions", f"{self.executions}, mitigation included"],
            ["upload", f"{total / 1e3:.0f} kB in all, {largest / 1e3:.0f} kB the largest request"],
            [
                "QPU time",
                f"{self.qpu_seconds:.1f} s estimated ({SECONDS_PER_JOB:g} s for each job and "
                f"{SECONDS_PER_EXECUTION * 1e3:g} ms for each execution); {left}",
            ],
            [
                "stopped after",
                f"{max(job.max_seconds for job in self.jobs)} s of QPU time at most for one job, "
                "by the service",
            ],
        ]


def mitigation_words(spec: IbmRuntime) -> str:
    """What the options of a spec do against errors, each by its name."""
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
    images: int,
    size_of: Callable[[int, int], ProgramSize],
    *,
    limits: Limits,
    max_seconds: int,
    budget: float | None,
) -> tuple[PlannedJob, ...]:
    """Cut images into jobs of nearly equal size, as few as the limits allow.

    Args:
        images: Number of images, at least 1.
        size_of: The size of the job of the images from the first to before the second number.
        limits: How large one job may be.
        max_seconds: QPU seconds that the backend's options allow one job.
        budget: QPU seconds that all jobs may take together, if the user said so.

    Raises:
        InvalidValueError: If one image alone is too large, or the estimate is above the budget.
    """
    most = min(limits.executions, int((max_seconds - SECONDS_PER_JOB) / SECONDS_PER_EXECUTION))
    rows = images
    while True:
        size = size_of(0, rows)
        excess = max(size.executions / most, size.body_bytes / limits.body_bytes)
        if excess <= 1:
            break
        if rows == 1:
            raise InvalidValueError(
                f"Expected one image to fit into a job of {most} executions and "
                f"{limits.body_bytes} bytes, got {size.executions} and {size.body_bytes}: take "
                "fewer shots or less mitigation, or raise --job-executions, --job-bytes or the "
                "backend's max_execution_time."
            )
        rows = max(1, min(rows - 1, int(rows / excess)))
    count = math.ceil(images / rows)
    edges = [round(images * place / count) for place in range(count + 1)]
    ranges = list(itertools.pairwise(edges))
    sizes = {stop - start: size_of(start, stop) for start, stop in reversed(ranges)}
    found = [sizes[stop - start] for start, stop in ranges]
    seconds = [size.qpu_seconds for size in found]
    check_budget(sum(seconds), None, budget=budget, agreed=True)
    caps = share_budget(seconds, max_seconds, budget)
    return tuple(
        PlannedJob(start, stop, size.executions, size.body_bytes, size.qpu_seconds, cap)
        for (start, stop), size, cap in zip(ranges, found, caps, strict=True)
    )


def share_budget(
    seconds: Sequence[float], max_seconds: int, budget: float | None, *, spent: float = 0.0
) -> list[int]:
    """QPU seconds after which the service stops each job, so that together they keep a budget.

    Args:
        seconds: Estimates of the jobs.
        max_seconds: QPU seconds that the backend's options allow one job.
        budget: QPU seconds that all jobs may take together, if the user said so.
        spent: QPU seconds of it that other jobs took or may take.

    Raises:
        InvalidValueError: If a job could not end within its share.
    """
    if budget is None:
        return [max_seconds] * len(seconds)
    total = sum(seconds)
    caps = [min(max_seconds, int((budget - spent) * own / total)) for own in seconds]
    if any(cap < own for cap, own in zip(caps, seconds, strict=True)):
        raise InvalidValueError(
            f"Expected a budget that lets each of {len(seconds)} jobs end (limits are whole "
            f"seconds), got {budget:g} s for an estimate of {spent + total:.1f}: raise "
            f"--max-qpu-seconds to {math.ceil(spent + total) + len(seconds)}."
        )
    return caps


def check_budget(
    seconds: float,
    seconds_left: float | None,
    *,
    budget: float | None,
    agreed: bool,
    spent: float = 0.0,
) -> None:
    """Refuse what the account cannot pay, and what costs much without the user's word.

    Args:
        seconds: Estimated QPU seconds of the jobs that are about to be posted.
        seconds_left: What the account has left; None where there is no limit.
        budget: What the user allows for all jobs of the submission, if that was said.
        agreed: Whether the user agreed to any estimate, or it costs nothing.
        spent: What jobs of the submission that are posted already took or may take.

    Raises:
        InvalidValueError: If so.
    """
    if seconds_left is not None and seconds > seconds_left:
        raise InvalidValueError(
            f"Expected at most the {seconds_left:.0f} QPU seconds that the account has left, got "
            f"an estimate of {seconds:.1f}: take fewer images (--limit), fewer shots or less "
            "mitigation, or wait until the plan grants more."
        )
    if budget is not None and spent + seconds > budget:
        before = f" and {spent:.1f} that jobs took or may still take" if spent else ""
        raise InvalidValueError(
            f"Expected at most {budget:g} QPU seconds, got an estimate of {seconds:.1f}{before}: "
            "take fewer images (--limit), fewer shots or less mitigation, or raise "
            "--max-qpu-seconds."
        )
    if budget is None and seconds > FREE_SECONDS and not agreed:
        raise InvalidValueError(
            f"Expected a budget for an estimate of {seconds:.1f} QPU seconds, which is more than "
            f"{FREE_SECONDS:g}, got none: look at --dry-run, then give --max-qpu-seconds or --yes."
        )
