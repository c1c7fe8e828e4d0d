"""A job service in memory, with the faults of a network, and a clock that does not wait."""

from __future__ import annotations

import numpy as np
import pytest

from hybridq_backends.expvals import Expvals
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.rate_limit import Clock
from hybridq_backends.jobs.service import FoundJob, JobReport, JobService, JobState


class Time:
    """Seconds that pass when somebody sleeps."""

    def __init__(self):
        self.seconds = 1_000_000.0
        self.slept = []

    def sleep(self, seconds):
        assert 0 <= seconds < 10_000
        self.slept.append(seconds)
        self.seconds += seconds

    @property
    def clock(self):
        return Clock(lambda: self.seconds, self.sleep)


class FakeService(JobService):
    """Accepts jobs; `faults` are taken one for each post, `lag` hides jobs from the listing."""

    def __init__(self, time, *, lag=0.0, per_minute=None):
        self.time = time
        self.lag = lag
        self.per_minute = per_minute
        self.faults = []
        self.jobs = {}  # id -> dict
        self.posts = []
        self.asked = 0
        self.poll_faults = []
        self.ready_faults = []
        self.session = None
        self.end = JobState.DONE

    def post(self, pub, tags, *, max_seconds=None):
        now = self.time.seconds
        fault = self.faults.pop(0) if self.faults else None
        if fault == "lost":  # before it was accepted
            raise ServiceError("no answer", Trouble.NETWORK, maybe_accepted=True)
        if isinstance(fault, ServiceError):
            raise fault
        recent = [at for at in self.posts if at > now - 60]
        if self.per_minute is not None and len(recent) >= self.per_minute:
            raise ServiceError("too many", Trouble.RATE, retry_after=30.0)
        self.posts.append(now)
        job_id = f"job{len(self.jobs)}"
        _, _, angles = pub
        self.jobs[job_id] = {
            "tag": tags[0],
            "tags": tuple(tags),
            "at": now,
            "angles": np.array(angles),
            "state": self.end,
            "max_seconds": max_seconds,
        }
        if fault == "dropped":  # accepted, but the answer is lost
            raise ServiceError("no answer", Trouble.NETWORK, maybe_accepted=True)
        return job_id

    def ready(self):
        if self.ready_faults:
            raise self.ready_faults.pop(0)

    @property
    def session_id(self):
        return self.session

    def find(self, tag):
        self._poll()
        now = self.time.seconds
        return [
            FoundJob(name, job["tags"])
            for name, job in self.jobs.items()
            if tag in job["tags"] and now >= job["at"] + self.lag
        ]

    def report(self, job_id):
        self._poll()
        job = self.jobs[job_id]
        if "unknown" in job:
            raise ServiceError("404", Trouble.REQUEST)
        return JobReport(job["state"], job.get("reason"), job.get("charge", 3.5))

    def result(self, job_id):
        self._poll()
        if "damaged" in self.jobs[job_id]:
            raise ServiceError("cannot be read", Trouble.RESULT)
        angles = self.jobs[job_id]["angles"]
        return Expvals(np.cos(angles), np.full(angles.shape, 0.01))

    def cancel(self, job_id):
        self.jobs[job_id]["state"] = JobState.CANCELLED

    def _poll(self):
        self.asked += 1
        if self.poll_faults:
            fault = self.poll_faults.pop(0)
            if fault is not None:
                raise fault

    def tags(self):
        return [job["tag"] for job in self.jobs.values()]


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def service(time):
    return FakeService(time)


@pytest.fixture
def folder(tmp_path):
    """A ledger of four chunks of three images."""
    Ledger.create(tmp_path, [(0, 3), (3, 6), (6, 9), (9, 12)], name="test")
    return tmp_path


@pytest.fixture
def angles():
    return np.random.default_rng(0).normal(size=(12, 2))
