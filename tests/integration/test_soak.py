"""Two hundred chunks through every fault at random, with IBM's own client."""

from __future__ import annotations

import contextlib
import json
import random
import time
from pathlib import Path

import numpy as np
import pytest

from hybridq.config import JobsCollectConfig, SubmitConfig
from hybridq.errors import HybridqError
from hybridq.submissions import collect, submit
from hybridq.submissions.plan.submission import Images
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.rate_limit import Clock

SHOTS = 64
POSTS = (
    {"status": 503},
    {"status": 503, "accept": True},
    {"status": 502, "times": 2},
    {"drop": True},
    {"drop": True, "accept": True},
    {"body": b"<html>", "accept": True},
    {"status": 429},
    {"status": 429, "headers": {"Retry-After": "3"}},
    {"status": 401, "message": "expired"},
    {"status": 409, "message": "usage limit"},
    {"status": 400, "code": 1217, "message": "Session has been closed"},
)
TWICE = (  # a gateway that repeats what it was sent, to a server that does not compare
    {"copies": 1},
    {"copies": 1, "status": 502, "accept": True},
    {"copies": 2, "drop": True},
)
BUDGET = 3000
LISTED = 0.3
POLLS = (
    {"status": 503},
    {"status": 429},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"drop": True},
    {"status": 401, "message": "expired"},
)


class Time:
    """Seconds that pass when somebody sleeps; the server's rate limit is on them, too."""

    def __init__(self):
        self.seconds = time.time()  # the ledger's hours are real

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


def check(server, ledger):
    """No tag has more accepted jobs than the ledger knows, and they keep the budget together."""
    assert {job.job_id for job in ledger.jobs()} == {job.id for job in server.accepted}
    assert sum(job.cost if job.pending else job.charge for job in server.accepted) <= BUDGET


@pytest.mark.slow
@pytest.mark.parametrize("posts", [POSTS, POSTS + TWICE], ids=["once", "twice"])
def test_nothing_is_lost_and_nothing_doubled(serve, varied_run, posts):
    rng = random.Random(0)
    now = Time()
    server = serve(ideal=True, listing_delay=LISTED, seconds_left=1e9)
    server.posts_per_minute = 5
    server.clock = now.now
    clock = Clock(now.now, now.sleep)
    config = SubmitConfig(
        run=varied_run,
        data="phantom,size=16,count=800",
        backend=f"ibm,device=ibm_loopback,resilience_level=0,shots={SHOTS}",
        job_executions=SHOTS,  # one image a job
        max_qpu_seconds=BUDGET,
    )
    for command in range(300):
        server.faults.clear()
        server.operational = rng.random() < 0.95
        for _ in range(rng.randrange(6, 16)):
            fault = rng.choice(posts)
            server.faults.add("POST", r"^/jobs$", after=rng.randrange(4), **fault)
        for _ in range(rng.randrange(4)):
            server.faults.add("GET", r"^/jobs", after=rng.randrange(40), **rng.choice(POLLS))
        if rng.random() < 0.3:
            server.faults.fail_job(reason="Error in calibration", code=6054)
        again = {"repost": rng.random() < 0.05, "retry_failed": rng.random() < 0.5}
        if rng.random() < 0.3:  # on another day
            again["give_up"] = True
            time.sleep(2 * LISTED)
            now.seconds += 90_000
        with contextlib.suppress(HybridqError):  # a command that could not even begin
            submit(config.model_copy(update=again), clock=clock)
        found = sorted(Path("runs/submit").glob("*"))
        assert len(found) <= 1
        if found and command % 2:
            done = collect(JobsCollectConfig(submission=found[0], wait=20.0), clock=clock)
            if done.complete:
                break
    else:
        pytest.fail("not done after 300 commands")
    answered = {r.status for r in server.requests if r.method == "POST" and r.path == "/jobs"}
    assert answered >= {None, 200, 400, 401, 409, 429, 502, 503}
    folder = found[0]
    tags = [job.tags[0] for job in server.accepted]
    if posts is POSTS:
        assert len(set(tags)) == len(tags)  # no tag has two accepted jobs
    collect(JobsCollectConfig(submission=found[0]), clock=clock)
    with Ledger.read(folder) as ledger:
        here, values, _ = ledger.results()
        chunks = ledger.chunks()
        check(server, ledger)
    assert len(chunks) == 200
    assert here.all()
    by_id = {job.id: job for job in server.accepted}
    assert all(by_id[chunk.job_id].tags[0] == chunk.tag for chunk in chunks)
    charged = [job.charge for job in server.accepted]
    result = json.loads((folder / "result.json").read_text())
    assert result["qpu_seconds"] == pytest.approx(sum(charged))
    distance = np.abs(values - Images.load(folder).ideal)
    assert (distance < 6 / np.sqrt(SHOTS)).all()
