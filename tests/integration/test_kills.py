"""`kill -9` in the middle of submitting and collecting, then going on."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from hybridq.submissions.plan.comparison import Comparison
from hybridq.submissions.plan.submission import Images
from hybridq_backends.jobs.ledger.ledger import Ledger
from tests.forks import Fork

QUICK = ("--settle-seconds", "1.5")


def finish(*arguments):
    """Run a command to its end; its exit code and output."""
    process = Fork(*arguments)
    out = "".join(process.communicate(timeout=300))
    assert "Traceback" not in out, out
    return process.returncode, out


def kill_at(server, process, count, pause):
    """Kill when the server has had so many more requests, or let it end."""
    wanted = len(server.requests) + count
    while process.poll() is None and len(server.requests) < wanted:
        time.sleep(0.001)
    time.sleep(pause)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


def rounds(server, run, rng, kills):
    """Kill commands at random moments until so many were hit, then go on to the end."""
    submit = (
        *("submit", run, "--backend", "ibm,resilience_level=0,shots=256,mode=job", *QUICK),
        *("--job-executions", "600", "--posts-per-minute", "1000"),  # two images a job
    )
    hit = tries = 0
    while hit < kills:
        tries += 1
        assert tries < 6 * kills
        if rng.random() < 0.5:
            server.faults.add(
                "POST", r"^/jobs$", after=rng.randrange(3), drop=True, accept=rng.random() < 0.7
            )
        found = sorted(Path("runs/submit").glob("*/jobs.sqlite"))
        collects = bool(found) and rng.random() < 0.4
        command = ("jobs", "collect", found[-1].parent, *QUICK) if collects else submit
        hit += kill_at(server, Fork(*command), rng.randrange(1, 25), 0.02 * rng.random())
        check_tags(server)
        if found and done(found[-1].parent):
            finish(*submit, "--again")  # so that there is something to kill
    server.faults.clear()
    for _ in range(4):
        code, out = finish(*submit, "--wait", "60")
        if code == 0:
            break
        # what was truly lost is never guessed, and is posted anew when the user says so
        assert "uncertain" in out, out
        with Ledger.read(newest()) as ledger:
            for chunk in ledger.chunks():
                if chunk.state == "uncertain":
                    assert server.accepted_by_tag(chunk.tag) == []
        code, out = finish(*submit, "--wait", "60", "--repost")
    assert code == 0, out
    check_tags(server)
    for path in Path("runs/submit").glob("*/jobs.sqlite"):
        if done(path.parent):
            check_values(path.parent)
    check_values(newest())


def newest():
    return sorted(Path("runs/submit").glob("*/jobs.sqlite"))[-1].parent


def done(folder):
    with Ledger.read(folder) as ledger:
        return all(chunk.state == "done" for chunk in ledger.chunks())


def check_tags(server):
    """No tag has two accepted jobs."""
    tags = [job.tags[0] for job in server.accepted]
    assert len(set(tags)) == len(tags) == len(server.accepted)


def check_values(folder):
    """Every image has exactly one result, which is its own."""
    with Ledger.read(folder) as ledger:
        here, values, _ = ledger.results()
        ids = [chunk.job_id for chunk in ledger.chunks()]
    assert here.all()
    assert len(set(ids)) == len(ids)
    assert (np.abs(values - Images.load(folder).ideal) < 5 / np.sqrt(256)).all()


def test_one_kill_while_posting(serve, varied_run):
    server = serve(ideal=True, listing_delay=0.3)
    rounds(server, varied_run, random.Random(3), 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kills_at_random_moments(serve, varied_run, seed):
    server = serve(ideal=True, listing_delay=0.7, queue_delay=0.05)
    rounds(server, varied_run, random.Random(seed), 10)


@pytest.mark.slow
def test_a_comparison_that_is_killed_keeps_one_budget(serve, varied_run):
    server = serve(ideal=True, listing_delay=0.3)
    submit = (
        *("submit", varied_run, "--backend", "ibm,resilience_level=0,shots=256,mode=job", *QUICK),
        *("--compare", "ibm,resilience_level=0,shots=300,mode=job", "--max-qpu-seconds", "100"),
        *("--job-executions", "1300", "--posts-per-minute", "1000"),  # four images a job
    )
    for count in (14, 18, 22):  # while it makes its submissions, posts to one, posts to the other
        kill_at(server, Fork(*submit), count, 0.0)
        check_tags(server)
    code, out = finish(*submit, "--wait", "60")
    if code != 0:
        assert "uncertain" in out, out
        code, out = finish(*submit, "--wait", "60", "--give-up", "--give-up-after", "0")
    assert code == 0, out
    check_tags(server)
    assert sum(job.cost for job in server.accepted) <= 100
    (comparison,) = Path("runs/compare").iterdir()
    found = Comparison.load(comparison).folders(comparison)
    assert len(found) == 2
    for folder in found:
        check_values(folder)
