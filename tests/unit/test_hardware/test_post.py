from __future__ import annotations

import numpy as np
import pytest

from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.fetch import MOST_FAILURES, MOST_IN_A_ROW, fetch_all
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.post import MOST_DOUBTS, MOST_TRIES, post_all
from hybridq_backends.jobs.rate_limit import Clock, Pace
from hybridq_backends.jobs.reconcile import look_up, lost
from hybridq_backends.jobs.service import JobState


def post(folder, service, time, angles, *, per_minute=1000, settle=60.0):
    with Ledger.write(folder) as ledger:
        trouble = look_up(ledger, service, clock=time.clock, settle_seconds=settle)
        if trouble is not None:
            return trouble
        return post_all(
            ledger,
            service,
            lambda chunk: (None, None, angles[chunk.start : chunk.stop]),
            clock=time.clock,
            pace=Pace(time.clock, per_minute),
            settle_seconds=settle,
            max_seconds_of=lambda chunk: 100 + chunk.index,
        )


def fetch(folder, service, time, wait=1000.0):
    with Ledger.write(folder) as ledger:
        return fetch_all(ledger, service, clock=time.clock, wait_seconds=wait)


def states(folder):
    with Ledger.read(folder) as ledger:
        return [str(chunk.state) for chunk in ledger.chunks()]


def check_results(folder, angles):
    with Ledger.read(folder) as ledger:
        here, values, stds = ledger.results()
    assert here.all()
    np.testing.assert_array_equal(values, np.cos(angles))
    assert (stds == 0.01).all()


def network(maybe_accepted=False):
    return ServiceError("reset", Trouble.NETWORK, maybe_accepted=maybe_accepted)


def test_all_are_posted_once_and_fetched(folder, service, time, angles):
    assert post(folder, service, time, angles) is None
    assert len(service.jobs) == 4
    assert [job["max_seconds"] for job in service.jobs.values()] == [100, 101, 102, 103]
    assert post(folder, service, time, angles) is None  # nothing left to do
    assert len(service.jobs) == 4
    assert fetch(folder, service, time) is None
    check_results(folder, angles)


def test_a_dropped_answer_is_found_by_its_tag(folder, service, time, angles):
    service.faults = [None, "dropped"]
    assert post(folder, service, time, angles) is None
    assert states(folder) == ["posted"] * 4
    assert len(service.jobs) == 4
    fetch(folder, service, time)
    check_results(folder, angles)


def test_a_job_that_is_listed_late_is_waited_for(folder, service, time, angles):
    service.lag = 45.0
    service.faults = ["dropped"]
    assert post(folder, service, time, angles) is None
    assert 60.0 in time.slept
    assert states(folder) == ["posted"] * 4
    assert len(service.jobs) == 4


def test_what_cannot_be_known_stays_uncertain_until_it_turns_up(folder, service, time, angles):
    service.lag = 600.0
    service.faults = ["dropped"]
    assert post(folder, service, time, angles) is None
    assert states(folder) == ["uncertain", "posted", "posted", "posted"]
    assert post(folder, service, time, angles) is None  # posts nothing
    assert len(service.jobs) == 4
    time.seconds += 600.0
    with Ledger.write(folder) as ledger:
        assert look_up(ledger, service, clock=time.clock, settle_seconds=60.0) is None
    assert states(folder) == ["posted"] * 4
    fetch(folder, service, time)
    check_results(folder, angles)


def test_a_lost_post_is_reposted_only_when_the_user_says_so(folder, service, time, angles):
    service.faults = ["lost"]
    post(folder, service, time, angles)
    assert states(folder) == ["uncertain", "posted", "posted", "posted"]
    with Ledger.write(folder) as ledger:
        for chunk in lost(ledger, service):
            ledger.begin_anew(chunk)
    post(folder, service, time, angles)
    assert states(folder) == ["posted"] * 4
    assert sorted(service.tags()) == ["test-0000-2", "test-0001-1", "test-0002-1", "test-0003-1"]


def test_repost_takes_a_job_that_has_turned_up(folder, service, time, angles):
    service.lag = 600.0
    service.faults = ["dropped"]
    post(folder, service, time, angles)
    time.seconds += 1000.0
    with Ledger.write(folder) as ledger:
        look_up(ledger, service, clock=time.clock, settle_seconds=0.0)
        for chunk in lost(ledger, service):
            ledger.begin_anew(chunk)
    assert states(folder) == ["posted"] * 4
    assert len(service.jobs) == 4


def test_a_complete_listing_settles_a_doubt(folder, service, time, angles):
    service.is_local = True
    service.faults = ["lost"]
    post(folder, service, time, angles)
    assert states(folder)[0] == "planned"
    assert 60.0 not in time.slept
    post(folder, service, time, angles)
    assert states(folder) == ["posted"] * 4


def test_an_interrupted_intent_is_looked_up_first(folder, service, time, angles):
    with Ledger.write(folder) as ledger:
        one, other = ledger.chunks()[:2]
        ledger.intend(one)
        service.post((None, None, angles[0:3]), (one.tag, ledger.name))
        ledger.intend(other)  # killed before it was sent
    assert post(folder, service, time, angles) is None
    assert states(folder) == ["posted", "uncertain", "posted", "posted"]
    assert len(service.jobs) == 3


def test_three_lost_answers_in_a_row_stop_the_posting(folder, service, time, angles):
    service.faults = ["lost"] * 10
    error = post(folder, service, time, angles)
    assert error is not None
    assert error.trouble is Trouble.NETWORK
    assert states(folder) == ["uncertain"] * MOST_DOUBTS + ["planned"]


def test_the_rate_is_kept(folder, service, time, angles):
    service.per_minute = 2
    start = time.seconds
    assert post(folder, service, time, angles, per_minute=2) is None
    assert len(service.jobs) == 4
    assert time.seconds - start >= 60.0
    assert max(sum(1 for b in service.posts if a <= b < a + 60) for a in service.posts) <= 2


def test_a_rate_limit_of_others_is_waited_out(folder, service, time, angles):
    service.per_minute = 2
    assert post(folder, service, time, angles) is None
    assert states(folder) == ["posted"] * 4
    assert 30.0 in time.slept  # what Retry-After said


def test_a_rate_limit_without_retry_after_waits_a_minute(folder, service, time, angles):
    service.faults = [ServiceError("too many", Trouble.RATE)]
    assert post(folder, service, time, angles) is None
    assert time.slept == [60.0]


def test_a_refused_post_is_tried_again_and_then_given_up(folder, service, time, angles):
    service.faults = [network()] * MOST_TRIES
    error = post(folder, service, time, angles)
    assert error is not None
    assert states(folder) == ["planned"] * 4
    assert not service.jobs
    assert post(folder, service, time, angles) is None
    assert states(folder) == ["posted"] * 4


@pytest.mark.parametrize(
    "trouble", [Trouble.ACCOUNT, Trouble.QUOTA, Trouble.DEVICE, Trouble.NO_SESSIONS]
)
def test_what_does_not_pass_stops_at_once(folder, service, time, angles, trouble):
    service.faults = [None, ServiceError("no", trouble)]
    error = post(folder, service, time, angles)
    assert error is not None
    assert error.trouble is trouble
    assert states(folder) == ["posted", "planned", "planned", "planned"]
    assert time.slept == []


def test_a_closed_batch_is_opened_again_once(folder, service, time, angles):
    reopened = []
    service.reopen = lambda: reopened.append(True)
    closed = ServiceError("closed", Trouble.CLOSED)
    service.faults = [None, closed]
    assert post(folder, service, time, angles) is None
    assert states(folder) == ["posted"] * 4
    assert reopened == [True]


def test_a_wrong_request_fails_its_chunk_and_stops(folder, service, time, angles):
    service.faults = [ServiceError("bad circuit", Trouble.REQUEST)]
    assert post(folder, service, time, angles) is not None
    assert states(folder) == ["failed", "planned", "planned", "planned"]


def test_ctrl_c_leaves_the_ledger_true(folder, service, time, angles):
    whole = service.post

    def interrupted(pub, tags, **more):
        whole(pub, tags, **more)
        raise KeyboardInterrupt

    service.post = interrupted
    with pytest.raises(KeyboardInterrupt):
        post(folder, service, time, angles)
    assert states(folder) == ["posting", "planned", "planned", "planned"]
    service.post = whole
    assert post(folder, service, time, angles) is None
    assert states(folder) == ["posted"] * 4
    assert len(service.jobs) == 4


def test_several_jobs_of_one_tag_are_told(folder, service, time, angles):
    with Ledger.write(folder) as ledger:
        chunk = ledger.chunks()[0]
        ledger.intend(chunk)
        for _ in range(2):
            service.post((None, None, angles[0:3]), (chunk.tag, ledger.name))
        look_up(ledger, service, clock=time.clock, settle_seconds=0.0)
        chunk = ledger.chunks()[0]
        assert chunk.job_id == "job0"
        assert "several jobs" in (chunk.reason or "")


def test_polls_survive_a_bad_network_and_end_when_it_stays_bad(folder, service, time, angles):
    post(folder, service, time, angles)
    service.poll_faults = [network()] * (MOST_FAILURES - 1)
    assert fetch(folder, service, time) is None
    check_results(folder, angles)


def test_polls_stop_after_failures_in_a_row(folder, service, time, angles):
    post(folder, service, time, angles)
    service.poll_faults = [network()] * 100
    error = fetch(folder, service, time)
    assert error is not None
    assert len(service.poll_faults) == 100 - MOST_FAILURES * MOST_IN_A_ROW
    assert states(folder) == ["posted"] * 4


def test_polling_is_bounded_in_time_and_grows(folder, service, time, angles):
    service.end = JobState.QUEUED
    post(folder, service, time, angles)
    start = time.seconds
    assert fetch(folder, service, time, wait=300.0) is None
    assert time.seconds - start == pytest.approx(300.0)
    assert max(time.slept) == 30.0
    assert len(time.slept) < 25
    assert states(folder) == ["posted"] * 4


def test_partial_results_are_kept(folder, service, time, angles):
    post(folder, service, time, angles)
    service.jobs["job1"]["state"] = JobState.QUEUED
    service.jobs["job2"] |= {"state": JobState.FAILED, "reason": "Error code 1000"}
    service.jobs["job3"]["state"] = JobState.CANCELLED
    assert fetch(folder, service, time, wait=0.0) is None
    assert states(folder) == ["done", "posted", "failed", "cancelled"]
    with Ledger.read(folder) as ledger:
        assert ledger.chunks()[2].reason == "Error code 1000"
        assert ledger.results()[0].sum() == 3


def test_a_result_that_is_none_fails_its_chunk_alone(folder, service, time, angles):
    post(folder, service, time, angles)
    service.jobs["job1"]["angles"] = np.ones((5, 2))
    fetch(folder, service, time)
    assert states(folder) == ["done", "failed", "done", "done"]


FAULTS = (
    *(None, None, "dropped", "lost", network(), network(True)),
    ServiceError("429", Trouble.RATE, retry_after=7.0),
    ServiceError("429", Trouble.RATE),
    ServiceError("closed", Trouble.CLOSED),
    ServiceError("401", Trouble.ACCOUNT),
    ServiceError("quota", Trouble.QUOTA),
    ServiceError("maintenance", Trouble.DEVICE),
)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))]
)
def test_two_hundred_chunks_through_every_fault_at_random(tmp_path, service, time, seed):
    rng = np.random.default_rng(seed)
    angles = rng.normal(size=(400, 3))
    Ledger.create(tmp_path, [(2 * i, 2 * i + 2) for i in range(200)], name="soak")
    service.lag = 20.0
    service.per_minute = 5
    for _ in range(400):  # commands that a patient user gives
        service.faults = [FAULTS[i] for i in rng.integers(len(FAULTS), size=40)]
        post(tmp_path, service, time, angles, per_minute=5, settle=30.0)
        service.poll_faults = [network() if hit else None for hit in rng.random(200) < 0.1]
        fetch(tmp_path, service, time, wait=30.0)
        service.poll_faults = []
        if set(states(tmp_path)) <= {"done", "uncertain"}:
            break
    else:
        pytest.fail(f"not done after 400 commands: {states(tmp_path)}")
    with Ledger.write(tmp_path) as ledger:
        doubtful = ledger.chunks(ChunkState.UNCERTAIN)
        assert all(chunk.tag not in service.tags() for chunk in doubtful)  # truly lost
        for chunk in lost(ledger, service):
            ledger.begin_anew(chunk)
    service.faults = []
    post(tmp_path, service, time, angles, per_minute=5)
    fetch(tmp_path, service, time)
    check_results(tmp_path, angles)
    tags = service.tags()
    assert len(set(tags)) == len(tags) == 200
    assert max(sum(1 for b in service.posts if a <= b < a + 60) for a in service.posts) <= 5


def test_pace_counts_posts_of_an_earlier_process():
    slept = []
    pace = Pace(Clock(lambda: 100.0, slept.append), 5, earlier=[50.0, 60.0, 70.0, 80.0, 90.0])
    pace.wait()
    assert slept == [10.0]
