"""Going on with a submission: budgets, restored ledgers, two at once, and what is in doubt."""

from __future__ import annotations

import json
import resource
import shutil
from contextlib import contextmanager

import pytest

from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.ledger.storage import FILE
from tests.forks import Fork
from tests.integration.submissions import PLAIN, folders, newest, posts, states

CUT = ("--job-executions", "6000")  # two images a job


@pytest.mark.parametrize("status", [400, 404])
def test_a_request_that_fails_while_polling_does_not_end_a_chunk(loopback, submit, command, status):
    submit()
    loopback.wait_idle(60)
    loopback.faults.add("GET", r"^/jobs/[^/]+$", status=status, times=50)
    code, out, _ = command("jobs", "collect", newest())
    assert code == 3
    assert states(newest()) == ["posted"]
    assert "Stopped early: Expected an answer" in out
    submit("--retry-failed")
    assert len(loopback.accepted) == 1
    loopback.faults.clear()
    assert command("jobs", "collect", newest())[0] == 0
    assert len(loopback.accepted) == 1


def test_a_job_that_the_service_lost_is_posted_anew_only_when_told(loopback, submit, command):
    submit()
    loopback.wait_idle(60)
    lost = loopback.accepted[0]
    lost.deleted = True
    assert command("jobs", "collect", newest())[0] == 3
    assert submit("--retry-failed")[0] == 0
    assert len(loopback.accepted) == 1
    assert submit("--repost", "--wait", "60")[0] == 0
    assert len(loopback.accepted) == 2


def test_one_result_that_cannot_be_read_holds_up_no_other(loopback, submit, command):
    submit(*CUT)
    loopback.wait_idle(60)
    first = loopback.accepted[0].id
    loopback.faults.add("GET", rf"^/jobs/{first}/results$", status=200, body='{"data": [', times=9)
    code, _, _ = command("jobs", "collect", newest())
    assert code == 3
    assert states(newest())[0] == "failed"
    assert set(states(newest())[1:]) == {"done"}
    assert "result cannot be read" in command("jobs", "status", newest())[1]


def test_the_budget_holds_for_all_jobs_together(loopback, submit, command):
    loopback.faults.add("POST", r"^/jobs$", after=1, status=401)
    code, _, err = submit(*CUT, "--max-qpu-seconds", "40")
    assert code == 3
    posted = len(loopback.accepted)
    loopback.faults.clear()
    plan = json.loads((newest() / "submission.json").read_text())["plan"]
    code, _, err = submit(*CUT, "--max-qpu-seconds", f"{plan['qpu_seconds'] - 1:.0f}")
    assert code == 2
    assert "jobs took or may still take" in err
    assert len(loopback.accepted) == posted
    loopback.seconds_left = 1.0
    code, _, err = submit(*CUT)
    assert code == 2
    assert "has left" in err
    loopback.seconds_left = 600.0
    assert submit(*CUT)[0] == 0  # the budget that it was made with goes on
    assert len(loopback.accepted) == len(states(newest()))
    assert sum(job.cost for job in loopback.accepted) <= 40


def test_a_job_that_the_service_estimates_above_its_limit_is_cancelled(loopback, submit, command):
    loopback.estimate = lambda executions: 50.0
    loopback.hold()
    code, out, _ = submit(*CUT, "--max-qpu-seconds", "60")
    assert code == 3
    (job,) = loopback.accepted  # nothing more is posted
    assert job.cost < 50
    assert job.state == "Cancelled"
    assert states(newest())[0] == "cancelled"
    assert "got an estimate of 50.0 from the service: it was cancelled" in out
    assert "from the service" in command("jobs", "status", newest())[1]
    loopback.release()
    loopback.estimate = lambda executions: None  # it need not say anything
    assert submit(*CUT, "--retry-failed", "--wait", "60")[0] == 0
    assert sum(one.cost for one in loopback.accepted[1:]) <= 60


def test_without_a_budget_what_the_service_estimates_above_a_minute_needs_a_word(loopback, submit):
    loopback.estimate = lambda executions: 35.0
    loopback.hold()
    code, out, _ = submit(*CUT)
    assert code == 3
    assert [job.state for job in loopback.accepted] == ["Queued", "Cancelled"]
    assert "give --max-qpu-seconds or --yes, then --retry-failed" in out
    loopback.release()
    assert submit(*CUT, "--retry-failed", "--yes", "--wait", "60")[0] == 0


@pytest.mark.parametrize("said", ["12", -1.0, float("nan"), True, {}])
def test_an_estimate_that_is_none_is_not_compared(loopback, submit, said):
    loopback.estimate = lambda executions: said
    assert submit("--max-qpu-seconds", "60", "--wait", "60")[0] == 0


def test_what_failed_attempts_were_charged_counts(loopback, submit, command):
    loopback.faults.fail_job(reason="Error in calibration", code=6054)
    submit("--max-qpu-seconds", "15")
    loopback.wait_idle(60)
    charged = loopback.accepted[0].charge = 4.5
    command("jobs", "collect", newest())
    assert submit("--retry-failed", "--wait", "60", "--max-qpu-seconds", "100")[0] == 0
    result = json.loads((newest() / "result.json").read_text())
    assert result["qpu_seconds"] == pytest.approx(charged + result["chunks"][0]["qpu_seconds"])


def test_a_restored_ledger_posts_nothing_twice(loopback, submit, tmp_path):
    loopback.faults.add("POST", r"^/jobs$", after=1, status=401)
    submit(*CUT)
    loopback.faults.clear()
    copy = tmp_path / "copy.sqlite"
    shutil.copy(newest() / FILE, copy)
    submit(*CUT)
    count = len(states(newest()))
    assert len(loopback.accepted) == count
    shutil.copy(copy, newest() / FILE)
    assert states(newest())[1:] == ["planned"] * (count - 1)
    assert submit(*CUT, "--wait", "60")[0] == 0
    assert len(loopback.accepted) == count


def test_two_at_once_make_one_submission(serve, varied_run):
    server = serve(ideal=True)
    command = ("submit", varied_run, "--backend", f"ibm,{PLAIN}", "--settle-seconds", "0.2")
    running = [Fork(*command) for _ in range(2)]
    ended = [process.communicate(timeout=180) for process in running]
    assert "Traceback" not in ended[0][1] + ended[1][1]
    assert len(folders()) == 1
    assert len(server.accepted) == 1
    assert 0 in [process.returncode for process in running]


def test_cancel_finds_what_is_in_doubt(serve, submit, command):
    server = serve(ideal=True, listing_delay=2.0)
    server.hold()
    server.faults.add("POST", r"^/jobs$", drop=True, accept=True)
    submit()
    assert states(newest()) == ["uncertain"]
    code, _, _ = command("jobs", "cancel", newest(), "--settle-seconds", "3")
    assert code == 0
    assert states(newest()) == ["cancelled"]
    assert server.accepted[0].state == "Cancelled"
    assert (newest() / "result.json").is_file()


def test_cancel_says_that_something_stays_in_doubt(serve, submit, command):
    server = serve(ideal=True, listing_delay=60.0)
    server.hold()
    server.faults.add("POST", r"^/jobs$", drop=True, accept=True)
    submit(*CUT)
    code, out, _ = command("jobs", "cancel", newest(), "--settle-seconds", "0.1")
    assert code == 3
    assert states(newest())[0] == "uncertain"
    assert set(states(newest())[1:]) == {"cancelled"}
    assert "--repost" in out


def test_one_job_that_cannot_be_cancelled_holds_up_no_other(loopback, submit, command):
    loopback.hold()
    submit(*CUT)
    first = loopback.accepted[0].id
    loopback.faults.add("POST", rf"^/jobs/{first}/cancel$", status=500, times=20)
    code, out, _ = command("jobs", "cancel", newest())
    assert code == 3
    assert states(newest())[0] == "posted"
    assert set(states(newest())[1:]) == {"cancelled"}
    assert "Stopped early" in out


def test_cancel_of_a_run_that_moved_cancels(loopback, command, varied_run, tmp_path):
    run = tmp_path / "moving"
    shutil.copytree(varied_run, run)
    loopback.hold()
    command("submit", run, "--backend", f"ibm,{PLAIN}")
    run.rename(tmp_path / "moved")
    code, out, err = command("jobs", "cancel", newest(), "--settle-seconds", "0.1")
    assert code == 0
    assert "cancelled" in out
    assert "results were not written" in err
    assert loopback.accepted[0].state == "Cancelled"


def test_a_session_counts_whole_and_a_killed_ones_is_closed(serve, submit, command):
    server = serve(ideal=True, plan="paid")
    session = f"ibm,{PLAIN},mode=session"
    server.faults.add("POST", r"^/jobs$", after=1, status=400, code=1217, message="closed")
    code, _, _ = submit(*CUT, "--max-qpu-seconds", "60", backend=session)
    assert code == 3
    assert len(server.sessions) == 1
    (first,) = server.sessions.values()
    with Ledger.write(newest()) as ledger:
        assert ledger.open_sessions() == []
        ledger.opened_session(ledger.begin_session(1), first.id)  # as after a kill
    first.accepting_jobs, first.closed = True, False
    code, _, err = submit(*CUT, "--max-qpu-seconds", "60", backend=session)
    assert code == 2
    assert "jobs took or may still take" in err
    assert not first.accepting_jobs
    assert submit(*CUT, "--max-qpu-seconds", "200", backend=session)[0] == 0
    assert len(server.accepted) == len(states(newest()))


def test_a_session_that_was_refused_counts_nothing(serve, submit):
    server = serve(ideal=True, plan="paid")
    session = f"ibm,device=ibm_loopback,{PLAIN},mode=session"
    server.faults.add("POST", r"^/sessions$", status=400, code=1352, message="no sessions")
    code, _, err = submit("--max-qpu-seconds", "60", backend=session)
    assert code == 2
    assert "this plan has no sessions" in err
    assert submit("--max-qpu-seconds", "60", backend=session)[0] == 0
    assert len(server.accepted) == 1


def test_a_lost_ledger_is_not_paid_again_without_a_word(loopback, submit):
    submit()
    (newest() / FILE).unlink()
    code, _, err = submit()
    assert code == 2
    assert "is lost" in err
    assert len(loopback.accepted) == 1
    assert submit("--again")[0] == 0
    assert len(loopback.accepted) == 2


def test_another_backend_does_not_pay_for_the_same_images_by_mistake(loopback, submit):
    loopback.faults.add("POST", r"^/jobs$", after=1, status=401)
    submit(*CUT)
    loopback.faults.clear()
    code, _, err = submit(*CUT, backend=f"ibm,device=ibm_loopback,{PLAIN}")
    assert code == 2
    assert "has posted some of these images" in err
    assert len(loopback.accepted) == 1


def test_another_instance_is_refused(loopback, submit, command):
    submit()
    with Ledger.write(newest()) as ledger:
        assert ledger.account is not None
        assert "crn" not in ledger.account
        ledger._connection.execute("update meta set value = 'other' where name = 'account'")
        ledger._connection.commit()
    loopback.wait_idle(60)
    for call in (submit, lambda: command("jobs", "collect", newest())):
        code, _, err = call()
        assert code == 2
        assert "Expected the account and instance that the jobs were posted under" in err


def test_options_that_stay_are_told(loopback, submit):
    submit()
    _, _, err = submit("--job-bytes", "5000")
    assert "--job-bytes: as when it was submitted" in err
    code, out, _ = submit("--dry-run")
    assert code == 0
    assert f"submitted already in {newest()}" in out


@pytest.mark.parametrize(
    ("arguments", "backend", "message"),
    [
        (("--again", "--repost"), f"ibm,{PLAIN}", "Expected either a new submission"),
        (("--again", "--retry-failed"), f"ibm,{PLAIN}", "Expected either a new submission"),
        ((), f"ibm,{PLAIN},max_qpu_seconds=9", "--max-qpu-seconds"),
        ((), "ibm_rehearsal,max_qpu_seconds=9", "--max-qpu-seconds"),
    ],
)
def test_options_that_contradict_each_other(loopback, submit, arguments, backend, message):
    code, _, err = submit(*arguments, backend=backend)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert message in err
    assert posts(loopback) == []


@contextmanager
def files_of_at_most(size):
    """No file may grow beyond a size, as where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 2_000, 30_000, 50_000])
def test_a_full_disk_is_one_line_and_posts_nothing_twice(loopback, submit, command, size):
    for give in (submit, lambda: command("jobs", "collect", newest())):
        with files_of_at_most(size):
            code, _, err = give()
        assert code in (0, 1)
        assert "Logging error" not in err
        assert err.count("hybridq: error:") == code
        if not folders():  # nothing is left of what was not written whole
            break
        assert (newest() / FILE).exists()
    assert submit("--wait", "60")[0] == 0
    assert states(newest()) == ["done"]
    assert len(loopback.accepted) == 1
