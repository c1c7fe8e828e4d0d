"""The heads of related papers, each by its name through all that a head goes through."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridq.cli import main as cli
from hybridq.config import EvaluateConfig, FinetuneConfig
from hybridq.data import load_data
from hybridq.evaluation.evaluate import evaluate
from hybridq.models.checkpoint import load_model
from hybridq.models.heads import control_of, quantum_heads
from hybridq.quantum.modules import circuits_of
from hybridq.runs.folder import read_result
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"
SMALL = {"num_qubits": 2, "num_layers": 1}
HEADS = {
    "lqer": ({**SMALL, "registers": 2}, 2, 2),  # settings, circuits, circuits an image
    "ttn": (SMALL, 1, 1),
    "hyper": ({**SMALL, "hyper_inputs": 4}, 1, 1),
    "generated": ({**SMALL, "inputs": 8, "hidden": 8}, 1, None),
    "swap_attention": ({"tokens": 4, "token_dim": 4}, 1, 16),
    "reservoir": ({"num_qubits": 2, "times": 2, "trotter_steps": 2, "detuning": 6.0}, 2, 2),
    "qkernel": ({"num_qubits": 2, "kernels": "zz,projected-angle", "support": 2}, 2, None),
}
DONE = {"pqc", "pqc_residual"}
"""Heads that have tests like these elsewhere."""


def trained(name, fields):
    return finetune(
        FinetuneConfig(
            data=PHANTOM,
            image_size=64,
            head={"name": name, **fields},
            freeze_encoder=True,
            head_start="random",
            epochs=2,
            batch_size=8,
        )
    )


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_quantum_head_is_here():
    assert set(quantum_heads()) == HEADS.keys() | DONE


@pytest.mark.parametrize("name", HEADS)
def test_a_head_goes_everywhere(name, serve):
    """Trained, saved, read again, evaluated on exact, noisy and rehearsed devices, submitted."""
    fields, circuits, by_image = HEADS[name]
    run = trained(name, fields)
    data = load_data(PHANTOM, splits=("test",)).splits["test"]
    found = {}
    for backend in ("statevector", "aer_statevector", "aer_noisy,noise_scale=0,shots=none"):
        with open_backend(backend) as opened, torch.inference_mode():
            model, spec = load_model(run, backend=opened)
            found[backend] = model(model.encoder.prepare(data.images)).softmax(dim=1).numpy()
    exact = found["statevector"]
    for other in found.values():
        np.testing.assert_allclose(other, exact, atol=1e-5)
    assert len(circuits_of(model)) == circuits
    assert spec.head.name == name
    for backend in ("fake_manila,shots=200", "ibm_rehearsal,rehearse=fake_manila,shots=64"):
        result = read_result(
            evaluate(EvaluateConfig(run=run, backend=backend, baselines=False, resamples=100))
        )
        assert result["head"] == name
        assert result["backend"]["profile"] == backend.split(",")[0]
    serve(ideal=True)
    shots = 8_000 if name in ("swap_attention", "qkernel") else 50_000  # what an account can pay
    backend = f"ibm,resilience_level=0,shots={shots}"
    assert cli.main(["submit", str(run), "--backend", backend, "--wait", "60", "--yes"]) == 0
    (folder,) = Path("runs/submit").iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert result["complete"]
    if name == "qkernel":  # a pair of an image and a support vector each, and each of both once
        rows = (support := len(model.head.support)) * len(data) + len(data) + support
    else:
        rows = fields["inputs"] if by_image is None else by_image * len(data)
    assert result["chunks"][-1]["rows"][1] == rows
    lines = table(folder / "predictions" / "device.csv")
    probs = [[float(line["prob_0"]), float(line["prob_1"])] for line in lines]
    np.testing.assert_allclose(probs, exact, atol=4.5 / shots**0.5)


@pytest.mark.parametrize("name", HEADS)
def test_a_noise_study_reads_it_beside_its_control(name):
    """Without noise its circuits are off by nothing, whatever they are asked about."""
    fields, control = HEADS[name][0], control_of(name)
    own = ("kernels", "trotter_steps", "detuning")
    of_control = {key: value for key, value in fields.items() if key not in own}
    runs = [trained(name, fields), trained(control, of_control)]
    with open_backend("statevector") as exact:
        model, spec = load_model(runs[1], backend=exact)
    assert not circuits_of(model)
    assert spec.head.name == control
    options = ["--device", "FakeManila", "--noise-scale", "0,1", "--shots", "none"]
    assert cli.main(["study", "noise", *map(str, runs), *options, "--workers", "1"]) == 0
    (folder,) = Path("runs/study").iterdir()
    rows = {row["noise_scale"]: row for row in table(folder / "study.csv")}
    assert {row["head"] for row in rows.values()} == {name}
    assert float(rows["0.0"]["rms_error"]) < 1e-6
    assert 1e-4 < float(rows["1.0"]["rms_error"]) < 1


REAL = {"breastmnist": 2, "bccd_cells": 3, "stenosis": 2}
"""Sets of images by their number of classes."""


@pytest.mark.slow
@pytest.mark.parametrize("data", REAL)
@pytest.mark.parametrize("name", [*HEADS, *sorted(DONE)])
def test_the_shell_trains_it_on_real_images(name, data, data_root, serve, capsys):
    """With its defaults: trained, read exactly, under noise and in rehearsal, submitted."""
    source = ["breastmnist", "--data-root", str(data_root / "medmnist")]
    if data != "breastmnist":
        source = [str(data_root / data)]

    def run(*words):
        assert cli.main(list(words)) == 0
        return capsys.readouterr().out.strip().splitlines()[-1]

    recipe = ["--labels", "0.5", "--epochs", "1", "--image-size", "32", "--freeze-encoder"]
    folder = run("finetune", "--data", *source, "--head", name, *recipe)
    root = source[1:]
    kept = ["--limit", "12", "--no-baselines", "--resamples", "100", *root]
    rehearsal = "ibm_rehearsal,rehearse=fake_manila,shots=64"
    for backend in ("statevector", "fake_manila,shots=100", rehearsal):
        found = read_result(Path(run("evaluate", folder, "--backend", backend, *kept)))
        assert found["images"] == 12
        assert found["head"] == name
    serve(ideal=True)
    backend = "ibm,resilience_level=0,shots=100"
    options = ["--limit", "4", "--wait", "120", "--yes", *root]
    submitted = Path(run("submit", folder, "--backend", backend, *options))
    found = json.loads((submitted / "result.json").read_text())
    assert found["complete"]
    (line, *_) = table(submitted / "predictions" / "device.csv")
    assert sum(key.startswith("prob_") for key in line) == REAL[data]
