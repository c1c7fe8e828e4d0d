"""Each request to IBM's service that fails is told in one line, with the right cause, no secret."""

from __future__ import annotations

import io
import logging
import pickle
from pathlib import Path

import pytest
from urllib3.util.retry import Retry

from hybridq_backends import IbmRuntime, parse_backend
from hybridq_backends.ibm.account import open_service
from hybridq_backends.ibm.trouble import ServiceError
from hybridq_backends.jobs.runtime import RuntimeJobs
from tests.integration.submissions import PLAIN, newest, posts, states
from tests.loopback.accounts import CRN, TOKEN

NAMED = f"ibm,device=ibm_loopback,{PLAIN}"
QUOTING = f"the key {TOKEN} of {CRN} at a/loopback"

REQUESTS = {
    "token": ("POST", "/identity/token$"),
    "search": ("POST", "^/search/"),
    "devices": ("GET", "^/backends$"),
    "configuration": ("GET", "/configuration$"),
    "properties": ("GET", "/properties$"),
}
FAULTS = {
    "503": {"status": 503, "message": QUOTING},
    "401": {"status": 401, "message": QUOTING},
    "403": {"status": 403, "message": QUOTING},
    "429": {"status": 429, "message": QUOTING},
    "400": {"status": 400, "message": QUOTING},
    "drop": {"drop": True},
    "garbage": {"body": f"<html>{QUOTING}"},
    "no object": {"body": "[3]"},
    "hang": {"hang": 60.0},
}
NETWORK = "check the network"
CAUSES = {
    "503": NETWORK,
    "401": "renew the token",
    "403": "renew the token",
    "429": "wait a minute",
    "400": "read the reason",
    "hang": "no answer within 0.4 s",
}
OTHERWISE = {  # of what a cause depends on the request
    ("token", "400"): "renew the token",
    ("search", "400"): "renew the token",
    ("configuration", "403"): "may not use this device",
    ("properties", "403"): "may not use this device",
}


@pytest.fixture
def told(monkeypatch):
    """What reaches the terminal besides: the client's own lines, and those of its libraries."""
    monkeypatch.setattr(Retry, "sleep", lambda *_, **__: None)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in ("qiskit_ibm_runtime", "urllib3")]
    for logger in loggers:
        logger.addHandler(handler)
    yield stream
    for logger in loggers:
        logger.removeHandler(handler)


def check(err, out, told):
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("hybridq: error: Expected ")
    for secret in (TOKEN, CRN, "instance-of-tests"):
        assert secret not in err + out + told.getvalue()
    assert "unable to" not in told.getvalue().lower()
    return lines[0]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("request_", REQUESTS)
def test_every_request_for_a_device(loopback, command, told, monkeypatch, request_, fault):
    monkeypatch.setattr(
        "hybridq_backends.ibm.timed_requests.ANSWER_SECONDS", 0.4 if fault == "hang" else 20.0
    )
    loopback.faults.add(*REQUESTS[request_], times=99, **FAULTS[fault])
    code, out, err = command("backends", "save", NAMED, "--out", "device.json")
    assert code == 2
    cause = OTHERWISE.get((request_, fault), CAUSES.get(fault, NETWORK))
    assert cause in check(err, out, told)


@pytest.mark.parametrize(("fault", "code"), [("503", 0), ("garbage", 0), ("drop", 2)])
def test_the_plan_of_an_instance_need_not_be_known(
    loopback, command, told, monkeypatch, fault, code
):
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    loopback.faults.add("GET", "^/catalog/", times=99, **FAULTS[fault])
    found, out, err = command("backends", "save", NAMED, "--out", "device.json")
    assert found == code
    if code:
        assert NETWORK in check(err, out, told)
    assert CRN not in out + err + told.getvalue()


@pytest.mark.parametrize(("path", "fault"), [("/usage$", "503"), ("/status$", "401")])
def test_what_a_submission_asks_before_it_posts(loopback, submit, told, path, fault):
    loopback.faults.add("GET", path, times=99, **FAULTS[fault])
    code, out, err = submit()
    assert code == 2
    assert CAUSES[fault] in out + err
    assert TOKEN not in out + err
    assert CRN not in out + err + told.getvalue()
    assert posts(loopback) == []


@pytest.mark.parametrize("fault", ["503", "401", "429", "drop", "garbage"])
def test_the_least_busy_device_is_not_called_busy_where_it_cannot_be_asked(
    loopback, command, told, fault
):
    for request in ("configuration", "devices"):
        loopback.faults.clear()
        loopback.faults.add(*REQUESTS[request], times=99, **FAULTS[fault])
        code, out, err = command("backends", "save", "ibm", "--out", "device.json")
        assert code == 2
        line = check(err, out, told)
        assert CAUSES.get(fault, NETWORK) in line
        assert "takes no jobs now" not in line


def test_who_wants_to_see_more_of_the_client_sees_it_without_secrets(
    loopback, command, told, monkeypatch
):
    monkeypatch.setattr(logging.getLogger("qiskit_ibm_runtime"), "level", logging.DEBUG)
    logging.getLogger("qiskit_ibm_runtime").manager._clear_cache()
    loopback.faults.add(*REQUESTS["configuration"], times=99, **FAULTS["400"])
    code, _, err = command("backends", "save", NAMED, "--out", "device.json")
    logging.getLogger("qiskit_ibm_runtime").manager._clear_cache()
    assert code == 2
    assert "unable to create configuration" in told.getvalue().lower()
    for secret in (TOKEN, CRN):
        assert secret not in told.getvalue() + err


def test_a_device_in_maintenance_keeps_its_text(loopback, command, told):
    loopback.operational = False
    loopback.status_message = "maintenance"
    code, out, err = command("backends", "save", "ibm", "--out", "device.json")
    assert code == 2
    assert "takes no jobs now" in check(err, out, told)


@pytest.mark.parametrize("fault", ["503", "401", "400", "garbage"])
def test_properties_that_cannot_be_read_stop_each_command(
    loopback, command, told, varied_run, fault
):
    for words in (
        ("submit", varied_run, "--backend", f"ibm,{PLAIN}"),
        ("submit", varied_run, "--backend", NAMED, "--dry-run"),
        ("evaluate", varied_run, "--backend", NAMED, "--limit", "2"),
        ("backends", "check", NAMED),
    ):
        loopback.faults.clear()
        loopback.faults.add(*REQUESTS["properties"], times=99, **FAULTS[fault])
        code, out, err = command(*words)
        assert code == 2
        line = next(line for line in err.splitlines() if line.startswith("hybridq: error:"))
        assert CAUSES.get(fault, NETWORK) in line
        assert TOKEN not in err + out
        assert CRN not in err + out + told.getvalue()
    assert posts(loopback) == []


@pytest.mark.parametrize("fault", ["503", "401", "429", "drop", "garbage", "no object"])
@pytest.mark.parametrize(
    "request_",
    [
        ("GET", "/status$"),
        ("GET", "/usage$"),
        ("GET", "/configuration$"),
        ("POST", "^/sessions$"),
        ("POST", "/identity/token$"),
    ],
    ids=lambda request: request[1],
)
def test_requests_before_a_post_are_told(loopback, told, request_, fault):
    jobs = RuntimeJobs(IbmRuntime(device="ibm_loopback", shots=64))
    loopback.faults.add(*request_, times=99, **FAULTS[fault])
    with pytest.raises(ServiceError) as caught:
        jobs.ready() if "usage" not in request_[1] else jobs.seconds_left()
    assert "Expected" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value) + told.getvalue()
    assert CRN not in str(caught.value) + told.getvalue()
    assert loopback.accepted == []


def test_a_token_that_is_not_issued_is_not_replaced_by_the_key(loopback, told):
    """The client sends the key itself where it gets no token, and hides why."""
    service = open_service(IbmRuntime())
    (client,) = service._api_clients.values()
    manager = client._session.auth.tm
    manager.expire_time = manager.refresh_time = 0  # as after an hour
    seen = len(loopback.requests)
    loopback.faults.add("POST", "/identity/token$", status=503, times=99)
    jobs = RuntimeJobs(IbmRuntime())
    jobs._known_service = service
    for _ in range(2):  # nor is a minute waited for
        with pytest.raises(ServiceError, match=NETWORK):
            jobs.find("t")
    assert {r.path for r in loopback.requests[seen:]} == {"/iam/identity/token"}


def test_jobs_are_collected_while_nothing_is_known_of_their_device(loopback, submit, command, told):
    submit("--job-executions", "6000")
    loopback.wait_idle(60)
    for request in ("configuration", "properties"):
        loopback.faults.add(*REQUESTS[request], times=999, status=503)
    assert command("jobs", "collect", newest())[0] == 0
    assert set(states(newest())) == {"done"}


def test_an_expired_token_is_named_when_jobs_are_collected(loopback, submit, command, told):
    submit()
    loopback.wait_idle(60)
    loopback.faults.add("GET", ".", status=401, message=QUOTING, times=999)
    code, out, err = command("jobs", "collect", newest())
    assert code == 3
    assert "renew the token" in out
    assert TOKEN not in out + err
    assert CRN not in out + err + told.getvalue()


def test_no_secret_in_what_a_submission_keeps(loopback, submit, command, told, monkeypatch):
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")  # then only the service says it
    loopback.faults.add("POST", "^/jobs$", status=503, message=QUOTING)
    loopback.faults.fail_job(reason=QUOTING, code=1517)
    submit("--job-executions", "6000")
    loopback.wait_idle(60)
    command("jobs", "collect", newest(), "--settle-seconds", "0.2")
    kept = b"".join(path.read_bytes() for path in newest().rglob("*") if path.is_file())
    assert b"the key ***" in kept
    for secret in (TOKEN, CRN):
        assert secret.encode() not in kept
        assert secret not in told.getvalue()


def test_an_evaluation_whose_post_is_lost_finds_its_job_and_posts_once(
    loopback, command, told, varied_run
):
    loopback.faults.add("POST", "^/jobs$", status=503, accept=True, times=9)
    limits = ("--limit", "4", "--resamples", "100")
    code, _, err = command("evaluate", varied_run, "--backend", NAMED, *limits)
    assert code == 0, err
    assert len(posts(loopback)) == len(loopback.accepted) == 1  # the threshold is the model's


def test_an_evaluation_that_cannot_know_says_so(loopback, command, told, varied_run, monkeypatch):
    monkeypatch.setattr("hybridq_backends.jobs.queue.SETTLE_SECONDS", 0.0)
    loopback.faults.add("POST", "^/jobs$", drop=True, times=9)
    code, _, err = command("evaluate", varied_run, "--backend", NAMED, "--limit", "4")
    assert code == 2
    assert "give the same command again" in err.splitlines()[-1]
    assert "posts it anew if it is still not listed" in err.splitlines()[-1]
    assert (len(posts(loopback)), loopback.accepted) == (1, [])


def test_an_evaluation_whose_batch_stays_open_is_kept(loopback, command, told, varied_run):
    loopback.faults.add("PATCH", "^/sessions/", status=503, times=9)
    limits = ("--limit", "4", "--resamples", "100")
    code, out, err = command("evaluate", varied_run, "--backend", NAMED, *limits)
    assert code == 0, err
    assert "was not closed" in err
    assert Path(out.strip().splitlines()[-1]).is_dir()


def test_a_service_that_cannot_be_opened_is_not_tried_for_each_job(loopback, submit, command, told):
    submit("--job-executions", "6000")
    loopback.faults.add("POST", "^/search/", status=503, times=99)
    del loopback.requests[:]
    code, out, _ = command("jobs", "collect", newest())
    assert code == 3
    assert NETWORK in out
    assert len([r for r in loopback.requests if r.path.startswith("/search/")]) == 1


def test_a_saved_account_is_redacted(loopback, command, told, monkeypatch, tmp_path):
    from qiskit_ibm_runtime import QiskitRuntimeService

    file = tmp_path / "account.json"
    QiskitRuntimeService.save_account(
        token=TOKEN, instance=CRN, url=loopback.url, filename=str(file), set_as_default=True
    )
    for name in ("TOKEN", "INSTANCE", "URL", "CHANNEL"):
        monkeypatch.delenv(f"QISKIT_IBM_{name}")
    loopback.faults.add(*REQUESTS["properties"], status=400, message=QUOTING, times=9)
    backend = f"{NAMED},service_options.filename={file}"
    code, out, err = command("backends", "save", backend, "--out", "device.json")
    assert code == 2
    assert "the key *** of ***" in check(err, out, told)


def test_a_spec_takes_its_secrets_nowhere(loopback, monkeypatch):
    for name in ("TOKEN", "INSTANCE"):
        monkeypatch.delenv(f"QISKIT_IBM_{name}")
    spec = parse_backend(
        "ibm", service_options={"token": TOKEN, "instance": CRN, "url": loopback.url}
    )
    assert open_service(spec).active_instance() == CRN
    copied = pickle.loads(pickle.dumps(spec))
    for shown in (pickle.dumps(spec), pickle.dumps(vars(spec)), pickle.dumps(dict(spec))):
        assert TOKEN.encode() not in shown
        assert CRN.encode() not in shown
    for shown in (repr(spec), str(dict(spec)), str(vars(spec)), str(spec.model_dump())):
        assert TOKEN not in shown
        assert CRN not in shown
    with pytest.raises(ServiceError, match="got a backend from another process"):
        open_service(copied)
