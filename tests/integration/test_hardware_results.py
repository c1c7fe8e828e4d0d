"""What a submission leaves behind, from the command line: mostly rehearsed, without a server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridq.config import SubmitConfig
from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq.submissions import read_values, results, submit
from hybridq.submissions.plan.submission import Images
from hybridq.submissions.submit import MOST_SIMULATED_QUBITS, _simulated
from hybridq_backends import open_backend
from hybridq_backends.executable import Executable
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger

REHEARSAL = "ibm_rehearsal,shots=128,resilience_level=0"
LAYOUT = ("--layout-seeds", "1")


@pytest.fixture
def run(isolated, varied_run):
    """A copy of a run, whose card and place may change."""
    folder = isolated / "trained" / "20260101-120000-cells-pqc"
    shutil.copytree(varied_run, folder)
    return folder


@pytest.fixture
def rehearse(command, run):
    """Submit the test split of the run to a rehearsal; the folder."""

    def call(*arguments, where=run):
        code, out, _ = command("submit", where, "--backend", REHEARSAL, *LAYOUT, *arguments)
        assert code == 0
        return Path(out.splitlines()[-1])

    return call


def errors(err):
    return [line for line in err.splitlines() if line.startswith("hybridq: error: ")]


def test_a_rehearsal_leaves_the_model_card_alone_and_says_what_is_mitigated(run, rehearse, command):
    card = (run / "model" / "MODEL_CARD.md").read_text()
    folder = rehearse()
    assert folder.name.count("-cells-pqc") == 1
    assert "20260101-120000" not in folder.name  # one time is enough
    code, out, _ = command("jobs", "collect", folder)
    assert code == 0
    assert "mitigation: none (resilience level 0), none in simulated" in out
    assert json.loads((folder / "result.json").read_text())["simulated_mitigation"] == "none"
    assert (run / "model" / "MODEL_CARD.md").read_text() == card
    found = read_values(folder)
    assert found.here.all()
    assert np.abs(found.values - found.simulated).max() < 6 / np.sqrt(128)


def test_a_device_is_noted_with_split_and_images(loopback, run, command):
    backend = ("--backend", "ibm,resilience_level=0,shots=128", *LAYOUT)
    assert command("submit", run, *backend, "--wait", "60")[0] == 0
    card = (run / "model" / "MODEL_CARD.md").read_text()
    count = len(Images.load(next(Path("runs/submit").glob("*"))).ids)
    assert f"### {count} images of the test split of phantom" in card
    assert command("submit", run, *backend, "--wait", "60", "--limit", "2")[0] == 0
    assert (run / "model" / "MODEL_CARD.md").read_text() == card


def test_figures_are_made_once_for_the_same_results(rehearse, command, monkeypatch):
    calls = []
    whole = results.stratified_bootstrap
    monkeypatch.setattr(results, "RESAMPLES", 20)
    monkeypatch.setattr(
        results, "stratified_bootstrap", lambda *a, **k: calls.append(1) or whole(*a, **k)
    )
    folder = rehearse("--job-executions", "600")
    with Ledger.write(folder) as ledger:
        kept = ledger.chunks()
        assert len(kept) > 1
        ledger.begin_anew(kept[-1])  # so that it is not here yet

    def collect():
        calls.clear()
        command("jobs", "collect", folder)
        return len(calls), json.loads((folder / "result.json").read_text())

    first = collect()
    assert first[0] == 3  # ideal, simulated, rehearsal
    assert collect() == (0, first[1])
    with Ledger.write(folder) as ledger:
        ledger.accept(ledger.chunks()[-1], kept[-1].job_id, tag=kept[-1].tag)
    second = collect()
    assert second[0] == 3
    assert second[1]["complete"]
    assert second[1]["compared"] != first[1]["compared"]
    assert collect() == (0, second[1])
    for lost in ("result.json", "predictions/device.csv"):
        (folder / lost).unlink()
        assert collect() == (3, second[1])
        assert (folder / lost).is_file()
    (folder / "result.json").write_text("{")
    assert collect() == (3, second[1])


def test_a_run_that_was_moved_is_named_and_remembered(rehearse, command, run):
    folder = rehearse()
    moved = run.parent / "elsewhere"
    run.rename(moved)
    code, _, err = command("jobs", "collect", folder)
    assert code == 2
    assert "--run RUN" in errors(err)[0]
    with Ledger.read(folder) as ledger:
        assert set(ledger.counts()) == {ChunkState.DONE}  # what was paid for is kept
    other = run.parent / "other"
    shutil.copytree(moved, other)
    weights = other / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    code, _, err = command("jobs", "collect", folder, "--run", other)
    assert code == 2
    assert "got other weights" in errors(err)[0]
    assert command("jobs", "collect", folder, "--run", moved)[0] == 0
    assert command("jobs", "collect", folder)[0] == 0  # remembered
    assert json.loads((folder / "result.json").read_text())["run"] == str(moved)


def test_submit_goes_on_with_a_run_that_was_moved(rehearse, command, run):
    folder = rehearse()
    moved = run.parent / "elsewhere"
    run.rename(moved)
    assert rehearse("--wait", "10", where=moved) == folder
    assert command("jobs", "collect", folder)[0] == 0


def test_a_damaged_file_is_one_line_and_exit_2(rehearse, command, run):
    folder = rehearse("--wait", "10")
    (folder / "result.json").unlink()
    for name, again in (
        ("images.npz", ("jobs", "collect", folder)),
        ("angles.npz", ("submit", run, "--backend", REHEARSAL, *LAYOUT)),
        ("circuit.qpy", ("submit", run, "--backend", REHEARSAL, *LAYOUT)),
        ("observables.json", ("submit", run, "--backend", REHEARSAL, *LAYOUT)),
    ):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(b"")
        code, _, err = command(*again)
        assert code == 2, name
        assert errors(err) == err.splitlines()[-1:]
        assert f"Expected {name} in " in err
        (folder / name).write_bytes(content)


def test_one_bad_folder_holds_up_no_command(rehearse, command, run):
    good = rehearse()
    bad = good.with_name(good.name + "x")  # the newest
    shutil.copytree(good, bad)
    (bad / "submission.json").write_text("{}")
    code, out, _ = command("jobs", "list")
    assert code == 0
    assert "1 done" in out or "1 posted" in out
    assert "unreadable: Expected submission.json" in out
    code, out, err = command("submit", run, "--backend", REHEARSAL, *LAYOUT)
    assert code == 0
    assert f"going on with {good}" in err
    assert f"{bad} may be of the same images" in err


def test_a_dry_run_does_not_simulate_the_device(command, run, monkeypatch):
    def not_now(self):
        raise AssertionError("simulated")

    monkeypatch.setattr(Executable, "simulated", not_now)
    code, out, _ = command("submit", run, "--backend", REHEARSAL, *LAYOUT, "--dry-run")
    assert code == 0
    assert "expected error" in out


@pytest.mark.parametrize(("distance", "simulated"), [(1, True), (MOST_SIMULATED_QUBITS, False)])
def test_what_is_simulated_is_limited_by_the_compiled_width(distance, simulated):
    """Two qubits far apart in a row of the device need all those between them."""
    parts = build_circuit(2, num_layers=1)
    with open_backend("statevector") as exact, open_backend("ibm_rehearsal") as backend:
        layer = QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(2),
            backend=exact,
            generator=torch.Generator().manual_seed(0),
        )
        found = _simulated(backend, layer, torch.zeros(1, 2), lambda _: (0, distance))
    assert found.shape == (int(simulated), 2)


@pytest.mark.parametrize(("limit", "told"), [("500", True), ("3", False)])
def test_a_limit_above_the_split_is_told(command, run, limit, told):
    code, _, err = command(
        "submit", run, "--backend", REHEARSAL, *LAYOUT, "--dry-run", "--limit", limit
    )
    assert code == 0
    assert ("--limit 500 of " in err) == told
    assert err.count("all are sent") == told


def test_a_command_without_its_folder_says_so_once(command):
    code, out, err = command("jobs", "status")
    assert (code, out) == (2, "")
    assert err == (
        "hybridq: error: Expected PATH, the folder that `hybridq submit` printed, got nothing: see "
        "hybridq jobs status --help.\n"
    )


def test_the_package_is_the_command():
    found = subprocess.run(
        [sys.executable, "-m", "hybridq", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("hybridq ")


REFUSALS = {
    "expired token": {"status": 401, "message": "token expired"},
    "no permission": {"status": 403, "message": "forbidden"},
    "quota": {"status": 409, "message": "usage limit"},
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_one_line_on_standard_error(loopback, run, command, name):
    loopback.faults.add("POST", r"^/jobs$", **REFUSALS[name])
    backend = ("--backend", "ibm,resilience_level=0,shots=128", *LAYOUT)
    code, _, err = command("submit", run, *backend)
    assert code == 2
    assert len(errors(err)) == 1


def test_progress_is_told_to_the_logger_alone(run, capsys, caplog):
    import logging

    config = SubmitConfig(run=run, backend=REHEARSAL, layout_seeds=1)
    submit(config)
    assert capsys.readouterr().out == ""
    with caplog.at_level(logging.INFO):
        submit(config)
    assert any("going on with" in record.getMessage() for record in caplog.records)
