"""What is not known for certain: lost jobs, restored ledgers, late listings, what jobs cost."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from hybridq.errors import InvalidValueError
from hybridq.submissions.plan.plan import check_budget, share_budget
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.fetch import RESULT_TRIES, fetch_again, fetch_all, fetch_charges
from hybridq_backends.jobs.give_up import give_up
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.ledger.storage import FILE
from hybridq_backends.jobs.post import MOST_TRIES, post_all
from hybridq_backends.jobs.rate_limit import Pace
from hybridq_backends.jobs.reconcile import ended, look_up, lost
from hybridq_backends.jobs.service import JobState


def post(ledger, service, time, angles):
    return post_all(
        ledger,
        service,
        lambda chunk: (None, None, angles[chunk.start : chunk.stop]),
        clock=time.clock,
        pace=Pace(time.clock, None),
        settle_seconds=60.0,
        max_seconds_of=lambda _: 10,
    )


def look(ledger, service, time):
    assert look_up(ledger, service, clock=time.clock, settle_seconds=60.0) is None


def fetch(ledger, service, time, wait=100.0):
    return fetch_all(ledger, service, clock=time.clock, wait_seconds=wait)


def states(ledger):
    return [str(chunk.state) for chunk in ledger.chunks()]


@pytest.fixture
def posted(folder, service, time, angles):
    """The ledger, open, all chunks posted."""
    with Ledger.write(folder) as ledger:
        assert post(ledger, service, time, angles) is None
        yield ledger


def test_an_unknown_job_does_not_end_its_chunk_nor_hold_up_others(posted, service, time):
    service.jobs["job0"]["unknown"] = True
    error = fetch(posted, service, time)
    assert error is not None
    assert error.trouble is Trouble.REQUEST
    assert states(posted) == ["posted", "done", "done", "done"]
    assert posted.chunks()[0].reason == "404"
    assert ended(posted, service) == []
    del service.jobs["job0"]["unknown"]
    assert fetch(posted, service, time) is None
    assert states(posted) == ["done"] * 4
    assert posted.chunks()[0].reason is None


def test_a_job_that_stays_unknown_is_lost_and_told_when_asked_once(posted, service, time):
    service.jobs["job0"]["unknown"] = True
    error = fetch(posted, service, time, wait=0.0)
    assert error is not None
    assert [chunk.index for chunk in lost(posted, service)] == [0]


def test_a_job_behind_a_bad_answer_does_not_hold_up_others(posted, service, time):
    whole = service.report

    def report(job_id):
        if job_id in ("job0", "job1", "job2"):
            raise ServiceError("500", Trouble.NETWORK)
        return whole(job_id)

    service.report = report
    assert fetch(posted, service, time) is not None
    assert states(posted) == ["posted"] * 3 + ["done"]


def test_a_result_that_cannot_be_read_fails_alone_and_can_be_posted_anew(posted, service, time):
    service.jobs["job1"]["damaged"] = True
    assert fetch(posted, service, time) is None
    assert states(posted) == ["done", "failed", "done", "done"]
    assert [chunk.index for chunk in ended(posted, service)] == [1]


@pytest.mark.parametrize(
    ("state", "expected"),
    [(JobState.DONE, "done"), (JobState.RUNNING, "posted"), (JobState.QUEUED, "posted")],
)
def test_a_failed_chunk_whose_job_has_not_failed_is_not_posted_anew(
    posted, service, time, state, expected
):
    service.jobs["job2"]["state"] = JobState.FAILED
    fetch(posted, service, time)
    service.jobs["job2"]["state"] = state
    assert ended(posted, service) == []
    assert states(posted)[2] == expected


def test_a_restored_ledger_finds_what_was_posted_since(folder, service, time, angles, tmp_path):
    copy = tmp_path / "copy.sqlite"
    shutil.copy(folder / FILE, copy)
    with Ledger.write(folder) as ledger:
        post(ledger, service, time, angles)
        service.jobs["job1"] |= {"state": JobState.FAILED}
        fetch(ledger, service, time)
        for chunk in ended(ledger, service):
            ledger.begin_anew(chunk)
        post(ledger, service, time, angles)
        assert len(service.jobs) == 5
    shutil.copy(copy, folder / FILE)
    with Ledger.write(folder) as ledger:
        assert states(ledger) == ["planned"] * 4
        look(ledger, service, time)
        post(ledger, service, time, angles)
        assert fetch(ledger, service, time) is None
        assert len(service.jobs) == 5  # nothing was posted again
        assert states(ledger) == ["done"] * 4
        assert [chunk.attempt for chunk in ledger.chunks()] == [1, 2, 1, 1]
        fetch_charges(ledger, service)
        assert {job.job_id: job.qpu_seconds for job in ledger.jobs()} == dict.fromkeys(
            service.jobs, 3.5
        )


def test_a_job_of_an_earlier_attempt_that_turns_up_in_time_is_taken(folder, service, time, angles):
    service.lag = 600.0
    service.faults = ["dropped"]
    with Ledger.write(folder) as ledger:
        post(ledger, service, time, angles)
        assert states(ledger)[0] == "uncertain"
        ledger.begin_anew(ledger.chunks()[0])
        time.seconds += 600.0
        look(ledger, service, time)
        assert states(ledger) == ["posted"] * 4
        assert (ledger.chunks()[0].tag, ledger.chunks()[0].attempt) == ("test-0000-1", 2)
        assert len(service.jobs) == 4
        ledger.fail(ledger.chunks()[0], "calibration drifted")
        ledger.begin_anew(ledger.chunks()[0])
        assert ledger.chunks()[0].tag == "test-0000-3"  # no tag is used twice


def test_a_job_of_an_earlier_attempt_that_turns_up_late_counts_as_spent(
    folder, service, time, angles
):
    service.lag = 600.0
    service.faults = ["dropped"]
    with Ledger.write(folder) as ledger:
        post(ledger, service, time, angles)
        ledger.begin_anew(ledger.chunks()[0])
        post(ledger, service, time, angles)
        time.seconds += 600.0
        look(ledger, service, time)
        assert ledger.chunks()[0].tag == "test-0000-2"
        assert sorted(job.job_id for job in ledger.jobs()) == sorted(service.jobs)
        fetch(ledger, service, time)
        fetch_charges(ledger, service)
        assert ledger.spent({}) == 5 * 3.5


def test_what_was_spent_counts_jobs_in_doubt_and_not_yet_charged(folder, service, time, angles):
    with Ledger.write(folder) as ledger:
        service.faults = ["lost"]
        post(ledger, service, time, angles)
        assert ledger.spent({}) == 4 * 10  # all may still take what they were limited to
        service.jobs["job0"]["charge"] = None
        fetch(ledger, service, time)
        assert ledger.spent({}) == 2 * 10 + 2 * 3.5


def test_a_job_without_a_known_limit_counts_as_estimated(folder):
    with Ledger.write(folder) as ledger:
        ledger.note(ledger.chunks()[1], "other", "test-0001-7")
        assert ledger.spent({1: 4.0}) == 4.0


def test_a_batch_closed_at_the_last_try_is_told(folder, service, time, angles):
    service.faults = [ServiceError("reset", Trouble.NETWORK)] * (MOST_TRIES - 1)
    service.faults.append(ServiceError("closed", Trouble.CLOSED))
    with Ledger.write(folder) as ledger:
        error = post(ledger, service, time, angles)
        assert error is not None
        assert error.trouble is Trouble.CLOSED
        assert states(ledger) == ["planned"] * 4
        assert not service.jobs


@pytest.mark.parametrize("spent", [0.0, 37.5])
def test_shares_of_a_budget_never_pass_it(spent):
    rng = np.random.default_rng(0)
    for _ in range(200):
        seconds = rng.uniform(2, 50, rng.integers(1, 20))
        budget = spent + seconds.sum() * rng.uniform(1, 3) + len(seconds)
        try:
            caps = share_budget(seconds, 10_000, budget, spent=spent)
        except InvalidValueError:
            continue
        assert sum(caps) + spent <= budget
        assert (np.array(caps) >= seconds).all()


def test_a_budget_counts_what_was_spent():
    check_budget(50.0, None, budget=100.0, agreed=False, spent=49.0)
    with pytest.raises(InvalidValueError, match=r"51.0 that jobs took or may still take"):
        check_budget(50.0, None, budget=100.0, agreed=True, spent=51.0)


def test_a_doubt_is_counted_as_spent_after_it_was_posted_anew(folder, service, time, angles):
    with Ledger.write(folder) as ledger:
        service.faults = ["lost"]
        post(ledger, service, time, angles)
        assert ledger.spent({}) == 4 * 10
        ledger.begin_anew(ledger.chunks()[0])
        assert ledger.spent({}) == 4 * 10
        assert ledger.has_doubts()
        service.faults = [ServiceError("maintenance", Trouble.DEVICE)]
        post(ledger, service, time, angles)
        assert ledger.spent({}) == 4 * 10  # what was refused takes nothing
        post(ledger, service, time, angles)
        assert ledger.spent({}) == 5 * 10
        fetch(ledger, service, time)
        assert ledger.spent({}) == 10 + 4 * 3.5
        assert ledger.has_doubts()


def test_a_late_job_has_the_limit_that_it_was_posted_with(folder, service, time, angles):
    service.lag = 600.0
    service.faults = ["dropped"]
    with Ledger.write(folder) as ledger:
        post(ledger, service, time, angles)
        chunk = ledger.chunks()[0]
        ledger.begin_anew(chunk)
        ledger.intend(ledger.chunks()[0], max_seconds=77)
        time.seconds += 600.0
        look(ledger, service, time)
        limits = {job.tag: job.max_seconds for job in ledger.jobs()}
        assert limits[chunk.tag] == 10
        assert ledger.has_doubts()  # the second intent


def test_a_job_on_record_that_is_done_is_taken_before_one_is_posted_anew(
    folder, service, time, angles
):
    with Ledger.write(folder) as ledger:
        chunk = ledger.chunks()[0]
        ledger.intend(chunk)
        for _ in range(2):  # the client posted again on its own
            service.post((None, None, angles[0:3]), (chunk.tag, ledger.name))
        look(ledger, service, time)
        post(ledger, service, time, angles)
        service.jobs["job0"]["state"] = JobState.FAILED
        fetch(ledger, service, time)
        assert states(ledger) == ["failed", "done", "done", "done"]
        assert ended(ledger, service) == []
        assert states(ledger) == ["done"] * 4
        assert ledger.chunks()[0].job_id == "job1"


def accept_again(service, job_id, state, **more):
    """The service has accepted a job of that tag once more."""
    twin = f"{job_id}-again-{len(service.jobs)}"
    service.jobs[twin] = {**service.jobs[job_id], "state": state, **more}
    return twin


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_job_that_does_not_count_and_has_not_ended_is_cancelled(posted, service, time, state):
    service.jobs["job1"]["state"] = JobState.QUEUED
    twin = accept_again(service, "job1", state, charge=None)
    look(posted, service, time)
    assert service.jobs[twin]["state"] is JobState.CANCELLED
    assert service.jobs["job1"]["state"] is JobState.QUEUED
    assert states(posted) == ["posted"] * 4
    assert posted.chunks()[1].job_id == "job1"
    assert posted.spent({}) == 5 * 10  # it may have been charged up to its limit
    service.jobs[twin]["charge"] = 0.0
    look(posted, service, time)
    assert posted.spent({}) == 4 * 10


def test_a_job_that_does_not_count_and_ran_is_counted_as_charged(posted, service, time):
    assert fetch(posted, service, time) is None
    twin = accept_again(service, "job2", JobState.DONE, charge=7.25)
    look(posted, service, time)  # whatever the states: all are done
    assert states(posted) == ["done"] * 4
    assert service.jobs[twin]["state"] is JobState.DONE
    assert posted.spent({}) == 4 * 3.5 + 7.25


def test_jobs_are_looked_up_after_posting_though_none_is_in_doubt(
    folder, service, time, angles, caplog
):
    whole = service.post

    def twice(*arguments, **options):
        whole(*arguments, **options)
        return whole(*arguments, **options)

    service.post, service.end = twice, JobState.QUEUED
    with Ledger.write(folder) as ledger:
        assert post(ledger, service, time, angles) is None
        assert {job.job_id for job in ledger.jobs()} == set(service.jobs)
        assert len(service.jobs) == 8
        assert states(ledger) == ["posted"] * 4
        left = [name for name, job in service.jobs.items() if job["state"] is JobState.QUEUED]
        assert left == [chunk.job_id for chunk in ledger.chunks()]
    assert "was cancelled, since" in caplog.text


def test_a_job_that_cannot_be_cancelled_now_is_cancelled_later(posted, service, time, caplog):
    twin = accept_again(service, "job0", JobState.QUEUED, charge=None)
    cancel = service.cancel

    def fail(job_id):
        raise ServiceError("503", Trouble.NETWORK)

    service.cancel = fail
    look(posted, service, time)
    assert f"job {twin}, which does not count, may run: 503" in caplog.text
    assert posted.spent({}) == 5 * 10
    service.cancel = cancel
    look(posted, service, time)
    assert service.jobs[twin]["state"] is JobState.CANCELLED


def test_a_late_job_of_an_earlier_attempt_is_cancelled(folder, service, time, angles):
    service.lag = 600.0
    service.faults = ["dropped"]
    service.end = JobState.QUEUED
    with Ledger.write(folder) as ledger:
        post(ledger, service, time, angles)
        ledger.begin_anew(ledger.chunks()[0])
        post(ledger, service, time, angles)
        time.seconds += 600.0
        look(ledger, service, time)
        assert ledger.chunks()[0].tag == "test-0000-2"
        assert service.jobs["job0"]["state"] is JobState.CANCELLED
        assert [job["state"] for job in service.jobs.values()].count(JobState.QUEUED) == 4


@pytest.mark.parametrize("went_out", [False, True])
def test_an_interrupt_before_the_request_went_out_leaves_no_doubt(
    folder, service, time, angles, monkeypatch, went_out
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(service), "maybe_posted", went_out)
    service.post = interrupted
    with Ledger.write(folder) as ledger:
        with pytest.raises(KeyboardInterrupt):
            post(ledger, service, time, angles)
        assert states(ledger)[0] == ("posting" if went_out else "planned")
        assert ledger.has_doubts() is went_out


@pytest.mark.parametrize("trouble", [Trouble.REQUEST, Trouble.DEVICE, Trouble.ACCOUNT])
def test_what_fails_before_a_post_leaves_its_chunk_as_it_was(
    folder, service, time, angles, trouble
):
    service.ready_faults = [ServiceError("status: 404", trouble)]
    with Ledger.write(folder) as ledger:
        error = post(ledger, service, time, angles)
        assert error is not None
        assert error.trouble is trouble
        assert states(ledger) == ["planned"] * 4
        assert ledger.spent({}) == 0
        assert not ledger.has_doubts()


def test_a_bad_network_before_a_post_is_waited_out(folder, service, time, angles):
    service.ready_faults = [ServiceError("reset", Trouble.NETWORK)] * 2
    with Ledger.write(folder) as ledger:
        assert post(ledger, service, time, angles) is None
        assert len(service.jobs) == 4


def test_a_closed_session_is_not_opened_again_by_itself(folder, service, time, angles):
    service.session = "session"
    service.reopen = lambda: pytest.fail("a session costs while it is open")
    service.faults = [None, ServiceError("closed", Trouble.CLOSED)]
    with Ledger.write(folder) as ledger:
        error = post(ledger, service, time, angles)
        assert error is not None
        assert error.trouble is Trouble.CLOSED
        assert states(ledger) == ["posted", "planned", "planned", "planned"]


def test_sessions_count_whole_whatever_ran_in_them(folder, service, time, angles):
    with Ledger.write(folder) as ledger:
        number = ledger.begin_session(100)
        assert ledger.spent({}) == 100  # also if the process was killed before it knew the id
        ledger.opened_session(number, "abc")
        post(ledger, service, time, angles)
        assert ledger.spent({}) == 100
        assert ledger.open_sessions() == ["abc"]
        ledger.closed_session("abc")
        assert ledger.open_sessions() == []
        ledger.opened_session(ledger.begin_session(50), "def")
        assert ledger.spent({}) == 150


def test_a_status_that_was_bad_once_does_not_stay(posted, service, time):
    service.jobs["job0"] |= {"unknown": True, "state": JobState.QUEUED}
    fetch(posted, service, time, wait=0.0)
    assert posted.chunks()[0].reason == "404"
    del service.jobs["job0"]["unknown"]
    fetch(posted, service, time, wait=0.0)
    assert posted.chunks()[0].reason is None


DAY = 86_400.0


def test_what_is_not_listed_for_a_day_is_given_up_with_a_word(folder, service, time, angles):
    with Ledger.write(folder) as ledger:
        service.faults = ["lost"]
        post(ledger, service, time, angles)
        (doubt,) = ledger.doubts()
        assert ledger.spent({}) == 4 * 10
        assert give_up(ledger, now=doubt.posted_at + DAY - 1, after_seconds=DAY) == 0
        assert states(ledger)[0] == "uncertain"
        assert give_up(ledger, now=doubt.posted_at + DAY, after_seconds=DAY) == 1
        assert ledger.spent({}) == 3 * 10  # its limit is free again
        assert not ledger.has_doubts()
        chunk = ledger.chunks()[0]
        assert (str(chunk.state), chunk.tag) == ("planned", "test-0000-2")
        post(ledger, service, time, angles)
        assert states(ledger) == ["posted"] * 4
        assert len(set(service.tags())) == 4


def test_a_doubt_of_an_earlier_attempt_is_given_up_and_its_chunk_stays(
    folder, service, time, angles
):
    with Ledger.write(folder) as ledger:
        service.faults = ["lost"]
        post(ledger, service, time, angles)
        ledger.begin_anew(ledger.chunks()[0])
        post(ledger, service, time, angles)
        assert ledger.spent({}) == 5 * 10
        (doubt,) = ledger.doubts()
        assert give_up(ledger, now=doubt.posted_at + DAY, after_seconds=DAY) == 1
        assert states(ledger) == ["posted"] * 4
        assert ledger.spent({}) == 4 * 10


def test_a_job_that_was_given_up_and_turns_up_counts(folder, service, time, angles):
    with Ledger.write(folder) as ledger:
        service.lag = 1e9
        service.faults = ["dropped"]
        post(ledger, service, time, angles)
        give_up(ledger, now=ledger.doubts()[0].posted_at + DAY, after_seconds=DAY)
        assert states(ledger)[0] == "planned"
        service.lag = 0.0
        look(ledger, service, time)
        assert states(ledger) == ["posted"] * 4
        assert len(service.jobs) == 4


def test_a_result_that_is_garbage_once_is_asked_for_again(posted, service, time):
    whole, answers = service.result, ["garbage", "another chunk's"]

    def result(job_id):
        if not answers:
            return whole(job_id)
        if answers.pop(0) == "garbage":
            raise ServiceError("cannot be read", Trouble.RESULT)
        return whole("job0").__class__(np.ones((1, 2)), np.ones((1, 2)))

    service.result = result
    assert fetch(posted, service, time, wait=0.0) is None
    assert states(posted) == ["done"] * 4
    assert answers == []


def test_a_later_collect_asks_again_for_what_could_not_be_read(posted, service, time):
    service.jobs["job1"]["damaged"] = True
    service.jobs["job2"]["state"] = JobState.FAILED
    slept = len(time.slept)
    fetch(posted, service, time, wait=0.0)
    assert states(posted) == ["done", "failed", "failed", "done"]
    assert len(time.slept) == slept + RESULT_TRIES - 1
    assert fetch_again(posted, service, clock=time.clock) is None
    assert states(posted)[1:3] == ["failed", "failed"]
    del service.jobs["job1"]["damaged"]
    assert fetch_again(posted, service, clock=time.clock) is None
    assert states(posted) == ["done", "done", "failed", "done"]
