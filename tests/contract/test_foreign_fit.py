"""A head that is fitted in closed form, whose state has the shape of the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hybridq.cli import main as cli
from hybridq.config import FinetuneConfig
from hybridq.data import load_data
from hybridq.models.checkpoint import load_model
from hybridq.models.heads import HEADS
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend
from tests.contract.kernel_machine import COSINES, KERNEL
from tests.integration.report_page import make_report

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"


@pytest.fixture(autouse=True)
def foreign(monkeypatch):
    monkeypatch.setitem(HEADS, "kernel", KERNEL)
    monkeypatch.setitem(HEADS, "cosines", COSINES)


def fitted(name="kernel", labels=1.0, **changes):
    return finetune(
        FinetuneConfig(
            **{
                "data": PHANTOM,
                "head": {"name": name},
                "labels": labels,
                "freeze_encoder": True,
                **changes,
            }
        )
    )


def test_what_it_keeps_has_the_shape_of_the_data(isolated):
    for labels, rows in ((1.0, 24), (0.5, 12)):
        run = fitted(labels=labels)
        with open_backend("statevector") as exact:
            model, _ = load_model(run, backend=exact)
            assert model.head.support.shape == (rows, 2)
            assert model.head.alpha.shape == (rows, 2)
            data = load_data(PHANTOM, splits=("val",)).splits["val"]
            with torch.inference_mode():
                probs = model(model.encoder.prepare(data.images)).softmax(dim=1)
        result = json.loads((run / "result.json").read_text())
        from hybridq.evaluation.metrics.scores import auc

        assert result["kept"]["val_auc"] == pytest.approx(auc(data.labels, probs.numpy()))
        assert (run / "metrics.jsonl").read_text().count("\n") == 1


def test_it_goes_through_all_commands(serve, capsys):
    runs = [fitted(), fitted("cosines")]
    for backend in ("statevector", "fake_manila,shots=100", "ibm_rehearsal,rehearse=fake_manila"):
        assert cli.main(["evaluate", str(runs[0]), "--backend", backend, "--resamples", "100"]) == 0
    study = ["study", "noise", *map(str, runs), "--device", "FakeManila", "--workers", "1"]
    assert cli.main([*study, "--noise-scale", "0,1", "--shots", "none"]) == 0
    serve(ideal=True)
    ibm = "ibm,resilience_level=0,shots=512"
    assert cli.main(["submit", str(runs[0]), "--backend", ibm, "--wait", "60"]) == 0
    (submission,) = Path("runs/submit").iterdir()
    assert json.loads((submission / "result.json").read_text())["complete"]
    assert make_report([*runs, *Path("runs/evaluate").iterdir()], Path("report.html")) == 0
    assert "quantum kernel ridge" in Path("report.html").read_text()
    assert (
        "quantum kernel ridge: name kernel, ridge 0.1"
        in (runs[0] / "model" / "MODEL_CARD.md").read_text()
    )


def test_an_encoder_below_it_cannot_be_trained(capsys):
    options = ["--data", PHANTOM, "--head", "kernel"]
    assert cli.main(["finetune", *options]) == 2
    assert "Expected --freeze-encoder" in capsys.readouterr().err
    assert not Path("runs").exists()
