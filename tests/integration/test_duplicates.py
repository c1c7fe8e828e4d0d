"""A service that accepts a request more than once: what is queued is cancelled, the rest counts."""

from __future__ import annotations

import json

import pytest

from hybridq_backends.jobs.ledger.ledger import Ledger
from tests.integration.submissions import newest, posts, states

CUT = ("--job-executions", "6000")  # two images a job


def jobs_of(folder):
    with Ledger.read(folder) as ledger:
        return {job.job_id: job for job in ledger.jobs()}


def check(server, budget):
    """The ledger knows every job, and what was charged and may be is within the budget."""
    known = jobs_of(newest())
    assert set(known) == {job.id for job in server.accepted}
    charged = [job.cost if job.pending else job.charge for job in server.accepted]
    assert sum(charged) <= budget


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524])
def test_a_server_error_of_every_post_gives_one_job_for_each_chunk(loopback, submit, status):
    """The default command: one chunk, one job, whatever the budget."""
    loopback.faults.add("POST", r"^/jobs$", status=status, accept=True, times=99)
    assert submit("--max-qpu-seconds", "70")[0] == 0
    assert len(posts(loopback)) == len(loopback.accepted) == 1
    assert states(newest()) == ["posted"]
    check(loopback, 70)


def test_jobs_accepted_twice_are_cancelled_and_charged_once(loopback, submit, command):
    loopback.hold()
    loopback.faults.add("POST", r"^/jobs$", copies=1, times=2)
    loopback.faults.add("POST", r"^/jobs$", copies=1, status=502, accept=True)
    code, _, err = submit(*CUT, "--max-qpu-seconds", "60")
    assert code == 0
    assert err.count("was cancelled, since") == 3
    count = len(states(newest()))
    assert [job.state for job in loopback.accepted].count("Cancelled") == 3
    assert len(loopback.accepted) == count + 3
    check(loopback, 60)
    loopback.release()
    loopback.wait_idle(60)
    assert command("jobs", "collect", newest())[0] == 0
    result = json.loads((newest() / "result.json").read_text())
    assert result["qpu_seconds_of_all_jobs"] is True
    assert result["qpu_seconds"] == pytest.approx(sum(job.charge for job in loopback.accepted))


def test_jobs_accepted_twice_that_ran_are_found_when_all_is_here(serve, submit, command):
    server = serve(ideal=True, listing_delay=60.0)
    server.faults.add("POST", r"^/jobs$", copies=1)
    assert submit("--wait", "60")[0] == 0
    server.wait_idle(60)
    assert len(jobs_of(newest())) == 1
    server.queue._listing_delay = 0.0
    server.faults.add("GET", r"^/jobs$", status=401)
    assert command("jobs", "collect", newest())[0] == 0
    result = json.loads((newest() / "result.json").read_text())
    assert result["qpu_seconds_of_all_jobs"] is False  # nobody could say which jobs there are
    assert command("jobs", "collect", newest())[0] == 0
    assert len(jobs_of(newest())) == 2
    result = json.loads((newest() / "result.json").read_text())
    assert result["qpu_seconds"] == pytest.approx(sum(job.charge for job in server.accepted))
    assert result["qpu_seconds_of_all_jobs"] is True
