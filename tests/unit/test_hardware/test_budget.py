"""What jobs are estimated to take, and the margin between that and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridq.errors import InvalidValueError
from hybridq.submissions.plan.plan import Limits, plan_jobs
from hybridq_backends.ibm.job_size import ProgramSize
from hybridq_backends.jobs.budget import MARGIN_FACTOR, MARGIN_SECONDS, Estimate, share_budget

LIMITS = Limits(executions=5_000_000, body_bytes=4_000_000)


def sizes(images, device_ms=0.25):
    """One image is 1,024 executions."""
    seconds = None if device_ms is None else images * 1024 * device_ms / 1e3
    return ProgramSize(images, 1024, 100 * images, seconds)


def plan(images=156, budget=None, *, device_ms=0.25, max_seconds=600, tight=False):
    return plan_jobs(
        [images],
        lambda start, stop: sizes(stop - start, device_ms),
        limits=LIMITS,
        max_seconds=max_seconds,
        budget=budget,
        tight=tight,
    )


def test_a_job_takes_two_seconds_and_what_the_device_needs_for_each_execution():
    (job,) = plan()
    assert job.qpu_seconds == pytest.approx(2 + 156 * 1024 * 0.00025)
    assert job.quick_seconds == pytest.approx(2 + 156 * 1024 * 0.00035)
    (untimed,) = plan(device_ms=None)
    assert untimed.qpu_seconds == untimed.quick_seconds == job.quick_seconds


@pytest.mark.parametrize("device_ms", [None, 0.25, 0.5])
def test_a_limit_keeps_its_margin_above_both_estimates(device_ms):
    (job,) = plan(device_ms=device_ms)
    larger = max(job.qpu_seconds, job.quick_seconds)
    enough = math.ceil(larger * MARGIN_FACTOR)
    assert plan(budget=enough, device_ms=device_ms)[0].max_seconds == enough
    with pytest.raises(InvalidValueError, match=f"raise --max-qpu-seconds to {enough}, or give"):
        plan(budget=enough - 1, device_ms=device_ms)


def test_small_jobs_keep_a_margin_of_seconds():
    assert Estimate(2.36, 2.36).least_limit() == math.ceil(2.36 + MARGIN_SECONDS)


def test_a_budget_just_above_the_estimate_is_refused_unless_told():
    with pytest.raises(InvalidValueError, match="--tight-budget"):
        plan(budget=58, device_ms=None)
    assert plan(budget=58, device_ms=None, tight=True)[0].max_seconds == 58
    with pytest.raises(InvalidValueError, match="Expected at most 57 QPU seconds"):
        plan(budget=57, device_ms=None, tight=True)


def test_many_jobs_keep_theirs_and_the_budget_named_is_the_least():
    least = [Estimate(seconds, seconds).least_limit() for seconds in (2.36, 9.1, 40.0)]
    caps = share_budget(least, 600, sum(least) + 7.5, spent=0.25)
    assert all(cap >= own for cap, own in zip(caps, least, strict=True))
    assert sum(caps) <= sum(least) + 7.25
    with pytest.raises(InvalidValueError, match=f"raise --max-qpu-seconds to {sum(least) + 1},"):
        share_budget(least, 600, sum(least), spent=0.25)
    assert share_budget(least, 600, sum(least) + 1, spent=0.25) == least


def test_jobs_are_cut_so_that_their_margins_fit_below_the_backends_limit():
    jobs = plan(1000, max_seconds=100)
    assert len(jobs) > 1
    for job in jobs:
        assert job.estimate.least_limit() <= 100
    with pytest.raises(InvalidValueError, match="Expected one image to fit"):
        plan(1, max_seconds=5)
    assert np.sum([job.stop - job.start for job in jobs]) == 1000
