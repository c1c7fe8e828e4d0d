"""A part named by `package.module:entry`, without any registration."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import hybridq as hq
from hybridq.cli import main as cli
from hybridq.quantum.modules import circuits_of

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")


def test_a_head_in_a_module_of_ones_own(monkeypatch):
    """Trained, loaded and evaluated by its name alone; its own options on the command line."""
    shutil.copy(Path(__file__).with_name("swap_attention.py"), "my_heads.py")
    monkeypatch.syspath_prepend(Path.cwd())
    data = ["--data", "phantom,size=16,count=40", "--batch-size", "8", "--epochs", "1"]
    head = ["--head", "my_heads:OVERLAP", "--head.temperature", "0.25"]
    assert cli.main(["finetune", *data, *head, "--freeze-encoder"]) == 0
    (run,) = Path("runs/finetune").iterdir()
    card = (run / "model" / "MODEL_CARD.md").read_text()
    assert "attention by overlaps: name my_heads:OVERLAP, temperature 0.25" in card
    assert cli.main(["evaluate", str(run), "--resamples", "100"]) == 0
    sys.modules.pop("my_heads", None)


def test_a_module_of_the_working_folder_that_is_not_on_the_path(capsys):
    shutil.copy(Path(__file__).with_name("two_qubits.py"), "my_circuit.py")
    assert cli.main(["finetune", "--head", "my_circuit:TWO_QUBITS"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No module named 'my_circuit'" in line
    assert line.endswith("set PYTHONPATH=. so that my_circuit.py of this folder is found.")


def test_a_head_on_vectors(monkeypatch):
    shutil.copy(Path(__file__).with_name("two_qubits.py"), "my_circuit.py")
    monkeypatch.syspath_prepend(Path.cwd())
    head = {"name": "my_circuit:TWO_QUBITS", "num_layers": 2}
    model = hq.finetune(None, "phantom,size=16,count=40", head=head, epochs=1, freeze_encoder=True)
    assert model.expvals(np.zeros((3, 16, 16), np.uint8), backend="fake_manila").shape == (3, 2)
    assert [info.circuit.num_qubits for info in circuits_of(model.module.head)] == [2]
    sys.modules.pop("my_circuit", None)
