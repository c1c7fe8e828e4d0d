"""A head that the package does not know, through all that it does with its own."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridq.cli import main as cli
from hybridq.config import EvaluateConfig, FinetuneConfig, PretrainConfig
from hybridq.data import load_data
from hybridq.evaluation.evaluate import evaluate
from hybridq.models.checkpoint import load_model
from hybridq.models.heads import HEADS
from hybridq.quantum import QuantumLayer, circuits_of, quantum_modules
from hybridq.runs.folder import read_result
from hybridq.training.finetune import finetune
from hybridq.training.optimizer import head_groups
from hybridq.training.pretrain import pretrain
from hybridq_backends import Deferred, open_backend
from tests.contract.swap_attention import OVERLAP, SWAP, Overlap, build_overlap, build_swap
from tests.integration.report_page import make_report

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"
IBM = "ibm,resilience_level=0,shots=50000"
POSITIONS = 4  # of the feature map of an image of 64 px


@pytest.fixture(autouse=True)
def foreign(monkeypatch):
    """One file, and a line for each head."""
    monkeypatch.setitem(HEADS, "swap", SWAP)
    monkeypatch.setitem(HEADS, "overlap", OVERLAP)


@pytest.fixture
def runs(foreign, isolated):
    """A run of the head and one of its control, on a pretrained encoder."""
    encoder = pretrain(
        PretrainConfig(data=PHANTOM, epochs=1, batch_size=8, image_size=64, hidden_dim=8)
    )
    return [
        finetune(
            FinetuneConfig(
                data=PHANTOM,
                encoder=str(encoder),
                head={"name": name},
                freeze_encoder=True,
                epochs=1,
                batch_size=8,
            )
        )
        for name in ("swap", "overlap")
    ]


def test_the_circuit_is_the_overlap():
    """The head with the circuit and the one by hand agree, values and gradients."""
    maps = torch.randn(3, 6, 2, 2, generator=torch.Generator().manual_seed(1))
    with open_backend("statevector") as exact:
        config = SWAP.config(name="swap")
        quantum = build_swap((6, 2, 2), 2, config, backend=exact)
        classical = build_overlap((6, 2, 2), 2, config)
        (layer,) = quantum_modules(quantum)
        classical.load_state_dict(
            {key: value for key, value in quantum.state_dict().items() if "overlap" not in key}
            | {"overlap.query": layer.weight.detach().clone()}
        )
        torch.testing.assert_close(quantum(maps), classical(maps), atol=1e-5, rtol=0)
        for head in (quantum, classical):
            head(maps).square().sum().backward()
        torch.testing.assert_close(
            layer.weight.grad, classical.overlap.query.grad, atol=1e-5, rtol=0
        )


def test_its_circuit_learns_at_the_circuits_rate():
    with open_backend("statevector") as exact:
        head = build_swap((6, 2, 2), 2, SWAP.config(name="swap"), backend=exact)
    groups = head_groups(head, learning_rate=1.0, block_learning_rate=2.0, weight_decay=0.1)
    fast = [id(p) for group in groups if group["lr"] == 2.0 for p in group["params"]]
    assert fast == [id(head.overlap.weight)]


def test_what_is_said_of_it_is_true(runs):
    card = (runs[0] / "model" / "MODEL_CARD.md").read_text()
    assert "| Head | swap-test attention: name swap, temperature 0.5 |" in card
    assert "| Circuits | 5 qubits, " in card
    assert "3 inputs, 3 weights, 1 observables |" in card
    for wrong in ("ansatz", "angle encoding", "num_qubits 4"):
        assert wrong not in card
    assert "| Circuits | none |" in (runs[1] / "model" / "MODEL_CARD.md").read_text()


def test_it_is_evaluated_everywhere_alike(runs):
    """Without noise it is its control by hand, on every backend that has none."""
    images = load_data(PHANTOM, splits=("test",)).splits["test"].images
    found = {}
    for backend in ("statevector", "aer_statevector", "aer_noisy,noise_scale=0,shots=none"):
        with open_backend(backend) as opened:
            model, _ = load_model(runs[0], backend=opened)
            with torch.inference_mode():
                found[backend] = model(model.encoder.prepare(images))
    first, *others = found.values()
    for other in others:
        torch.testing.assert_close(other, first, atol=1e-4, rtol=0)
    (layer,) = quantum_modules(model.head)
    model.head.overlap = Overlap(layer.weight.detach().clone())
    with torch.inference_mode():
        torch.testing.assert_close(model(model.encoder.prepare(images)), first, atol=1e-5, rtol=0)
    for backend in ("fake_manila,shots=200", "ibm_rehearsal,rehearse=fake_manila,shots=64"):
        result = read_result(
            evaluate(EvaluateConfig(run=runs[0], backend=backend, baselines=False))
        )
        assert result["head"] == "swap"
        assert result["head_parameters"].endswith("3 of them in the circuit")


@pytest.mark.parametrize("backend", ["ibm_rehearsal,shots=64,seed=3", "aer_shots,seed=3"])
def test_replay_equals_direct_execution(runs, backend):
    """Bit for bit, with the seeds of the same jobs."""
    images = load_data(PHANTOM, splits=("test",)).splits["test"].images
    with open_backend(backend) as opened, torch.inference_mode():
        model, _ = load_model(runs[0], backend=opened)
        prepared = model.encoder.prepare(images)
        direct = model(prepared)
    with open_backend(backend) as opened, torch.inference_mode():
        later = Deferred(opened)
        with model.running_on(later):
            model(prepared)
        (request,) = later.requests
        assert len(request.rows) == POSITIONS * len(images)
        later.answer([opened.run(request.prepared, request.rows)])
        with model.running_on(later):
            assert torch.equal(model(prepared), direct)


def test_a_noise_study_reads_it(runs):
    folder = cli_study("noise", *map(str, runs), "--device", "FakeManila", "--noise-scale", "0,1")
    rows = table(folder / "study.csv")
    exact = {row["noise_scale"]: row for row in rows if row["shots"] == "none"}
    assert float(exact["0.0"]["rms_error"]) < 1e-6
    assert float(exact["1.0"]["rms_error"]) > 1e-3
    assert {row["head"] for row in rows} == {"swap"}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def cli_study(name, *arguments):
    assert cli.main(["study", name, *arguments, "--workers", "1"]) == 0
    (folder,) = Path("runs/study").iterdir()
    return folder


def test_it_is_submitted_and_collected(runs, serve):
    """Four circuits an image; an ideal device gives the probabilities of an exact simulator."""
    serve(ideal=True)
    assert cli.main(["submit", str(runs[0]), "--backend", IBM, "--wait", "60", "--yes"]) == 0
    (folder,) = Path("runs/submit").iterdir()
    result = json.loads((folder / "result.json").read_text())
    data = load_data(PHANTOM, splits=("test",)).splits["test"]
    assert result["complete"]
    assert result["images"] == result["images_here"] == len(data)
    assert result["chunks"][-1]["rows"][1] == POSITIONS * len(data)
    with open_backend("statevector") as exact, torch.inference_mode():
        model, _ = load_model(runs[0], backend=exact)
        probs = model(model.encoder.prepare(data.images)).softmax(dim=1).numpy()
    rows = table(folder / "predictions" / "device.csv")
    found = np.array([[float(row["prob_0"]), float(row["prob_1"])] for row in rows])
    np.testing.assert_allclose(found, probs, atol=0.01)
    assert "On hardware" in (runs[0] / "model" / "MODEL_CARD.md").read_text()


def test_a_report_shows_the_circuit_that_it_has(runs):
    evaluations = [evaluate(EvaluateConfig(run=run, resamples=100)) for run in runs]
    assert make_report([*runs, *evaluations], Path("report.html")) == 0
    text = Path("report.html").read_text()
    assert "swap-test attention" in text
    assert "5 qubits:" in text
    assert "num_qubits 4" not in text


class Chained(torch.nn.Module):
    """Two circuits, of which the second needs the first one's result."""

    def __init__(self, features, num_classes, backend):
        super().__init__()
        circuit = build_swap((4, 1, 1), num_classes, SWAP.config(name="swap"), backend=backend)
        self.first = circuit.overlap
        self.second = QuantumLayer(
            self.first.qnn.circuit,
            input_params=self.first.circuits()[0].input_params,
            weight_params=self.first.circuits()[0].weight_params,
            observables=self.first.circuits()[0].observables,
            backend=backend,
        )
        self.read = torch.nn.Linear(1, num_classes)

    def forward(self, features):
        return self.read(self.second(self.first(features[:, :3]).expand(-1, 3)))


def test_circuits_that_depend_on_one_another_are_refused(runs, serve, monkeypatch, capsys):
    server = serve(ideal=True)

    def build(in_shape, num_classes, config, *, backend=None, generator=None):
        return Chained(in_shape, num_classes, backend)

    monkeypatch.setitem(HEADS, "chained", type(SWAP)(SWAP.config, build, "chained", "overlap"))
    run = finetune(FinetuneConfig(data=PHANTOM, head={"name": "chained"}, epochs=1, batch_size=8))
    assert len(circuits_of(load_model(run, backend=open_backend("statevector"))[0])) == 2
    assert cli.main(["submit", str(run), "--backend", IBM]) == 2
    assert "depend on the results of other circuits" in capsys.readouterr().err
    assert not server.accepted
