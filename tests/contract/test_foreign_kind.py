"""A kind of backend that the package does not know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridq.cli import main as cli
from hybridq.data import load_data
from hybridq.models.checkpoint import load_model
from hybridq.quantum.modules import quantum_modules
from hybridq_backends import KINDS, check_backend, open_backend
from tests.contract.white_noise import WHITE_NOISE
from tests.integration.report_page import make_report

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"
PROFILE = 'summary = "White noise"\nkind = "white_noise"\nerror_rate = 0.2\n'


@pytest.fixture(autouse=True)
def foreign(monkeypatch, isolated):
    """A line, and a profile by which it is known to the command line."""
    monkeypatch.setitem(KINDS, "white_noise", WHITE_NOISE)
    folder = Path("backends.d")
    folder.mkdir()
    (folder / "white.toml").write_text(PROFILE)


def only(pattern):
    (found,) = Path().glob(pattern)
    return found


def test_it_goes_through_all_commands(capsys):
    options = ("--batch-size", "8", "--epochs", "2", "--freeze-encoder", "--keep", "last")
    noise = ("--backend", "white", "--noise-curriculum", "0,1")
    assert cli.main(["finetune", "--data", PHANTOM, *options, *noise]) == 0
    run = only("runs/finetune/*")
    record = json.loads((run / "environment.json").read_text())["backend"]
    assert (record["profile"], record["kind"], record["engine"]) == ("white", *["white_noise"] * 2)
    for backend in ("white,error_rate=0.5", "statevector"):
        assert cli.main(["evaluate", str(run), "--resamples", "100", "--backend", backend]) == 0
    assert make_report([run, *Path().glob("runs/evaluate/*")], Path("report.html")) == 0
    assert "white,error_rate=0.5" in Path("report.html").read_text()


def test_a_model_on_it_is_that_of_another_with_less_contrast():
    assert cli.main(["finetune", "--data", PHANTOM, "--epochs", "1", "--freeze-encoder"]) == 0
    images = load_data(PHANTOM, splits=("test",)).splits["test"].images
    found = []
    for backend in ("white,error_rate=0.25", "aer_statevector"):
        with open_backend(backend) as opened, torch.inference_mode():
            model, _ = load_model(only("runs/finetune/*"), backend=opened)
            features = model.encoder(model.encoder.prepare(images))
            (layer,) = quantum_modules(model.head)
            found.append(layer(model.head.reducer(features)).numpy())
    np.testing.assert_allclose(found[0], 0.75 * found[1], rtol=0, atol=1e-6)


def test_commands_on_backends_know_it(capsys):
    assert cli.main(["backends", "list"]) == 0
    assert "White noise" in capsys.readouterr().out
    assert cli.main(["backends", "show", "white"]) == 0
    assert "Share p of the maximally mixed state" in capsys.readouterr().out
    report = check_backend("white")
    assert report.passed, report.lines()
    assert {probe.name for probe in report.probes} >= {"no shot noise", "readout error alone"}
    wrong = check_backend(WHITE_NOISE.spec(error_rate=0.0))
    assert "closed forms" in {probe.name for probe in wrong.probes}
    assert wrong.passed, wrong.lines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "nothing", "--backend", "white,error_rate=2"), "less than or equal to 1"),
        (("backends", "show", "white,eror_rate=0"), "did you mean `error_rate`?"),
        (("submit", "nothing", "--backend", "white"), "a simulator"),
    ],
)
def test_what_it_cannot_is_one_line(capsys, arguments, message):
    assert cli.main(list(arguments)) == 2
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("hybridq: error")
    ]
    assert len(lines) == 1
    assert message in lines[0] or "nothing" in lines[0]


def test_a_copy_opens_it_anew():
    import copy

    with open_backend("white") as executable, copy.copy(executable) as twin:
        assert twin.describe()["error_rate"] == 0.2
