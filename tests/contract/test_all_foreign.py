"""Source, encoder, method, head and backend of one's own at once, through every command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hybridq.cli import main as cli
from hybridq.data.sources import SOURCES
from hybridq.models.encoders import ENCODERS
from hybridq.models.heads import HEADS
from hybridq.models.ssl import SSL
from hybridq_backends import KINDS
from tests.contract.alike_method import ALIKE
from tests.contract.narrow_encoder import NARROW
from tests.contract.stacks import STACKS
from tests.contract.swap_attention import OVERLAP, SWAP
from tests.contract.white_noise import WHITE_NOISE
from tests.integration.report_page import make_report

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]


def run(*arguments):
    assert cli.main(list(map(str, arguments))) == 0


def only(pattern):
    (found,) = Path().glob(pattern)
    return found


def test_all_parts_at_once(monkeypatch, serve):
    entered = (
        (SOURCES, "stacks", STACKS),
        (ENCODERS, "narrow", NARROW),
        (SSL, "alike", ALIKE),
        (HEADS, "swap", SWAP),
        (HEADS, "overlap", OVERLAP),
        (KINDS, "white_noise", WHITE_NOISE),
    )
    for entries, name, entry in entered:
        monkeypatch.setitem(entries, name, entry)
    rng = np.random.default_rng(0)
    for folder in ("scans", "backends.d"):
        Path(folder).mkdir()
    for place, name in enumerate(("healthy", "sick")):
        np.save(f"scans/{name}.npy", rng.normal(40 * place, 40, (15, 16, 16)).astype(np.int16))
    Path("backends.d/white.toml").write_text('summary = "White"\nkind = "white_noise"\n')
    data = ("--data", "scans,level=20", "--batch-size", "8", "--epochs", "1")
    run("pretrain", *data, "--encoder.name", "narrow", "--ssl", "alike", "--image-size", "16")
    begun = ("--encoder", only("runs/pretrain/*"), "--freeze-encoder")
    run("finetune", *data, *begun, "--head", "swap", "--backend", "white", "--name", "quantum")
    run("finetune", *data, *begun, "--head", "overlap", "--name", "control")
    quantum, control = only("runs/finetune/*-quantum"), only("runs/finetune/*-control")
    few = ("--resamples", "100", "--no-baselines")
    for backend in ("white,error_rate=0.3", "fake_manila,shots=32", "ibm_rehearsal,shots=16"):
        run("evaluate", quantum, *few, "--backend", backend)
    run("evaluate", control, *few)
    run("study", "noise", quantum, control, "--device", "FakeManila", "--noise-scale", "1",
        "--shots", "16", "--workers", "1")  # fmt: skip
    server = serve(ideal=True)
    run("submit", quantum, "--backend", "ibm,resilience_level=0,shots=32", "--wait", "60")
    result = json.loads((only("runs/submit/*") / "result.json").read_text())
    assert result["complete"]
    assert len(server.accepted) == len(result["chunks"])
    folders = [*Path("runs").glob("*/*")]
    assert make_report(folders, Path("report.html")) == 0
    page, card = Path("report.html").read_text(), (quantum / "model/MODEL_CARD.md").read_text()
    for text in ("NarrowNet, Alike frozen, swap", "white,error_rate=0.3", "ibm_loopback"):
        assert text in page
    for text in ("NarrowNet, 16 px", "alike on own images", "swap-test attention", "On hardware"):
        assert text in card
    assert not any(name in page + card for name in ("MobileNet", "SimCLR frozen", "ry_cz"))
