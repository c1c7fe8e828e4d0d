"""Jobs through IBM's own client against the loopback server: what goes out, what errors mean."""

from __future__ import annotations

import re
import ssl
import threading
import time
import traceback
import warnings

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.executor_estimator import Estimator
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from hybridq_backends import IbmRuntime, open_backend
from hybridq_backends.ibm.account import find_device
from hybridq_backends.ibm.door import MOST_LEFT
from hybridq_backends.ibm.timed_requests import watch
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.opening import open_jobs
from hybridq_backends.jobs.runtime import RuntimeJobs
from hybridq_backends.jobs.service import JobState
from tests.loopback.accounts import CRN

NAME = "ibm_loopback"
OTHER = CRN.replace("instance-of-tests", "another-instance")


def spec(**options):
    return IbmRuntime(device=NAME, resilience_level=0, shots=256, **options)


def pub():
    """RY(0) of one qubit, whose Z is 1."""
    circuit = QuantumCircuit(1)
    circuit.rz(Parameter("a"), 0)
    return circuit, [["Z"]], np.zeros((2, 1))


def refusal(call):
    with pytest.raises(ServiceError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value


def posts(server, path="/jobs"):
    return [r for r in server.requests if (r.method, r.path) == ("POST", path)]


def left_behind(before):
    return [one for one in threading.enumerate() if one not in before and one.is_alive()]


@pytest.fixture
def jobs(loopback):
    return RuntimeJobs(spec(), answer_seconds=20.0)


def test_an_unknown_device_is_no_trouble_of_the_network(loopback):
    unknown = IbmRuntime(device="ibm_nowhere")
    for call in (
        lambda: find_device(unknown),
        lambda: RuntimeJobs(unknown).post(pub(), ("t-0-1",)),
    ):
        error = refusal(call)
        assert error.trouble is Trouble.DEVICE
        assert not error.maybe_accepted
        assert f"one of the account's devices ({NAME}), got 'ibm_nowhere'" in str(error)


def test_jobs_of_a_device_that_is_no_longer_offered_are_still_there(loopback):
    job_id = RuntimeJobs(IbmRuntime(mode="job")).post(pub(), ("t-0-1", "t"))
    loopback.wait_idle(60)
    later = RuntimeJobs(IbmRuntime(device="ibm_nowhere"))
    assert [job.job_id for job in later.find("t")] == [job_id]
    assert later.report(job_id).state is JobState.DONE
    assert later.result(job_id).values.shape[1] == 1


def test_a_device_that_the_account_may_not_use(loopback):
    loopback.faults.add("GET", "/configuration$", status=403, times=9)
    assert refusal(lambda: find_device(spec())).trouble is Trouble.DEVICE


def test_a_device_that_could_not_be_looked_up_once_is_found(loopback):
    loopback.faults.add("GET", "/configuration$", status=400)
    assert find_device(spec()).name == NAME


def test_a_listing_that_fails_is_not_taken_for_an_empty_one(loopback):
    """The client hides why it lists no devices."""
    loopback.faults.add("GET", "^/backends$", status=401, times=9)
    loopback.faults.add("GET", "/usage$", status=401)
    assert refusal(lambda: find_device(spec())).trouble is Trouble.ACCOUNT


@pytest.mark.parametrize("what", ["key", "instance", "account"])
def test_troubles_of_the_account(loopback, monkeypatch, tmp_path, what):
    options = {}
    if what == "key":
        monkeypatch.setenv("QISKIT_IBM_TOKEN", "a-wrong-api-key")
    elif what == "instance":
        monkeypatch.setenv("QISKIT_IBM_INSTANCE", OTHER)
    else:
        monkeypatch.delenv("QISKIT_IBM_TOKEN")
        options = {"service_options": {"filename": str(tmp_path / "none.json")}}
    for call in (
        lambda: find_device(spec(**options)),
        lambda: RuntimeJobs(spec(**options)).seconds_left(),
    ):
        error = refusal(call)
        assert error.trouble is Trouble.ACCOUNT
        assert "a-wrong-api-key" not in "".join(traceback.format_exception(error))


def test_a_job_that_ends_while_it_is_cancelled_stays_as_it_is(loopback, jobs, monkeypatch):
    job_id = jobs.post(pub(), ("t-0000-1",))
    loopback.wait_idle()
    # as it was a moment ago
    monkeypatch.setattr(jobs, "report", lambda _: type("Report", (), {"state": JobState.QUEUED}))
    jobs.cancel(job_id)
    assert [r.status for r in posts(loopback, f"/jobs/{job_id}/cancel")] == [409]
    assert loopback.accepted[0].state == "Completed"


def test_reasons_of_a_job_that_ran_too_long(loopback, jobs):
    loopback.faults.fail_job(reason="Ran too long", code=1305, status="Cancelled - Ran too long")
    job_id = jobs.post(pub(), ("t-0000-1",))
    loopback.wait_idle()
    report = jobs.report(job_id)
    assert report.state is JobState.FAILED
    error = refusal(lambda: jobs.result(job_id))
    assert error.trouble is Trouble.REQUEST


@pytest.mark.parametrize("error", [ValueError, TypeError, MemoryError, RecursionError])
@pytest.mark.parametrize("where", ["prepare", "encode"])
def test_our_own_errors_before_a_post_are_certain_refusals(
    loopback, jobs, monkeypatch, where, error
):
    def fail(*_, **__):
        raise error("of our own")

    if where == "prepare":
        monkeypatch.setattr(Estimator, "run", fail)
    else:  # in the client's own writing of the body, after all of its other requests
        monkeypatch.setattr("qiskit_ibm_runtime.api.rest.runtime.RuntimeEncoder", fail)
        jobs = RuntimeJobs(spec(mode="job"), answer_seconds=20.0)
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert found.trouble is Trouble.REQUEST
    assert not found.maybe_accepted
    assert posts(loopback) == []


def test_options_that_the_client_refuses_are_certain_refusals(loopback, jobs):
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",), max_seconds="soon"))
    assert found.trouble is Trouble.REQUEST
    assert not found.maybe_accepted


def test_our_own_errors_after_a_post_leave_it_open(loopback, jobs):
    loopback.faults.add("POST", "^/jobs$", accept=True, body={"no": "id"})
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert found.trouble is Trouble.NETWORK
    assert found.maybe_accepted
    assert len(loopback.accepted) == 1


def test_a_post_whose_connection_breaks_is_not_repeated(loopback, jobs, monkeypatch):
    """IBM's client posts again on its own where TLS breaks while the reply is read."""
    answered = HTTPConnection.getresponse
    broken = []

    def getresponse(self):
        reply = answered(self)
        if loopback.accepted and not broken:
            broken.append(self)
            self.close()
            raise ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
        return reply

    monkeypatch.setattr(HTTPConnection, "getresponse", getresponse)
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert [r.status for r in posts(loopback)] == [200]
    assert found.trouble is Trouble.NETWORK
    assert found.maybe_accepted
    assert len(loopback.accepted) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 521, 522, 524])
def test_a_post_goes_out_once_whatever_the_service_answers(loopback, jobs, status):
    loopback.faults.add("POST", "^/jobs$", times=9, status=status, accept=True)
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert found.trouble is Trouble.NETWORK
    assert found.maybe_accepted
    assert len(posts(loopback)) == len(loopback.accepted) == 1


def test_a_redirected_post_is_not_posted_again(loopback, jobs):
    loopback.faults.add(
        "POST", "^/jobs$", status=307, accept=True, headers={"Location": f"{loopback.url}/jobs"}
    )
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert found.maybe_accepted
    assert len(loopback.accepted) == 1


@pytest.mark.parametrize("mode", ["batch", "session"])
def test_a_session_is_asked_for_once(serve, mode):
    server = serve(ideal=True, plan="paid")
    server.faults.add("POST", "^/sessions$", status=503, accept=True)
    found = refusal(RuntimeJobs(spec(mode=mode)).ready)
    assert found.maybe_accepted
    assert len(posts(server, "/sessions")) == len(server.sessions) == 1


def test_what_only_asks_or_ends_is_repeated(loopback, jobs):
    loopback.hold()
    job_id = jobs.post(pub(), ("t-0000-1",))
    loopback.faults.add("GET", "^/jobs", status=503)
    loopback.faults.add("POST", "/cancel$", status=503)
    jobs.cancel(job_id)
    assert loopback.accepted[0].state == "Cancelled"


def test_a_connection_that_was_refused_has_sent_nothing(loopback, jobs, monkeypatch):
    send = HTTPAdapter.send

    def send_astray(self, request, **options):
        if request.method == "POST" and request.url.endswith("/jobs"):
            request.url = "http://127.0.0.1:9/jobs"  # nobody listens
        return send(self, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", send_astray)
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert found.trouble is Trouble.NETWORK
    assert not found.maybe_accepted


@pytest.mark.parametrize("sent", [False, True])
def test_an_interrupted_post_knows_whether_it_went_out(loopback, jobs, monkeypatch, sent):
    jobs.ready()
    join = threading.Thread.join

    def interrupt(self, timeout=None):
        if type(self).__name__ != "Errand":
            return join(self, timeout)
        monkeypatch.setattr(threading.Thread, "join", join)
        while sent and not loopback.accepted:
            time.sleep(0.01)
        raise KeyboardInterrupt

    if not sent:
        loopback.faults.add("GET", "/usage$", hang=0.5)  # which the client asks before it posts
    monkeypatch.setattr(threading.Thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        jobs.post(pub(), ("t-0000-1",))
    assert jobs.maybe_posted is sent


@pytest.mark.parametrize("status", [400, 404])
def test_a_refusal_after_a_post_was_accepted_is_none_of_the_job(
    loopback, jobs, monkeypatch, status
):
    run = Estimator.run

    def run_and_ask(self, pubs):
        job = run(self, pubs)
        job.status()
        return job

    monkeypatch.setattr(Estimator, "run", run_and_ask)
    loopback.faults.add("GET", "^/jobs/", status=status)
    found = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert len(loopback.accepted) == 1
    assert found.trouble is Trouble.NETWORK
    assert found.maybe_accepted


@pytest.mark.parametrize("status", [400, 409, 429])
def test_a_post_that_was_refused_is_certain(loopback, jobs, status):
    loopback.faults.add("POST", "^/jobs$", status=status)
    assert not refusal(lambda: jobs.post(pub(), ("t-0000-1",))).maybe_accepted


@pytest.mark.parametrize("status", [400, 501])
def test_what_fails_before_a_post_is_a_certain_refusal(loopback, jobs, status):
    jobs.post(pub(), ("t-0000-1",))
    loopback.faults.add("GET", "/usage$", status=status)
    found = refusal(lambda: jobs.post(pub(), ("t-0001-1",)))
    assert found.trouble is Trouble.NETWORK
    assert not found.maybe_accepted
    assert len(posts(loopback)) == 1


def test_a_client_whose_connections_cannot_be_watched_posts_nothing(loopback, jobs, monkeypatch):
    with open_backend(spec(mode="job")) as executable:
        circuit, _, angles = pub()
        prepared = executable.prepare(circuit, ["Z"])
        monkeypatch.setattr("hybridq_backends.ibm.account.watch", lambda _: watch(object()))
        for post in (
            lambda: jobs.post(pub(), ("t-0000-1",)),
            lambda: executable.run(prepared, angles),
        ):
            found = refusal(post)
            assert not found.maybe_accepted
            assert "might post a job again on its own" in str(found)
    assert posts(loopback) == posts(loopback, "/sessions") == []


def test_a_post_that_hangs_may_have_been_accepted(loopback):
    jobs = RuntimeJobs(spec(), answer_seconds=20.0)
    jobs.post(pub(), ("t-0000-1",))
    jobs._door.answer_seconds = 0.5
    loopback.faults.add("POST", "^/jobs$", hang=60.0)
    start = time.monotonic()
    error = refusal(lambda: jobs.post(pub(), ("t-0001-1",)))
    assert time.monotonic() - start < 5
    assert error.trouble is Trouble.NETWORK
    assert error.maybe_accepted
    assert "0.5 s" in str(error)


def test_a_get_that_hangs_is_trouble_of_the_network(loopback, jobs):
    job_id = jobs.post(pub(), ("t-0000-1",))
    loopback.wait_idle()
    jobs._door.answer_seconds = 0.5
    for call in (
        lambda: jobs.find("t-0000-1"),
        lambda: jobs.report(job_id),
        lambda: jobs.seconds_left(),
    ):
        loopback.faults.add("GET", "^/jobs|/usage$", hang=60.0)
        error = refusal(call)
        assert error.trouble is Trouble.NETWORK
        assert not error.maybe_accepted


def test_nothing_is_posted_after_the_time_out_was_reported(loopback, jobs):
    jobs.post(pub(), ("t-0000-1",))
    jobs._door.answer_seconds = 0.5
    loopback.faults.add("GET", "/usage$", hang=1.5)  # which the client asks before it posts
    before = threading.enumerate()
    error = refusal(lambda: jobs.post(pub(), ("t-0001-1",)))
    assert error.trouble is Trouble.NETWORK
    assert not error.maybe_accepted
    for errand in left_behind(before):
        errand.join(10.0)
    assert len(posts(loopback)) == 1


def test_a_request_that_hangs_leaves_warnings_as_they_were(loopback, jobs):
    jobs.post(pub(), ("t-0000-1",))
    jobs._door.answer_seconds = 0.3
    loopback.faults.add("GET", "/usage$", hang=1.0)
    before = list(warnings.filters)
    refusal(jobs.seconds_left)
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)


def test_requests_that_hang_are_bounded(loopback, jobs):
    jobs.post(pub(), ("t-0000-1",))
    loopback.wait_idle()
    jobs._door.answer_seconds = 0.05
    loopback.faults.add("GET", "/usage$", hang=60.0, times=99)
    before = threading.enumerate()
    for _ in range(MOST_LEFT + 3):
        error = refusal(jobs.seconds_left)
        assert error.trouble is Trouble.NETWORK
    errands = [one for one in left_behind(before) if "Errand" in type(one).__name__]
    assert len(errands) == MOST_LEFT
    assert f"none to {MOST_LEFT} requests" in str(error)


RESULTS = {
    "no JSON": "<html>",
    "cut": '{"schema_version": "v2.0", "data": [{"results"',
    "no version": {"data": []},
    "an unknown version": {"schema_version": "v9.9"},
    "wrong types": {"schema_version": "v2.0", "data": 3},
    "a number": "3",
    "nothing in it": {"schema_version": "v2.0", "data": [], "metadata": {}},
    "empty": "",
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_cannot_be_read_is_no_failed_request(loopback, jobs, name):
    job_id = jobs.post(pub(), ("t-0000-1",))
    loopback.wait_idle()
    loopback.faults.add("GET", "/results$", body=RESULTS[name])
    error = refusal(lambda: jobs.result(job_id))
    assert error.trouble is Trouble.RESULT
    assert not error.trouble.passes
    # nothing of it is kept
    np.testing.assert_allclose(jobs.result(job_id).values, 1.0)


def test_a_result_that_does_not_come_may_come_later(loopback, jobs):
    job_id = jobs.post(pub(), ("t-0000-1",))
    loopback.wait_idle()
    loopback.faults.add("GET", "/results$", status=501)
    error = refusal(lambda: jobs.result(job_id))
    assert error.trouble is Trouble.NETWORK
    loopback.faults.clear()
    assert jobs.result(job_id).values.shape == (2, 1)


@pytest.mark.parametrize(("mode", "asked"), [("session", 90), ("session", None), ("batch", 90)])
def test_a_session_has_a_longest_time(serve, tmp_path, mode, asked):
    server = serve(ideal=True, plan="paid")
    jobs = open_jobs(spec(mode=mode), tmp_path)
    jobs.session_seconds = asked
    jobs.post(pub(), ("t-0000-1",))
    (opened,) = server.sessions.values()
    assert opened.max_ttl == (asked if mode == "session" else None)


def test_the_instance_of_the_device_is_asked(loopback, monkeypatch):
    """The client asks the instance that it used last."""
    loopback.account.crns.append(OTHER)
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    device = QiskitRuntimeService().backend(NAME)
    jobs = RuntimeJobs(spec(), device)
    job_id = jobs.post(pub(), ("t-0000-1",))
    (posted,) = posts(loopback)
    assert posted.instance == CRN
    for call in (
        lambda: jobs.report(job_id),
        jobs.seconds_left,
        lambda: jobs.find("t-0000-1"),
    ):
        device.service.jobs(limit=1, instance=OTHER)
        assert device.service.active_instance() == OTHER
        del loopback.requests[:]
        call()
        asked = [r.instance for r in loopback.requests if r.path != "/backends"]
        assert set(asked) == {CRN}


def test_a_listing_is_read_page_by_page(loopback, jobs, monkeypatch):
    monkeypatch.setattr("hybridq_backends.jobs.runtime.PAGE", 2)
    posted = [jobs.post(pub(), (f"t-{number:04}-1", "t")) for number in range(5)]
    jobs.post(pub(), ("u-0000-1", "u"))
    del loopback.requests[:]
    found = jobs.find("t")
    assert [job.job_id for job in found] == posted
    assert found[1].tags == ("t-0001-1", "t")
    listed = [r for r in loopback.requests if r.path == "/jobs"]
    assert [r.query.get("offset", ["0"]) for r in listed] == [["0"], ["2"], ["4"], ["5"]]


def test_a_listing_ends_where_its_count_is_wrong(loopback, jobs):
    """The client asks on until it has as many jobs as the service counts."""
    job_id = jobs.post(pub(), ("t-0000-1",))
    described = loopback.accepted[0].describe(with_params=False)
    loopback.faults.add("GET", "^/jobs$", body={"jobs": [described, described], "count": 9})
    loopback.faults.add("GET", "^/jobs$", body={"jobs": [], "count": 9}, times=99)
    assert [job.job_id for job in jobs.find("t-0000-1")] == [job_id]


def test_a_listing_that_does_not_end_is_not_taken_for_a_whole_one(loopback, jobs, monkeypatch):
    monkeypatch.setattr("hybridq_backends.jobs.runtime.MOST_PAGES", 3)
    jobs.post(pub(), ("t-0000-1",))
    described = loopback.accepted[0].describe(with_params=False)
    loopback.faults.add("GET", "^/jobs$", body={"jobs": [described], "count": 1}, times=99)
    error = refusal(lambda: jobs.find("t-0000-1"))
    assert error.trouble is Trouble.NETWORK
    assert "at most 3 pages" in str(error)


def test_a_listing_that_was_given_up_asks_no_more(loopback, jobs, monkeypatch):
    monkeypatch.setattr("hybridq_backends.jobs.runtime.PAGE", 1)
    jobs = RuntimeJobs(spec(mode="job"), answer_seconds=20.0)
    jobs.find("t")
    for number in range(3):
        jobs.post(pub(), (f"t-{number:04}-1", "t"))
    jobs._door.answer_seconds = 0.3
    loopback.faults.add("GET", "^/jobs$", hang=0.8)
    del loopback.requests[:]
    before = threading.enumerate()
    refusal(lambda: jobs.find("t"))
    for errand in left_behind(before):
        errand.join(10.0)
    assert len([r for r in loopback.requests if r.path == "/jobs"]) == 1


@pytest.mark.parametrize("device", [None, "ibm_nowhere"])
def test_without_a_device_every_instance_is_looked_in(loopback, monkeypatch, device):
    job_id = RuntimeJobs(spec(mode="job")).post(pub(), ("t-0000-1",))
    loopback.account.crns.append(OTHER)
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    later = RuntimeJobs(IbmRuntime(device=device))
    del loopback.requests[:]
    assert [job.job_id for job in later.find("t-0000-1")] == [job_id]
    assert {r.instance for r in loopback.requests if r.path == "/jobs"} == {CRN, OTHER}
    loopback.faults.add("GET", "^/jobs$", after=2, status=403)  # not taken for an empty one
    assert refusal(lambda: later.find("t-0000-1")).trouble is Trouble.ACCOUNT


def test_time_is_left_in_the_instance_of_the_device(loopback, monkeypatch, tmp_path):
    loopback.account.crns.append(OTHER)
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    device = find_device(IbmRuntime())
    for jobs in (
        RuntimeJobs(IbmRuntime()),
        open_jobs(IbmRuntime(), tmp_path, device),
    ):
        del loopback.requests[:]
        jobs.seconds_left()
        asked = {r.instance for r in loopback.requests if r.path.endswith("/usage")}
        assert asked == {device._instance} == {CRN}


@pytest.mark.parametrize(("given", "wait"), [("7", 7.0), ("86400", 600.0), ("soon", None)])
def test_a_reply_may_not_ask_for_any_wait(loopback, jobs, given, wait):
    loopback.faults.add("POST", "^/jobs$", status=429, headers={"Retry-After": given})
    error = refusal(lambda: jobs.post(pub(), ("t-0000-1",)))
    assert error.trouble is Trouble.RATE
    assert error.retry_after == wait


def test_what_jobs_are_posted_to_is_opened_beforehand(serve):
    server = serve(ideal=True, plan="paid")
    jobs = RuntimeJobs(spec(mode="session"))
    assert jobs.session_id is None
    jobs.ready()
    (opened,) = server.sessions
    assert jobs.session_id == opened
    assert posts(server) == []
    for _ in range(2):
        jobs.post(pub(), ("t-0000-1",))
    assert {job.session_id for job in server.accepted} == {opened}
    server.operational = False
    assert refusal(jobs.ready).trouble is Trouble.DEVICE


@pytest.mark.parametrize("mode", ["batch", "job"])
def test_only_a_session_has_an_id(loopback, mode):
    jobs = RuntimeJobs(spec(mode=mode))
    jobs.ready()
    assert jobs.session_id is None
    assert len(loopback.sessions) == (mode == "batch")


def test_an_earlier_session_is_closed_by_its_id(serve):
    server = serve(ideal=True, plan="paid")
    first = RuntimeJobs(spec(mode="session"))
    first.ready()
    later = RuntimeJobs(spec(mode="session"))
    for _ in range(2):  # one that has ended stays so
        later.close(first.session_id)
        assert server.sessions[first.session_id].closed
    assert len([r for r in server.requests if r.method == "PATCH"]) == 1
    error = refusal(lambda: later.close("no-such-session"))
    assert error.trouble is Trouble.REQUEST


def test_an_instance_is_told_from_others_without_its_name(loopback, monkeypatch, tmp_path):
    found = RuntimeJobs(spec()).account()
    assert re.fullmatch("[0-9a-f]{16}", found)
    assert RuntimeJobs(IbmRuntime()).account() == found
    loopback.account.crns.append(OTHER)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", OTHER)
    other = RuntimeJobs(spec()).account()
    assert other not in (None, found)
    assert RuntimeJobs(IbmRuntime()).account() == other
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    assert open_jobs(IbmRuntime(), tmp_path, find_device(IbmRuntime())).account() == found
    assert RuntimeJobs(IbmRuntime(device="ibm_nowhere")).account() is None
    assert open_jobs(IbmRuntime(rehearse="FakeTorino"), tmp_path).account() is None


@pytest.fixture
def waiting(loopback):
    """A function that runs a job through an executable and waits for its values."""
    with open_backend(spec(mode="job", max_qpu_seconds=600)) as executable:
        circuit, _, angles = pub()
        prepared = executable.prepare(circuit, ["Z"])
        yield lambda: executable.run(prepared, angles).values


@pytest.mark.parametrize(
    ("fail", "trouble"),
    [
        (lambda faults: faults.fail_job(reason="broke", code=1517), Trouble.REQUEST),
        (lambda faults: faults.fail_job(reason="too long", code=1305), Trouble.REQUEST),
        (lambda faults: faults.fail_job(reason="", code=0, status="Cancelled"), Trouble.REQUEST),
    ],
)
def test_who_waits_for_values_is_told_what_went_wrong(loopback, waiting, fail, trouble):
    fail(loopback.faults)
    assert refusal(waiting).trouble is trouble


def test_a_request_that_hangs_while_values_are_waited_for_is_repeated(
    loopback, waiting, monkeypatch
):
    monkeypatch.setattr("hybridq_backends.ibm.timed_requests.ANSWER_SECONDS", 0.5)
    loopback.faults.add("GET", "^/jobs/", hang=60.0)
    start = time.monotonic()
    np.testing.assert_allclose(waiting(), 1.0)
    assert time.monotonic() - start < 10
