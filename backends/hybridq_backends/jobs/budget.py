"""Budget the QPU seconds of jobs: refuse plans that cost too much, and limit each job.

The service stops a job that takes longer than its limit. The job is charged and gives no result.
Both estimates of the time of a job are rough, so the limit of a job keeps a margin above them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.specs.base import Spec

FREE_SECONDS = 60.0
"""The estimate, in QPU seconds, up to which no budget has to be given."""
MARGIN_FACTOR = 1.2
"""A job's limit is at least this many times the larger of its two estimates."""
MARGIN_SECONDS = 3.0
"""A job's limit is at least this many QPU seconds above the larger of its two estimates."""


@dataclass(frozen=True)
class Estimate:
    """The estimated QPU time of a job.

    Attributes:
        seconds: QPU seconds by the device's own times, or by IBM's quick formula without them.
        quick_seconds: QPU seconds by IBM's quick formula.
    """

    seconds: float
    quick_seconds: float

    @property
    def larger(self) -> float:
        """The larger of both estimates, in QPU seconds."""
        return max(self.seconds, self.quick_seconds)

    def least_limit(self, *, tight: bool = False) -> int:
        """The least limit that the job may have, in whole seconds.

        Args:
            tight: Whether the user gave up the margin.
        """
        if tight:
            return math.ceil(self.seconds)
        return math.ceil(max(self.larger * MARGIN_FACTOR, self.larger + MARGIN_SECONDS))


def without_budget(spec: Spec) -> Spec:
    """Return the same spec without a budget, so that two specs can be compared."""
    if not hasattr(spec, "max_qpu_seconds"):
        return spec
    return spec.model_copy(update={"max_qpu_seconds": None})


def share_budget(
    least: Sequence[float],
    max_seconds: int,
    budget: float | None,
    *,
    spent: float = 0.0,
    reserved: float = 0.0,
) -> list[int]:
    """Compute the limits of jobs, in QPU seconds, so that together they keep a budget.

    Args:
        least: The least limit of each job.
        max_seconds: QPU seconds that the backend's options allow one job.
        budget: QPU seconds that all jobs may take together, if the user said so.
        spent: QPU seconds of it that other jobs took or may take.
        reserved: QPU seconds of it that later jobs need at least.

    Raises:
        InvalidValueError: If a job's share would be less.
    """
    if budget is None:
        return [max_seconds] * len(least)
    whole = [min(max_seconds, math.ceil(seconds)) for seconds in least]
    total = sum(whole) + reserved
    rest = budget - spent - total
    if rest < 0:
        before = f" with {spent:.1f} of them that jobs took or may still take" if spent else ""
        raise InvalidValueError(
            f"Expected at least {total:g} QPU seconds for all jobs, the margin above their "
            f"estimates included, got {budget:g}{before}: the service charges a job that it "
            f"stops and gives nothing for it; raise --max-qpu-seconds to "
            f"{math.ceil(spent + total)}, or give --tight-budget to do without the margin."
        )
    return [min(max_seconds, own + int(rest * own / total)) for own in whole]


def check_limit(needed: float, seconds: float, spent: float, limit: float) -> None:
    """Refuse a job that would exceed the QPU time of an opened backend.

    Args:
        needed: QPU seconds that the job may take, its margin included.
        seconds: QPU seconds that it is estimated to take.
        spent: QPU seconds that other jobs took or may take.
        limit: QPU seconds that all may take together.

    Raises:
        InvalidValueError: If it would be too much.
    """
    if spent + needed > limit:
        margin = "" if needed == seconds else f", of which {seconds:.1f} are its estimate"
        raise InvalidValueError(
            f"Expected jobs of at most {limit:g} QPU seconds in all, got one more of {needed:.1f} "
            f"after {spent:.1f}{margin}: raise max_qpu_seconds=... in the backend, take fewer "
            "shots or images, or use `hybridq submit`."
        )


def check_budget(
    seconds: float,
    seconds_left: float | None,
    *,
    budget: float | None,
    agreed: bool,
    spent: float = 0.0,
    larger: float = 0.0,
) -> None:
    """Refuse what the account cannot pay for, and what costs much without a budget or consent.

    Args:
        seconds: Estimated QPU seconds of the jobs that are about to be posted.
        seconds_left: QPU seconds that the account has left; None without a limit.
        budget: QPU seconds that the user allows for all jobs of the submission, if given.
        agreed: Whether the user agreed to any estimate, or the jobs cost nothing.
        spent: QPU seconds that earlier jobs of the submission took or may take.
        larger: The larger estimate of the jobs that are about to be posted, if there are two.

    Raises:
        InvalidValueError: If it is refused.
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
    larger = max(seconds, larger)
    if budget is None and larger > FREE_SECONDS and not agreed:
        raise InvalidValueError(
            f"Expected a budget for an estimate of {larger:.1f} QPU seconds, which is more than "
            f"{FREE_SECONDS:g}, got none: look at --dry-run, then give --max-qpu-seconds or --yes."
        )
