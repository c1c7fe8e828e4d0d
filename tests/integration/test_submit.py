"""Submitting, collecting and what can go wrong, with IBM's own client against a loopback server."""

from __future__ import annotations

import csv
import json
import re
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridq.models.checkpoint import load_model
from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq.quantum.captured import replaced
from hybridq.submissions.plan.circuit import Program
from hybridq.submissions.plan.submission import Images, Submission
from hybridq_backends import open_backend
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.rate_limit import Clock
from tests.integration.submissions import PLAIN, folders, newest, posts, states


@pytest.fixture
def run(varied_run):
    return varied_run


def check_values(folder, expected, shots=2048, factor=5.0):
    """Every image has a value, within shot noise of what is expected."""
    with Ledger.read(folder) as ledger:
        here, values, stds = ledger.results()
    assert here.all()
    assert (np.abs(values - expected) < factor / np.sqrt(shots) + 1e-9).all()
    assert (stds <= 1.01 / np.sqrt(shots)).all()
    return values


@pytest.mark.parametrize("mode", ["batch", "job", "session"])
def test_from_submit_to_predictions_in_every_mode(serve, submit, command, mode):
    server = serve(ideal=True, plan="paid" if mode == "session" else "open")
    code, out, _ = submit(backend=f"ibm,{PLAIN},mode={mode}")
    assert code == 0
    folder = newest()
    assert str(folder) in out
    assert "QPU time" in out
    assert len(server.accepted) == 1
    session = server.accepted[0].session_id
    assert (session is None) == (mode == "job")
    assert all(not one.accepting_jobs for one in server.sessions.values())  # closed after posting

    server.wait_idle(60)
    code, out, _ = command("jobs", "collect", folder)
    assert code == 0
    assert re.search(r"\bideal\b.*\bsimulated\b.*\bhardware\b", out)
    images = Images.load(folder)
    check_values(folder, images.ideal)

    result = json.loads((folder / "result.json").read_text())
    assert result["complete"]
    assert result["qpu_seconds"] == pytest.approx(2 + 0.00035 * 2048 * len(images.ids))
    assert set(result["compared"]) == {"ideal", "simulated", "hardware"}
    rows = list(csv.DictReader((folder / "predictions" / "device.csv").open()))
    assert [row["id"] for row in rows] == list(images.ids)
    code, out, _ = command("jobs", "status", folder)
    assert (code, out.count("done")) == (0, 1)


def test_predictions_are_the_readout_of_the_values(loopback, submit, run):
    submit("--wait", "60")
    folder = newest()
    with Ledger.read(folder) as ledger:
        _, values, _ = ledger.results()
    images = Images.load(folder)
    with open_backend("statevector") as exact:
        model, _ = load_model(run, backend=exact)
        with torch.no_grad(), replaced(model.head, [torch.from_numpy(values)]):
            logits = model.head(torch.from_numpy(images.features))
    probs = logits.double().softmax(dim=1).numpy()
    rows = list(csv.DictReader((folder / "predictions" / "device.csv").open()))
    found = np.array([[float(row["prob_0"]), float(row["prob_1"])] for row in rows])
    np.testing.assert_allclose(found, probs, atol=1e-6)
    threshold = Submission.load(folder).threshold
    positive = Submission.load(folder).positive
    names = Submission.load(folder).class_names
    for row, prob in zip(rows, probs, strict=True):
        wanted = positive if prob[positive] >= threshold else 1 - positive
        assert row["predicted"] == names[wanted]


def test_a_noisy_device_gives_what_the_noisy_simulator_gives(serve, submit):
    serve(ideal=False)
    code, _, _ = submit("--wait", "60", backend="ibm,resilience_level=0,shots=8192")
    assert code == 0
    folder = newest()
    images = Images.load(folder)
    assert np.abs(images.simulated - images.ideal).max() > 0.02  # there is something to see
    # the server's simulator has no idle relaxation, which is 1e-2 at the most here
    check_values(folder, images.simulated, shots=8192, factor=6.0)


def test_results_are_collected_chunk_by_chunk_and_partial_ones_kept(loopback, submit, command):
    loopback.hold()
    code, _, _ = submit("--job-executions", "6000")  # two images a job
    assert code == 0
    folder = newest()
    count = len(states(folder))
    assert count > 2
    code, out, _ = command("jobs", "collect", folder)
    assert code == 3
    assert "PARTIAL: 0 of" in out
    loopback.release()
    loopback.wait_idle(60)
    code, out, _ = command("jobs", "collect", folder)
    assert code == 0
    assert states(folder) == ["done"] * count
    assert len(loopback.accepted) == count
    assert len({tuple(job.tags) for job in loopback.accepted}) == count


def test_the_same_command_again_posts_nothing_twice(loopback, submit):
    submit()
    submit()
    submit("--wait", "60")
    assert len(loopback.accepted) == 1
    assert len(folders()) == 1
    code, _, err = submit()  # complete: nothing to do
    assert code == 0
    assert "going on with" in err
    submit("--again")
    assert len(loopback.accepted) == 2
    assert len(folders()) == 2


def test_dry_run_posts_and_writes_nothing(loopback, submit):
    code, out, _ = submit("--dry-run")
    assert code == 0
    for word in (
        "device",
        "layout",
        "expected error",
        "executions",
        "QPU time",
        "kB",
        "of the 600",
    ):
        assert word in out
    assert posts(loopback) == []
    assert loopback.sessions == {}
    assert not Path("runs").exists()


def test_a_budget_is_kept_before_and_by_the_service(loopback, submit):
    code, _, err = submit("--max-qpu-seconds", "3")
    assert code == 2
    assert "Expected at most 3 QPU seconds" in err
    assert posts(loopback) == []
    assert not Path("runs").exists()
    assert submit("--max-qpu-seconds", "30")[0] == 0
    assert loopback.accepted[0].cost == 30


def test_a_budget_just_above_the_estimate_needs_a_word(loopback, submit):
    _, out, _ = submit("--dry-run")
    least = int(re.search(r"least budget +--max-qpu-seconds (\d+)", out)[1])
    own, quick = (
        float(re.search(rf"{name} +([\d.]+) s ", out)[1]) for name in ("QPU time", "quick formula")
    )
    assert own < quick < least - 2
    code, _, err = submit("--max-qpu-seconds", least - 1)
    assert code == 2
    assert f"raise --max-qpu-seconds to {least}, or give --tight-budget" in err
    assert posts(loopback) == []
    assert submit("--max-qpu-seconds", least - 1, "--tight-budget")[0] == 0
    assert loopback.accepted[0].cost == least - 1


def test_much_qpu_time_needs_a_word(serve, submit):
    server = serve(ideal=True)
    backend = "ibm,resilience_level=0,shots=100000"
    code, _, err = submit(backend=backend)
    assert code == 2
    assert "Expected a budget for an estimate of" in err
    assert posts(server) == []
    code, _, err = submit("--yes", backend=backend)
    assert code == 0
    server.seconds_left = 5.0
    code, _, err = submit("--yes", "--again", backend=backend)
    assert code == 2
    assert "has left" in err


def test_a_session_on_the_open_plan_is_a_sentence(serve, submit):
    server = serve(plan="open")
    code, out, _ = submit(backend=f"ibm,{PLAIN},mode=session")
    assert code == 2
    assert "this plan has no sessions: use mode=batch or mode=job" in out
    assert posts(server) == []
    assert states(newest()) == ["planned"]


FAULTS = {
    "503 refused": ({"status": 503}, 3, 0, "uncertain"),
    "503 accepted": ({"status": 503, "accept": True}, 0, 1, ""),
    "lost answer": ({"drop": True, "accept": True}, 0, 1, ""),
    "lost request": ({"drop": True}, 3, 0, "uncertain"),
    "garbled answer": ({"body": b"<html>", "accept": True}, 0, 1, ""),
    "bad request": ({"status": 400, "code": 9999, "message": "odd"}, 3, 0, "failed"),
    "too large": ({"status": 413, "message": "payload too large"}, 3, 0, "failed"),
    "no permission": ({"status": 403, "message": "forbidden"}, 2, 0, "renew the token"),
    "expired token": ({"status": 401, "message": "token expired"}, 2, 0, "renew the token"),
    "quota": ({"status": 409, "message": "usage limit"}, 2, 0, "time is used up"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_post(loopback, submit, command, name):
    fault, code, accepted, word = FAULTS[name]
    loopback.faults.add("POST", r"^/jobs$", **fault)
    found, out, _ = submit()
    assert found == code
    assert word in out
    assert len(loopback.accepted) == accepted
    # whatever it was, the same command again (and a word where money is at stake) ends it
    again = {"failed": ("--retry-failed",), "uncertain": ("--repost",)}.get(word, ())
    assert submit("--wait", "60", *again)[0] == 0
    assert len(loopback.accepted) == 1
    check_values(newest(), Images.load(newest()).ideal)


@pytest.mark.parametrize("second", [{"status": 409}, {"status": 401}, {"drop": True}])
def test_a_server_error_is_not_posted_through(loopback, submit, second):
    """IBM's client posts again after a 503, and what it hears then says nothing of the first."""
    loopback.faults.add("POST", r"^/jobs$", status=503, accept=True)
    loopback.faults.add("POST", r"^/jobs$", **second)
    submit()
    assert len(posts(loopback)) == 1
    assert submit("--wait", "60")[0] == 0
    assert len(loopback.accepted) == 1


@pytest.mark.parametrize("headers", [{"Retry-After": "1"}, {}])
def test_too_many_requests(loopback, submit, monkeypatch, headers):
    slept = []
    loopback.faults.add("POST", r"^/jobs$", status=429, headers=headers)
    module = import_module("hybridq.submissions.submit")
    monkeypatch.setattr(module, "Clock", lambda: Clock(sleep=slept.append))
    assert submit()[0] == 0
    assert slept == [1.0 if headers else 60.0]
    assert len(loopback.accepted) == 1


def test_a_device_in_maintenance_takes_no_jobs(loopback, submit):
    loopback.operational = False
    loopback.status_message = "maintenance"
    code, out, err = submit(backend=f"ibm,device=ibm_loopback,{PLAIN}")
    assert code == 2
    assert "maintenance" in out + err
    assert posts(loopback) == []
    loopback.operational = True
    loopback.status_message = "active"
    assert submit(backend=f"ibm,device=ibm_loopback,{PLAIN}")[0] == 0
    assert len(loopback.accepted) == 1


def test_a_closed_batch_is_opened_anew(loopback, submit, monkeypatch):
    fault = {"status": 400, "code": 1217, "message": "Session has been closed"}
    loopback.faults.add("POST", r"^/jobs$", after=1, **fault)
    assert submit("--job-executions", "6000")[0] == 0
    assert set(states(newest())) == {"posted"}
    assert len(loopback.sessions) == 2


def test_a_failed_job_says_why_and_is_retried_alone(loopback, submit, command):
    loopback.faults.fail_job(reason="Error in calibration", code=6054)
    submit("--job-executions", "6000")
    folder = newest()
    loopback.wait_idle(60)
    code, out, _ = command("jobs", "collect", folder)
    assert code == 3
    assert states(folder)[0] == "failed"
    code, out, _ = command("jobs", "status", folder)
    assert "Error in calibration" in out
    before = len(loopback.accepted)
    assert submit("--job-executions", "6000", "--retry-failed", "--wait", "60")[0] == 0
    assert len(loopback.accepted) == before + 1
    assert len({tuple(job.tags) for job in loopback.accepted}) == before + 1


def test_a_job_that_ran_too_long(loopback, submit, command):
    loopback.faults.fail_job(reason="Ran too long", code=1305, status="Cancelled - Ran too long")
    submit()
    loopback.wait_idle(60)
    assert command("jobs", "collect", newest())[0] == 3
    assert states(newest()) == ["failed"]


def test_cancel(loopback, submit, command):
    loopback.hold()
    submit("--job-executions", "6000")
    assert command("jobs", "cancel", newest())[0] == 0
    assert set(states(newest())) == {"cancelled"}
    assert {job.state for job in loopback.accepted} == {"Cancelled"}


def test_uncertain_chunks_turn_up_later(serve, submit, command):
    server = serve(ideal=True, listing_delay=5.0)
    server.faults.add("POST", r"^/jobs$", drop=True, accept=True)
    code, out, _ = submit()
    assert code == 3
    assert "1 uncertain" in out
    assert states(newest()) == ["uncertain"]
    code, out, _ = command("jobs", "collect", newest(), "--settle-seconds", "6", "--wait", "60")
    assert code == 0
    assert len(server.accepted) == 1


def test_polls_survive_a_bad_network(loopback, submit, command):
    submit()
    loopback.wait_idle(60)
    loopback.faults.add("GET", r"^/jobs/[^/]+/results$", status=429, headers={"Retry-After": "0"})
    loopback.faults.add("GET", r"^/jobs/[^/]+$", drop=True, times=2)
    code, _, _ = command("jobs", "collect", newest(), "--wait", "60")
    assert code == 0


def test_no_secret_reaches_any_file_or_stream(serve, submit, command):
    server = serve(ideal=True)
    server.faults.add("POST", r"^/jobs$", status=400, message=f"bad token {server.token}")
    seen = []
    for give in (
        lambda: submit(),
        lambda: submit("--retry-failed", "--wait", "60"),
        lambda: command("jobs", "status", newest()),
        lambda: command("jobs", "list"),
    ):
        seen += give()[1:]
    for path in Path().rglob("*"):
        if path.is_file():
            assert server.token.encode() not in path.read_bytes(), path
    assert all(server.token not in text for text in seen)


def test_an_evaluation_of_156_images_is_one_small_job(loopback, submit, run):
    backend = "ibm,resilience_level=0,shots=1024"
    assert submit("--data", "phantom,size=16,count=624", backend=backend)[0] == 0
    (job,) = loopback.accepted
    plan = Submission.load(newest()).plan
    assert plan["images"] == 156
    assert job.body_bytes < 1_000_000
    assert plan["qpu_seconds"] < 60
    assert plan["jobs"][0]["body_bytes"] == pytest.approx(job.body_bytes, rel=0.02)


def test_a_training_step_is_one_small_job(loopback):
    parts = build_circuit(4, num_layers=2)
    layer, exact = (
        QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(4)[:2],
            backend=open_backend(backend),
            generator=torch.Generator().manual_seed(0),
            init_std=1.0,
        )
        for backend in ("ibm,resilience_level=0,shots=4096,max_qpu_seconds=500", "statevector")
    )
    assert layer.weight.shape == (12,)
    found = []
    for one in (layer, exact):
        angles = torch.linspace(0, 3, 16).view(4, 4).requires_grad_()
        one(angles).square().sum().backward()
        found.append((angles.grad, one.weight.grad))
    (job,) = loopback.accepted
    print(job.body_bytes)
    assert job.body_bytes <= 25_000
    for mine, wanted in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted, atol=0.25, rtol=0)
    layer.backend.close()


def test_a_program_is_read_as_it_was_written(loopback, submit, monkeypatch):
    """Compared with what was compiled, before it was ever saved."""
    saved = []
    whole = Program.save
    monkeypatch.setattr(
        Program, "save", lambda self, folder: saved.append(self) or whole(self, folder)
    )
    submit()
    (program,) = saved
    found = Program.load(newest())
    (part,), (own,) = found.parts, program.parts
    assert part.circuit == own.circuit
    names = [parameter.name for parameter in own.circuit.parameters]
    assert [parameter.name for parameter in part.circuit.parameters] == names
    assert len(names) == own.angles.shape[1] > 0
    np.testing.assert_array_equal(part.angles, own.angles)
    assert part.column.tolist() == own.column.tolist()
    # and bound, image by image, they are the same circuit
    for mine, theirs in zip(part.angles, own.angles, strict=True):
        assert part.circuit.assign_parameters(mine) == own.circuit.assign_parameters(theirs)


def test_image_files_are_submitted_without_labels(loopback, command, run, save_folder):
    files = sorted(save_folder().rglob("*.png"))[:3]
    code, out, _ = command("submit", run, *files, "--backend", f"ibm,{PLAIN}", "--wait", "60")
    assert code == 0
    rows = list(csv.DictReader((newest() / "predictions" / "device.csv").open()))
    assert [row["id"] for row in rows] == [str(file) for file in files]
    assert "auc" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--backend", "aer_statevector"), "Expected a backend that takes jobs"),
        (("--backend", "ibm,device=ibm_nowhere"), "ibm_nowhere"),
        (("--limit", "1"), "--limit"),
        (("--data", "/nowhere"), "nowhere"),
    ],
)
def test_bad_input_writes_nothing(loopback, command, run, arguments, message):
    code, _, err = command("submit", run, *arguments)
    assert code == 2
    assert message in err
    assert err.startswith("hybridq: error: ")
    assert err.count("\n") == 1
    assert not Path("runs").exists()
    assert posts(loopback) == []


def test_a_head_without_a_circuit_has_nothing_to_submit(loopback, command, finetuned_control):
    code, _, err = command("submit", finetuned_control, "--backend", "ibm")
    assert code == 2
    assert "Expected a run with a quantum head" in err


def test_other_weights_in_the_run_are_noticed(loopback, run, command, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    command("submit", other, "--backend", f"ibm,{PLAIN}")
    path = other / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    loopback.wait_idle(60)
    code, _, err = command("jobs", "collect", newest())
    assert code == 2
    assert "got other weights" in err
    with Ledger.read(newest()) as ledger:
        assert ledger.counts() == {ChunkState.DONE: 1}  # what was paid for is kept
