"""A part named by `package.module:entry`, without any registration."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from hybridq.cli import main as cli

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
