"""The loopback server, with the raw unmodified client of IBM Quantum."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler.preset_passmanagers import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, Session
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import (
    IBMNotAuthorizedError,
    IBMRuntimeError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobNotFound,
)
from qiskit_ibm_runtime.executor_estimator import Estimator

from tests.loopback import Loopback

ANGLE = 0.6
SHOTS = 2048


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch):
    """Let nothing but this machine be reached."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple):
            assert address[0] == "127.0.0.1", f"a host was contacted: {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def open_device():
    return QiskitRuntimeService().backend("ibm_loopback")


def pub(device):
    """A PUB whose two values are cos(ANGLE) and 1."""
    circuit = QuantumCircuit(2)
    circuit.ry(ANGLE, 0)
    circuit.cx(0, 1)
    isa = generate_preset_pass_manager(1, backend=device, seed_transpiler=1).run(circuit)
    observables = [SparsePauliOp(label).apply_layout(isa.layout) for label in ("IZ", "ZZ")]
    return isa, observables


EXACT = np.array([np.cos(ANGLE), 1.0])


def estimator(mode, *, level=0, shots=SHOTS, tags=()):
    made = Estimator(mode=mode)
    made.options.resilience_level = level
    made.options.default_shots = shots
    made.options.environment.job_tags = list(tags)
    return made


def post(device, **options):
    return estimator(device, **options).run([pub(device)])


def result(job):
    return job.result(timeout=30, poll_interval=0.1)[0].data


def close_to(data, expected, sigmas=5.0):
    return np.all(np.abs(data.evs - expected) <= sigmas * np.maximum(data.stds, 1e-6))


def count(server, method, path):
    return sum(request.method == method and request.path == path for request in server.requests)


def assert_no_secret(server, error):
    text = "".join(traceback.format_exception(error))
    assert server.token not in text
    assert "Bearer" not in text


def test_the_environment_alone_is_an_account(loopback):
    service = QiskitRuntimeService()
    assert [backend.name for backend in service.backends()] == ["ibm_loopback"]
    assert service.least_busy(operational=True, simulator=False).name == "ibm_loopback"
    assert service.instances()[0]["plan"] == "open"
    assert service.usage()["usage_remaining_seconds"] == 600.0
    paths = {request.path for request in loopback.requests}
    assert {"/iam/identity/token", "/search/v3/resources/search", "/backends"} <= paths
    assert {request.status for request in loopback.requests} == {200}


def test_a_saved_account_does_not_come_first(loopback, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE",
        str(tmp_path / "saved.json"),
    )
    QiskitRuntimeService.save_account(
        token="another", url="http://192.0.2.1", instance="crn:x", set_as_default=True
    )
    assert QiskitRuntimeService().active_account()["token"] == loopback.token


def test_the_client_sees_the_device(loopback):
    device, target = loopback.device, open_device().target
    assert target.num_qubits == device.num_qubits == 5
    assert target.dt == pytest.approx(device.target.dt)
    assert set(target.operation_names) == set(device.target.operation_names)
    for gate in ("cz", "sx", "rz", "x", "measure"):
        assert set(target[gate]) == set(device.target[gate])
        for where, known in device.target[gate].items():
            assert target[gate][where].error == pytest.approx(known.error)
            assert target[gate][where].duration == pytest.approx(known.duration)
    for seen, known in zip(target.qubit_properties, device.target.qubit_properties, strict=True):
        assert (seen.t1, seen.t2) == pytest.approx((known.t1, known.t2))


def test_job_mode_gives_the_exact_value(loopback):
    job = post(open_device(), tags=["mine"])
    assert close_to(result(job), EXACT)
    accepted = loopback.accepted[0]
    assert (accepted.id, accepted.tags, accepted.session_id) == (job.job_id(), ["mine"], None)
    assert accepted.executions == SHOTS
    assert job.usage() == pytest.approx(2 + 0.00035 * SHOTS)
    assert job.usage_estimation["quantum_seconds"] == pytest.approx(job.usage())
    assert job.metrics()["usage"]["status"] != "pending"
    assert loopback.seconds_left == pytest.approx(600 - job.usage())


def test_the_same_seed_gives_the_same_shots(serve):
    values = []
    for seed in (1, 1, 2):
        server = serve(ideal=True, seed=seed)
        device = open_device()
        values.append([result(post(device, level=1)).evs[0] for _ in range(2)])
        server.wait_idle(10)
    assert values[0] == values[1]
    assert values[0] != values[2]
    assert values[0][0] != values[0][1]


def test_measurement_mitigation_runs(loopback):
    assert close_to(result(post(open_device(), level=1)), EXACT)
    assert loopback.accepted[0].executions > SHOTS


def test_batch(loopback):
    device = open_device()
    with Batch(device) as batch:
        made = estimator(batch)
        jobs = [made.run([pub(device)]) for _ in range(2)]
        assert batch.details()["mode"] == "batch"
    for job in jobs:
        assert close_to(result(job), EXACT)
    assert {job.session_id for job in loopback.accepted} == {batch.session_id}
    assert loopback.sessions[batch.session_id].closed
    assert batch.status() == "Closed"
    assert len(QiskitRuntimeService().jobs(session_id=batch.session_id)) == 2


def test_session_on_the_paid_plan(serve):
    server = serve(ideal=True, plan="paid")
    device = open_device()
    with Session(device) as session:
        assert close_to(result(estimator(session).run([pub(device)])), EXACT)
        assert session.status() == "In progress, accepting new jobs"
    assert server.sessions[session.session_id].mode == "dedicated"


def test_no_session_on_the_open_plan(loopback):
    with pytest.raises(RequestsApiError) as caught:
        Session(open_device())
    assert caught.value.status_code == 400
    assert '"code": 1352' in str(caught.value)
    assert_no_secret(loopback, caught.value)


def test_noise_and_readout_are_those_of_the_device(serve):
    server = serve()
    device = open_device()
    isa, observables = pub(device)
    data = result(estimator(device, shots=20000).run([(isa, observables)]))
    exact = AerSimulator(method="density_matrix", noise_model=NoiseModel.from_backend(device))
    saved = isa.copy()
    saved.save_density_matrix()
    probabilities = np.real(np.diag(exact.run(saved).result().data()["density_matrix"].data))
    flips = [server.device.target["measure"][(qubit,)].error for qubit in range(5)]
    expected = []
    for observable in observables:
        label = observable.paulis[0].z
        signs = np.array(
            [
                np.prod([(-1) ** (k >> q & 1) * (1 - 2 * flips[q]) for q in np.flatnonzero(label)])
                for k in range(len(probabilities))
            ]
        )
        expected.append(probabilities @ signs)
    # The client adds two sx gates a qubit to change the basis.
    assert np.abs(data.evs - expected).max() < 5 * data.stds.max() + 0.005
    assert EXACT[1] - data.evs[1] > 0.05


def test_a_job_is_listed_late_but_found_at_once(serve):
    server = serve(ideal=True, listing_delay=1.0)
    device = open_device()
    service = device.service
    server.hold()
    job = post(device, tags=["run-1", "step-2"])
    assert service.job(job.job_id()).tags == ["run-1", "step-2"]
    assert service.jobs(limit=None, job_tags=["run-1"]) == []
    time.sleep(1.05)
    assert [found.job_id() for found in service.jobs(limit=None, job_tags=["run-1", "step-2"])] == [
        job.job_id()
    ]
    assert service.jobs(limit=None, job_tags=["run-1", "step-3"]) == []
    assert server.accepted_by_tag("run-1")[0].id == job.job_id()
    job.update_tags(["other"])
    assert service.jobs(limit=None, job_tags=["run-1"]) == []


def test_listing_in_pages(loopback):
    device = open_device()
    loopback.hold()
    body = json.dumps({"program_id": "executor", "params": _smallest(), "backend": device.name})
    client = device.service._get_api_client()
    ids = [client._session.post("/jobs", data=body).json()["id"] for _ in range(23)]
    service = device.service
    assert [job.job_id() for job in service.jobs(limit=None)] == ids[::-1]
    assert [job.job_id() for job in service.jobs(limit=3, skip=1)] == ids[-2:-5:-1]
    assert [job.job_id() for job in service.jobs(limit=2, descending=False)] == ids[:2]
    service.job(ids[0]).cancel()
    assert [job.job_id() for job in service.jobs(pending=False)] == ids[:1]
    assert len(service.jobs(limit=None, pending=True)) == 22


def _smallest():
    """Parameters that count as a program of one circuit."""
    item = {"item_type": "samplex", "shape": [1]}
    return {"quantum_program": {"shots": 1, "items": [item]}}


def test_a_result_in_a_fresh_process(loopback):
    job = post(open_device())
    loopback.wait_idle(20)
    script = (
        "import sys; from qiskit_ibm_runtime import QiskitRuntimeService as S;"
        "data = S().job(sys.argv[1]).result()[0].data;"
        "print(data.evs.tolist(), data.stds.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, job.job_id()],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    data = result(job)
    assert done.stdout.strip() == f"{data.evs.tolist()} {data.stds.tolist()}"
    assert loopback.token not in done.stdout + done.stderr


def test_cancel(loopback):
    device = open_device()
    loopback.hold()
    first, second = post(device), post(device)
    assert first.status() == "QUEUED"
    first.cancel()
    loopback.release()
    assert close_to(result(second), EXACT)
    with pytest.raises(RuntimeInvalidStateError):
        result(device.service.job(first.job_id()))
    with pytest.raises(RuntimeInvalidStateError):
        device.service.job(second.job_id()).cancel()
    assert [job.state for job in loopback.accepted] == ["Cancelled", "Completed"]
    assert loopback.accepted[0].charge == 0.0


def test_delete_and_unknown_jobs(loopback):
    device = open_device()
    job = post(device)
    result(job)
    device.service.delete_job(job.job_id())
    with pytest.raises(RuntimeJobNotFound):
        device.service.job(job.job_id())


def test_queue_delay(serve):
    server = serve(ideal=True, queue_delay=0.6)
    job = post(open_device())
    assert job.status() == "QUEUED"
    server.wait_idle(20)
    assert job.status() == "DONE"
    assert time.monotonic() - server.accepted[0].posted >= 0.6


def test_two_server_errors_are_posted_through(loopback):
    loopback.faults.add("POST", "^/jobs$", times=2, status=503)
    assert close_to(result(post(open_device())), EXACT)
    assert count(loopback, "POST", "/jobs") == 3
    assert len(loopback.accepted) == 1


@pytest.mark.parametrize("deduplicates", [False, True])
def test_an_accepting_server_error_is_one_job_only_where_bodies_are_compared(serve, deduplicates):
    """The client by itself posts again, and trusts the server."""
    server = serve(ideal=True, deduplicates=deduplicates)
    server.faults.add("POST", "^/jobs$", times=2, status=503, accept=True)
    device = open_device()
    job = post(device)
    assert count(server, "POST", "/jobs") == 3
    assert len(server.accepted) == (1 if deduplicates else 3)
    assert server.accepted[-1].id == job.job_id()
    post(device)
    assert len(server.accepted) == (2 if deduplicates else 4)


def test_a_dropped_reply_leaves_one_accepted_job(loopback):
    loopback.faults.add("POST", "^/jobs$", drop=True, accept=True)
    device = open_device()
    with pytest.raises(IBMRuntimeError) as caught:
        post(device, tags=["lost"])
    assert_no_secret(loopback, caught.value)
    assert count(loopback, "POST", "/jobs") == 1
    (lost,) = loopback.accepted_by_tag("lost")
    (found,) = device.service.jobs(limit=None, job_tags=["lost"])
    assert found.job_id() == lost.id
    assert close_to(result(found), EXACT)


def test_a_dropped_request_leaves_none(loopback):
    loopback.faults.add("POST", "^/jobs$", drop=True)
    device = open_device()
    with pytest.raises(IBMRuntimeError):
        post(device)
    assert loopback.accepted == []
    assert loopback.requests[-1].status is None


def test_too_many_requests_are_not_posted_again(loopback):
    loopback.faults.add("POST", "^/jobs$", status=429, code=1202, headers={"Retry-After": "1"})
    device = open_device()
    with pytest.raises(IBMRuntimeError) as caught:
        post(device)
    assert "429" in str(caught.value)
    assert caught.value.__context__.status_code == 429
    assert '"code": 1202' in str(caught.value)
    assert_no_secret(loopback, caught.value)
    assert count(loopback, "POST", "/jobs") == 1
    assert loopback.accepted == []


def test_the_rate_limit_goes_by_its_clock(loopback):
    now = 1000.0
    loopback.clock = lambda: now
    loopback.posts_per_minute = 2
    device = open_device()
    loopback.hold()
    post(device)
    now += 20
    post(device)
    with pytest.raises(IBMRuntimeError, match="429"):
        post(device)
    now += 40
    post(device)
    assert len(loopback.accepted) == 3


def test_a_fault_may_come_later(loopback):
    loopback.faults.add("GET", "/jobs/[^/]+$", after=1, status=400, message="not now")
    loopback.hold()
    job = post(open_device())
    assert job.status() == "QUEUED"
    with pytest.raises(RequestsApiError, match="not now") as caught:
        job.status()
    assert caught.value.status_code == 400
    loopback.release()
    assert close_to(result(job), EXACT)


def test_a_body_of_ones_own(loopback):
    loopback.faults.add("GET", "/status$", body={"state": True, "status": "maintenance"})
    device = open_device()
    assert device.status().status_msg == "maintenance"
    assert device.status().status_msg == "active"


def test_expired_tokens(loopback):
    device = open_device()
    ready = pub(device)
    batch = Batch(device)
    loopback.expire_tokens()
    with pytest.raises(IBMNotAuthorizedError, match="401") as caught:
        estimator(batch).run([ready])
    assert_no_secret(loopback, caught.value)
    # In job mode the client looks the device up again and swallows the refusal.
    with pytest.raises(QiskitBackendNotFoundError):
        estimator(device).run([ready])
    assert loopback.accepted == []
    assert close_to(result(post(open_device())), EXACT)


def test_a_wrong_key(loopback, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "a-wrong-api-key")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception, match="valid API token") as caught:
            QiskitRuntimeService()
    assert "a-wrong-api-key" not in str(caught.value)


def test_hanging_is_bounded(loopback):
    loopback.faults.add("GET", "/status$", hang=0.5)
    device = open_device()
    start = time.monotonic()
    assert device.status().operational
    assert 0.5 <= time.monotonic() - start < 5


def test_leaving_ends_a_hanging_request(monkeypatch):
    with Loopback(ideal=True) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        device = open_device()
        server.faults.add("GET", "/status$", hang=60.0)
        asking = threading.Thread(target=lambda: _ignore(device.status), daemon=True)
        asking.start()
        time.sleep(0.2)
        start = time.monotonic()
    assert time.monotonic() - start < 5
    asking.join(20)
    assert not asking.is_alive()


def _ignore(call):
    with contextlib.suppress(RequestsApiError):
        call()


def test_a_failing_job(loopback):
    loopback.faults.fail_job(reason="The QPU caught a cold.", code=8000)
    device = open_device()
    job = post(device)
    with pytest.raises(RuntimeJobFailureError, match=r"8000.*caught a cold") as caught:
        result(job)
    assert_no_secret(loopback, caught.value)
    assert job.errored()
    assert "caught a cold" in job.error_message()
    assert close_to(result(post(device)), EXACT)


def test_a_job_that_ran_too_long(loopback):
    loopback.faults.fail_job(reason="Too long.", code=1305, status="Cancelled - Ran too long")
    with pytest.raises(RuntimeJobMaxTimeoutError, match="1305"):
        result(post(open_device()))


def test_a_program_that_cannot_run_fails(loopback):
    client = open_device().service._get_api_client()
    body = json.dumps({"program_id": "executor", "params": _smallest()})
    job_id = client._session.post("/jobs", data=body).json()["id"]
    loopback.wait_idle(10)
    job = QiskitRuntimeService().job(job_id)
    assert job.status() == "ERROR"
    assert "Error code 1517" in job.error_message()
    assert loopback.accepted[0].charge == 0.0


def test_a_spent_quota(loopback):
    device = open_device()
    loopback.seconds_left = 0.0
    with (
        pytest.warns(UserWarning, match="usage limit|no more time"),
        pytest.raises(IBMRuntimeError, match="409") as caught,
    ):
        post(device)
    assert "usage limit" in str(caught.value)
    assert device.service.usage()["usage_remaining_seconds"] == 0
    assert loopback.accepted == []


def test_a_closed_session_refuses(loopback):
    device = open_device()
    batch = Batch(device)
    made = estimator(batch)
    loopback.sessions[batch.session_id].accepting_jobs = False
    with pytest.raises(IBMRuntimeError, match="Session has been closed") as caught:
        made.run([pub(device)])
    assert '"code": 1217' in str(caught.value)
    assert loopback.accepted == []


def test_cancelling_a_batch_cancels_its_jobs(loopback):
    device = open_device()
    loopback.hold()
    batch = Batch(device)
    job = estimator(batch).run([pub(device)])
    batch.cancel()
    assert job.status() == "CANCELLED"


def test_maintenance_and_outage(loopback):
    device = open_device()
    loopback.status_message = "maintenance"
    with pytest.warns(UserWarning, match="maintenance"):
        job = post(device)
    assert close_to(result(job), EXACT)
    loopback.operational = False
    assert not device.status().operational
    waiting = post(device)
    assert device.status().pending_jobs == 1
    assert waiting.status() == "QUEUED"
    loopback.operational = True
    assert close_to(result(waiting), EXACT)


def test_a_dry_run_costs_nothing(loopback):
    device = open_device()
    job = estimator(device).run([pub(device)], dry_run=True)
    assert close_to(result(job), EXACT)
    assert loopback.accepted[0].backend == "mock_loopback"
    assert loopback.seconds_left == 600.0


def test_waiting_for_idleness_is_bounded(loopback):
    loopback.hold()
    post(open_device())
    with pytest.raises(TimeoutError):
        loopback.wait_idle(0.1)


def test_a_wide_device_is_refused():
    from qiskit_ibm_runtime.fake_provider import FakeTorino

    with pytest.raises(ValueError, match="at most 8 qubits"):
        Loopback(FakeTorino())
