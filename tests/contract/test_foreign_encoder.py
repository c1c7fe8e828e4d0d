"""An encoder and a self-supervised method that the package does not know."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hybridq.cli import main as cli
from hybridq.models.checkpoint import load_model
from hybridq.models.encoders import ENCODERS
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.models.encoders.file import load_encoder
from hybridq.models.ssl import SSL
from hybridq_backends import open_backend
from tests.contract.alike_method import ALIKE
from tests.contract.narrow_encoder import NARROW
from tests.integration.report_page import make_report

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = ("--data", "phantom,size=16,count=40", "--batch-size", "8")


@pytest.fixture(autouse=True)
def foreign(monkeypatch):
    """A line for each."""
    monkeypatch.setitem(ENCODERS, "narrow", NARROW)
    monkeypatch.setitem(SSL, "alike", ALIKE)


def only(pattern):
    (found,) = Path().glob(pattern)
    return found


def test_they_go_through_all_commands(capsys):
    options = ("--encoder.name", "narrow", "--ssl", "alike", "--ssl.weight", "2")
    assert cli.main(["pretrain", *PHANTOM, "--epochs", "2", *options]) == 0
    pretrained = only("runs/pretrain/*")
    encoder = load_encoder(pretrained)
    assert (encoder.spec.architecture, encoder.spec.weights) == ("narrow", "alike on phantom")
    assert encoder.num_features == 512
    assert encoder.out_shape == (512, 4, 4)  # of 32 px
    frozen = ("--encoder", str(pretrained), "--freeze-encoder", "--epochs", "1")
    assert cli.main(["finetune", *PHANTOM, *frozen]) == 0
    run = only("runs/finetune/*")
    card = (run / "model" / "MODEL_CARD.md").read_text()
    assert "| Encoder | NarrowNet, 32 px, stride2 stem |" in card
    assert "| Encoder weights from | alike on phantom |" in card
    assert cli.main(["evaluate", str(run), "--resamples", "100"]) == 0
    evaluation = only("runs/evaluate/*")
    assert make_report([run, evaluation, pretrained], Path("report.html")) == 0
    text = Path("report.html").read_text()
    assert "NarrowNet, Alike frozen, pqc" in text
    assert "MobileNet" not in text
    model, _ = load_model(run, backend=open_backend("statevector"))
    for name, value in encoder.state_dict().items():  # batch norm included
        assert torch.equal(model.encoder.state_dict()[name], value), name


def test_a_name_that_contradicts_the_weights_is_refused(capsys):
    assert cli.main(["pretrain", *PHANTOM, "--epochs", "1", "--encoder.name", "narrow"]) == 0
    other = ("--encoder", str(only("runs/pretrain/*")), "--encoder.name", "resnet18")
    assert cli.main(["finetune", *PHANTOM, *other]) == 2
    assert "Expected --encoder.name narrow" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "resnet50", "narrow"])
def test_a_frozen_encoder_stays_as_it_is(name):
    """Weights and batch norm, in training mode too, whatever the network."""
    encoder = Encoder(EncoderSpec(architecture=name, image_size=32))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    encoder.frozen = True
    encoder.train()
    encoder(torch.randn(4, 3, 32, 32))
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert encoder.maps(torch.zeros(1, 3, 32, 32)).shape[1:] == encoder.out_shape
    assert encoder(torch.zeros(1, 3, 32, 32)).shape == (1, encoder.num_features)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--encoder.name", "resnet19"), "did you mean 'resnet18'?"),
        (("--encoder.name", "timm:nothing"), "Expected "),
        (("--encoder.name", "nowhere.module:entry"), "can be imported"),
        (("--encoder.name", "os.path:join"), "to be an entry with a `build`, got a function"),
        (("--ssl", "os.path:join"), "to be an entry with a `build`, got a function"),
        (("--ssl", "simclar"), "did you mean 'simclr'?"),
        (("--ssl", "byol", "--temperature", "1"), "--temperature"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(capsys, options, message):
    assert cli.main(["pretrain", *PHANTOM, "--epochs", "1", *options]) == 2
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("hybridq: error")
    ]
    assert len(lines) == 1
    assert message in lines[0]
