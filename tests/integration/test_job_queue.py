"""Evaluating and training through IBM, with IBM's own client against a loopback server."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from hybridq.config import EvaluateConfig, FinetuneConfig, head_config
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.evaluation.evaluate import evaluate
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs import fetch
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.rate_limit import Clock

BACKEND = "ibm,device=ibm_loopback,resilience_level=0,shots=64,max_qpu_seconds=500"
THETA = np.array([[0.1, 0.2], [1.1, -0.4], [0.0, 2.0]])


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Let waiting be short, and posts come as fast as they like."""
    monkeypatch.setattr(
        "hybridq_backends.jobs.queue.Clock",
        lambda: Clock(time.time, lambda seconds: time.sleep(min(seconds, 0.05))),
    )
    monkeypatch.setattr("hybridq_backends.jobs.queue.POSTS_PER_MINUTE", None)


@pytest.fixture
def circuit():
    angles = ParameterVector("t", 2)
    circuit = QuantumCircuit(2)
    circuit.ry(angles[0], 0)
    circuit.cx(0, 1)
    circuit.ry(angles[1], 1)
    return circuit


def exact(theta):
    return np.stack([np.cos(theta[:, 0]), np.cos(theta[:, 0]) * np.cos(theta[:, 1])], axis=1)


def posts(server):
    return [r for r in server.requests if (r.method, r.path) == ("POST", "/jobs")]


@pytest.mark.parametrize("mode", ["batch", "session", "job"])
def test_a_run_is_a_job_in_every_mode(serve, circuit, tmp_path, mode):
    server = serve(ideal=True, plan="paid" if mode == "session" else "open")
    with open_backend(BACKEND, mode=mode, shots=4096) as executable:
        executable.keep_jobs(tmp_path)
        prepared = executable.prepare(circuit, ["IZ", "ZI"], initial_layout=[2, 1])
        assert prepared.circuit.num_qubits == 3  # with the device's own numbers
        assert not server.sessions
        for _ in range(2):
            values, stds = executable.run(prepared, THETA)
            np.testing.assert_allclose(values, exact(THETA), atol=6 / np.sqrt(4096) + 1e-9)
            assert (stds <= 1.01 / np.sqrt(4096)).all()
        with pytest.raises(InvalidValueError, match="no `seed` on hardware"):
            executable.run(prepared, THETA, seed=1)
    assert len(server.accepted) == 2
    with Ledger.read(tmp_path) as ledger:
        tags = [chunk.tag for chunk in ledger.chunks()]
        assert [job.qpu_seconds for job in ledger.jobs()] == [
            pytest.approx(job.charge) for job in server.accepted
        ]
    assert [job.tags for job in server.accepted] == [[tag, tag[:-7]] for tag in tags]
    assert all(job.cost for job in server.accepted)  # the limit that its budget leaves
    assert len(server.sessions) == (mode != "job")
    for session in server.sessions.values():
        assert not session.accepting_jobs
        assert session.max_ttl == (500 if mode == "session" else None)


def test_the_estimator_is_the_same_queue(loopback, circuit):
    """Each observable with its own rows alone is no dearer than it has to be."""
    with open_backend(BACKEND, shots=4096) as executable:
        prepared = executable.prepare(circuit, ["IZ", "ZI"])
        angles = prepared.angles(THETA)
        whole = (prepared.circuit, [[one] for one in prepared.observables], angles)
        pairs = (prepared.circuit, [*prepared.observables], angles[:2])
        first, second = executable.estimator.run([whole, pairs]).result()
    np.testing.assert_allclose(first.data.evs.T, exact(THETA), atol=0.1)
    np.testing.assert_allclose(second.data.evs, np.diag(exact(THETA[:2])), atol=0.1)
    assert len(loopback.accepted) == 3
    assert [job.executions // 4096 for job in loopback.accepted] == [3, 1, 1]


@pytest.mark.parametrize("copies", [0, 2])
def test_an_answer_that_is_lost_costs_no_second_job(serve, circuit, tmp_path, copies):
    """Also where the server accepts a request several times: extras are cancelled or counted."""
    server = serve(ideal=True, deduplicates=False)
    server.faults.add("POST", "^/jobs$", status=503, accept=True, copies=copies)
    with open_backend(BACKEND) as executable:
        executable.keep_jobs(tmp_path)
        prepared = executable.prepare(circuit, ["IZ", "ZI"])
        executable.run(prepared, THETA)
        server.wait_idle()
        executable.run(prepared, THETA)
    assert len(posts(server)) == 2
    with Ledger.read(tmp_path) as ledger:
        assert {job.job_id for job in ledger.jobs()} == {job.id for job in server.accepted}
        assert not ledger.has_doubts()


@pytest.mark.parametrize(
    ("fail", "trouble"),
    [
        ({"pattern": "/results$", "status": 501}, Trouble.NETWORK),
        ({"pattern": "^/jobs/[^/]+$", "status": 401}, Trouble.ACCOUNT),
        ({"pattern": "/results$", "body": "<html>"}, Trouble.REQUEST),
    ],
)
def test_who_waits_is_told_what_went_wrong_and_pays_once(
    loopback, circuit, tmp_path, fail, trouble
):
    loopback.faults.add("GET", times=1000, **fail)
    with open_backend(BACKEND) as executable:
        executable.keep_jobs(tmp_path)
        prepared = executable.prepare(circuit, ["IZ", "ZI"])
        with pytest.raises(ServiceError) as caught:
            executable.run(prepared, THETA)
    assert caught.value.trouble is trouble
    assert "\n" not in str(caught.value)
    loopback.faults.clear()
    with open_backend(BACKEND) as executable:
        executable.keep_jobs(tmp_path)
        executable.run(executable.prepare(circuit, ["IZ", "ZI"]), THETA)
    assert len(loopback.accepted) == 1


@pytest.fixture
def config(pretrained):
    return FinetuneConfig(
        data="phantom,size=16,count=40",
        encoder=str(pretrained),
        head=head_config(name="pqc", num_qubits=2, num_layers=1, init_std=0.5),
        backend=BACKEND,
        freeze_encoder=True,
        epochs=4,
        batch_size=8,
        checkpoint_every=2,
    )


def stop_at(monkeypatch, number):
    """Stop like Ctrl-C after so many results have come."""
    keep, kept = fetch._keep_result, []

    def stopping(*arguments):
        keep(*arguments)
        kept.append(1)
        if len(kept) == number:
            raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "_keep_result", stopping)


@pytest.mark.parametrize("gradient", ["exact", "spsa"])
def test_a_training_that_was_stopped_pays_for_no_step_twice(
    loopback, config, single_thread, monkeypatch, gradient
):
    """The steps after its last checkpoint are answered by the jobs that were posted for them."""
    config = config.model_copy(update={"gradient": gradient})
    stop_at(monkeypatch, 8)  # in the third epoch of three steps, after the second one's checkpoint
    with pytest.raises(KeyboardInterrupt):
        finetune(config)
    (folder,) = Path("runs/finetune").iterdir()
    assert len(loopback.accepted) == 8
    finetune(config.model_copy(update={"resume": folder}))
    assert len(loopback.accepted) == 12
    result = json.loads((folder / "result.json").read_text())
    assert result["circuit_jobs"] == 6  # those of the resumed process, of which two were there
    spent = sum(job.charge for job in loopback.accepted)
    with Ledger.read(folder) as ledger:
        assert ledger.spent({}) == pytest.approx(spent)


def test_an_evaluation_that_was_stopped_goes_on(
    loopback, config, single_thread, monkeypatch, capsys
):
    run = finetune(config.model_copy(update={"backend": "statevector", "epochs": 1}))
    options = EvaluateConfig(run=run, backend=BACKEND, baselines=False, resamples=100)
    stop_at(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        evaluate(options)
    (begun,) = Path("runs/evaluate").iterdir()
    larger = options.model_copy(update={"backend": BACKEND.replace("=500", "=600")})
    other = Path("runs/evaluate/0-damaged")
    other.mkdir()
    shutil.copy(begun / "jobs.sqlite", other)  # of a killed process, without a config
    folder = evaluate(larger)
    assert folder == begun
    shutil.rmtree(other)
    assert len(loopback.accepted) == 1  # the threshold is the model's
    result = json.loads((folder / "result.json").read_text())
    assert result["backend"]["engine"] == "ibm"
    assert evaluate(options) != folder  # a finished one is left alone
    assert len(loopback.accepted) == 2


def test_the_budget_is_one_for_all_steps(loopback, config, single_thread):
    with pytest.raises(InvalidValueError, match="at most 12 QPU seconds in all"):
        finetune(config.model_copy(update={"backend": BACKEND.replace("=500", "=12")}))
    most = sum(job.charge for job in loopback.accepted)
    assert 2 <= len(loopback.accepted) <= 12 / min(job.charge for job in loopback.accepted)
    assert most <= 12
    (folder,) = Path("runs/finetune").iterdir()
    record = (folder / "config.json").read_text()
    (folder / "config.json").write_text(record.replace("max_qpu_seconds=12", "max_qpu_seconds=90"))
    before = len(loopback.accepted)
    finetune(config.model_copy(update={"resume": folder}))
    assert len(loopback.accepted) == 12
    assert before < 12


def test_an_unreachable_service_loses_nothing(loopback, config, single_thread, monkeypatch):
    loopback.faults.add("POST", "^/jobs$", after=4, times=1000, status=503)
    with pytest.raises(UnavailableError):
        finetune(config)
    loopback.faults.clear()
    monkeypatch.setattr("hybridq_backends.jobs.queue.DOUBT_SECONDS", 0.0)
    (folder,) = Path("runs/finetune").iterdir()
    finetune(config.model_copy(update={"resume": folder}))
    assert len(loopback.accepted) == 12


HURRIED = """
import sys, time
import hybridq_backends.jobs.queue as queue
from hybridq_backends.jobs.rate_limit import Clock
queue.Clock = lambda: Clock(time.time, lambda seconds: time.sleep(min(seconds, 0.05)))
queue.POSTS_PER_MINUTE = None
queue.DOUBT_SECONDS = 0.2
from hybridq.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_training_that_is_killed_again_and_again_pays_once(serve, config, seed):
    """Ten kills at random moments; the server never de-duplicates."""
    server = serve(ideal=True, deduplicates=False, queue_delay=0.1)
    rng = random.Random(seed)
    Path("config.json").write_text(config.model_dump_json())
    start = [sys.executable, "-c", HURRIED, "finetune"]
    arguments = ["--config", "config.json"]
    for _ in range(10):
        process = subprocess.Popen([*start, *arguments], stderr=subprocess.DEVNULL)
        before = len(server.accepted) + rng.randint(0, 2)
        ends = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < ends:
            if len(server.accepted) > before:
                time.sleep(rng.uniform(0, 0.3))
                process.kill()
            time.sleep(0.01)
        if process.wait() == 0:
            break
        (folder,) = Path("runs/finetune").iterdir()
        arguments = ["--resume", str(folder)]
    assert subprocess.run([*start, "--resume", str(folder)], check=False).returncode == 0
    assert len(server.accepted) == 12
    with Ledger.read(folder) as ledger:
        assert {job.job_id for job in ledger.jobs()} == {job.id for job in server.accepted}
