"""Runs of an opened backend as jobs: posted once, found again, within one budget."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives.containers.observables_array import ObservablesArray

from hybridq_backends import IbmRuntime
from hybridq_backends.errors import InvalidValueError, UnavailableError
from hybridq_backends.ibm.job_size import ProgramSize
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.queue import DOUBT_SECONDS, JobQueue, request_key
from hybridq_backends.jobs.service import JobState

SHOTS = 10_000  # 5.5 s a job by the quick estimate, 8.5 s with its margin


def pub(rows, count=2):
    angles = ParameterVector("t", count)  # of another identity in each process
    circuit = QuantumCircuit(1)
    for angle in angles:
        circuit.ry(angle, 0)
    return circuit, ObservablesArray([["Z"], ["X"]]), np.asarray(rows, dtype=float)


@pytest.fixture
def queue(service, time, tmp_path):
    """A function that opens the queue of a new process on the same folder."""
    opened = []

    def start(budget=1000.0, folder=tmp_path / "run", **options):
        folder.mkdir(exist_ok=True)
        for one in opened:
            one.close()
        spec = IbmRuntime(max_qpu_seconds=budget, **options)
        size = ProgramSize(circuits=1, shots_per_circuit=SHOTS, body_bytes=1000)
        made = JobQueue(service, spec, "ibm_x", lambda _: size, clock=time.clock)
        made.keep_in(folder)
        opened.append(made)
        return made

    yield start
    for one in opened:
        one.close()


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(4, 3, 2))


def check(queue, rows, place):
    np.testing.assert_array_equal(queue.values(pub(rows[place])).values, np.cos(rows[place]))


def test_each_run_is_one_job_with_a_tag_and_a_limit(queue, service, rows, tmp_path):
    one = queue()
    for place in range(4):
        check(one, rows, place)
    one.close()
    tags = service.tags()
    assert len(set(tags)) == len(tags) == 4
    assert {job["max_seconds"] for job in service.jobs.values()} == {9}
    with Ledger.read(tmp_path / "run") as ledger:
        assert [chunk.tag for chunk in ledger.chunks()] == tags
        assert [chunk.size for chunk in ledger.chunks()] == [3] * 4


def test_another_process_is_answered_by_the_jobs_that_were_posted(queue, service, rows):
    first = queue()
    for place in range(3):
        check(first, rows, place)
    second = queue()
    for place in (1, 2, 3):  # as from a checkpoint after the first
        check(second, rows, place)
    assert len(service.jobs) == 4


def test_the_same_rows_twice_are_two_draws(queue, service, rows):
    one = queue()
    for _ in range(2):
        check(one, rows, 0)
    assert len(service.jobs) == 2
    other = queue()
    for _ in range(3):
        check(other, rows, 0)
    assert len(service.jobs) == 3


def test_rows_of_any_number_and_several_circuits(queue, service):
    one = queue()
    for count in (1, 5, 2):
        table = np.linspace(0, 1, 2 * count).reshape(count, 2)
        check(one, [table], 0)
    assert request_key(pub([[1.0, 2.0]])) == request_key(pub([[1.0, 2.0]]))
    assert request_key(pub([[1.0, 2.0]])) != request_key(pub([[1.0, 2.5]]))
    assert request_key(pub([[1.0]], 1)) != request_key(pub([[1.0, 2.0]]))


@pytest.mark.parametrize("fault", ["dropped", "lost"])
def test_a_lost_answer_is_looked_up_and_posts_nothing_twice(queue, service, time, rows, fault):
    one = queue()
    service.faults = [fault]
    if fault == "dropped":  # accepted
        check(one, rows, 0)
        assert len(service.jobs) == 1
        return
    with pytest.raises(UnavailableError, match="give the same command again"):
        one.values(pub(rows[0]))
    with pytest.raises(UnavailableError, match="give the same command again"):
        queue().values(pub(rows[0]))
    assert service.jobs == {}
    time.seconds += DOUBT_SECONDS
    check(queue(), rows, 0)  # posted anew, under another tag
    assert service.tags()[0].endswith("-0000-2")


def test_a_job_that_is_listed_late_is_found(queue, service, time, rows):
    service.lag = 100.0
    service.faults = ["dropped"]
    with pytest.raises(UnavailableError):
        queue().values(pub(rows[0]))
    time.seconds += 101.0
    check(queue(), rows, 0)
    assert len(service.jobs) == 1


def test_what_may_have_been_posted_counts_in_the_budget(queue, service, time, rows):
    """A posting in doubt keeps its limit until it is known to be none."""
    service.faults = ["lost"]
    with pytest.raises(UnavailableError):
        queue(17.0).values(pub(rows[0]))
    time.seconds += DOUBT_SECONDS
    with pytest.raises(InvalidValueError, match="at most 26 QPU seconds in all"):
        queue(26.0).values(pub(rows[0]))
    check(queue(27.0), rows, 0)  # its own limit is twice as long now


def test_the_budget_is_what_jobs_were_charged_and_may_still_take(queue, service, rows, tmp_path):
    one = queue(15.9)  # each is charged 3.5
    check(one, rows, 0)
    check(one, rows, 1)
    with pytest.raises(InvalidValueError, match=r"one more of 9\.0 after 7\.0, of which 5\.5"):
        one.values(pub(rows[2]))
    with pytest.raises(InvalidValueError, match=r"after 7\.0"):  # nor in another process
        queue(15.9).values(pub(rows[3]))
    assert len(service.jobs) == 2
    check(queue(16.0), rows, 2)


def test_without_a_budget_a_minute_is_free(queue, service, rows):
    for job in range(15):  # 14 charged 3.5, and the limit of one more
        queue(None).values(pub(rows[0] + job))
    with pytest.raises(InvalidValueError, match="at most 60 QPU seconds"):
        queue(None).values(pub(rows[1]))
    assert len(service.jobs) == 15


def test_a_job_that_fails_is_told_and_posted_anew_when_asked_again(queue, service, rows):
    service.end = JobState.FAILED
    with pytest.raises(ServiceError, match="posts it anew") as caught:
        queue().values(pub(rows[0]))
    assert caught.value.trouble is Trouble.REQUEST
    service.end = JobState.DONE
    check(queue(), rows, 0)
    assert service.tags()[-1].endswith("-0000-2")


def test_what_was_planned_and_not_posted_waits_until_it_is_asked_for(queue, service, time, rows):
    service.ready_faults = [ServiceError("down", Trouble.ACCOUNT)]
    with pytest.raises(ServiceError, match="down"):
        queue().values(pub(rows[0]))
    one = queue()
    check(one, rows, 1)
    assert len(service.jobs) == 1
    check(one, rows, 0)
    assert len(service.jobs) == 2


def test_posts_keep_the_pace_that_the_service_allows(queue, service, time, rows):
    service.per_minute = 5
    one = queue()
    for place in range(12):
        check(one, [rows[0] + place], 0)
    assert len(service.jobs) == 12
    assert all(sum(at - 60 < other <= at for other in service.posts) <= 5 for at in service.posts)


def test_a_second_process_on_the_same_run_is_refused(queue, service, time, rows, tmp_path):
    one = queue()
    check(one, rows, 0)
    spec = IbmRuntime(max_qpu_seconds=100)
    other = JobQueue(service, spec, "ibm_x", one._size_of, clock=time.clock)
    other.keep_in(tmp_path / "run")
    with pytest.raises(InvalidValueError, match="has jobs of a run in"):
        other.values(pub(rows[0]))


def test_without_a_folder_it_runs_all_the_same(service, time, rows):
    size = ProgramSize(circuits=1, shots_per_circuit=SHOTS, body_bytes=1000)
    one = JobQueue(service, IbmRuntime(), "ibm_x", lambda _: size, clock=time.clock)
    check(one, rows, 0)
    with pytest.raises(InvalidValueError, match="before the first job"):
        one.keep_in(None)
    one.close()


def test_asking_again_in_the_same_process_is_the_same_job(queue, service, time, rows):
    """After an error, or Ctrl-C while it waits; also where the listing lags."""
    service.lag = 100.0
    service.faults = ["dropped"]
    one = queue()
    with pytest.raises(UnavailableError, match="870 s later"):
        one.values(pub(rows[0]))
    time.seconds += 40.0
    with pytest.raises(UnavailableError):
        one.values(pub(rows[0]))
    time.seconds += 40.0
    check(one, rows, 0)
    service.poll_faults = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        one.values(pub(rows[1]))
    check(one, rows, 1)
    assert len(service.jobs) == 2


def test_a_start_that_failed_is_made_whole_before_anything_is_posted(queue, service, time, rows):
    """A process that was killed after its job was accepted; then the network is down at first."""
    service.faults = ["dropped"]
    service.lag = 3600.0
    with pytest.raises(UnavailableError):
        queue().values(pub(rows[0]))
    time.seconds += 3600.0
    one = queue()
    service.poll_faults = [ServiceError("down", Trouble.NETWORK)] * 2
    with pytest.raises(ServiceError, match="down"):
        one.values(pub(rows[0]))
    service.poll_faults = []
    check(one, rows, 0)
    assert len(service.jobs) == 1


def test_a_failed_job_that_has_a_result_after_all_is_not_paid_again(queue, service, rows):
    one = queue()
    original, damaged = service.result, [True]

    def result(job_id):
        if damaged:
            raise ServiceError("cannot be read", Trouble.RESULT)
        return original(job_id)

    service.result = result
    with pytest.raises(ServiceError, match="posts it anew"):
        one.values(pub(rows[0]))
    damaged.clear()
    check(queue(), rows, 0)
    assert len(service.jobs) == 1


def test_a_job_that_the_service_has_lost_is_posted_anew_in_time(queue, service, time, rows):
    service.end = JobState.RUNNING
    service.poll_faults = [None, None, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        queue().values(pub(rows[0]))
    (job,) = service.jobs.values()
    job["unknown"] = True
    service.end = JobState.DONE
    with pytest.raises(ServiceError, match="404"):
        queue().values(pub(rows[0]))
    time.seconds += DOUBT_SECONDS
    check(queue(), rows, 0)
    assert len(service.jobs) == 2


def test_other_settings_are_not_answered_by_earlier_jobs(queue, service, rows):
    check(queue(), rows, 0)
    for changes in ({"shots": 64}, {"resilience_level": 2}, {"seed": 1}):
        with pytest.raises(InvalidValueError, match=next(iter(changes))):
            queue(**changes)
    check(queue(500.0, max_execution_time=900, mode="job"), rows, 0)
    assert len(service.jobs) == 1


def test_a_limit_grows_with_each_attempt_up_to_the_backends(queue, service, rows):
    service.end = JobState.FAILED
    for _ in range(4):
        with pytest.raises(ServiceError):
            queue(max_execution_time=30).values(pub(rows[0]))
    assert [job["max_seconds"] for job in service.jobs.values()] == [9, 18, 30, 30]
    with pytest.raises(InvalidValueError, match="max_execution_time of at least 6 s"):
        queue(max_execution_time=5).values(pub(rows[1]))


def test_a_session_costs_its_whole_time_once(queue, service, rows, tmp_path):
    """Another process has nothing left of the budget, and says so before it opens one."""
    opened = []

    def ready():
        if service.session is None:
            service.session = f"session{len(opened)}"
            opened.append(service.session_seconds)

    service.ready = ready
    one = queue(100.0, mode="session")
    check(one, rows, 0)
    check(one, rows, 1)
    one.close()
    service.session = None
    with pytest.raises(InvalidValueError, match=r"one more of 9\.0 after 100\.0"):
        queue(100.0, mode="session").values(pub(rows[2]))
    check(queue(150.0, mode="session"), rows, 2)
    assert opened == [100, 50]


def test_what_cannot_be_a_job_is_refused(queue, service, tmp_path):
    one = queue(folder=tmp_path / "new")
    with pytest.raises(InvalidValueError, match="at least one row"):
        one.values(pub(np.zeros((0, 2))))
    assert not list((tmp_path / "new").iterdir())
    bare = pub(np.zeros((3, 0)), 1)
    assert request_key(bare) != request_key(pub(np.zeros((5, 0)), 1))
