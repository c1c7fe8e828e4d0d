"""The real command line in a process of its own, stopped from outside, and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hybridq.cli import main as cli
from hybridq.config import FinetuneConfig, PretrainConfig, head_config
from hybridq.training.finetune import finetune
from hybridq.training.pretrain import pretrain
from hybridq.utils.files import read_jsonl
from tests.forks import Fork

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

PHANTOM = "phantom,size=16,count=40"
EPOCHS = 8
PATIENCE = 240.0  # seconds, for machines that are busy


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start `hybridq` with one thread, so that it computes what this process does.

    A shell that starts the tests in the background lets its children ignore Ctrl-C: undone here.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "hybridq", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def stop_after(process: subprocess.Popen[str] | Fork, command: str, rows: int, number: int) -> str:
    """Send a signal once so many epochs are on record and a checkpoint is written."""
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline and process.poll() is None:
            for folder in Path("runs").glob(f"{command}/*"):
                written = (folder / "checkpoints" / "last.ckpt").is_file()
                if written and len(read_jsonl(folder / "metrics.jsonl")) >= rows:
                    process.send_signal(number)
                    return process.communicate(timeout=PATIENCE)[1]
            time.sleep(0.01)
        pytest.fail(f"the process ended before its epoch {rows}: {process.communicate()[1]}")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def rows_without_time(folder: Path) -> list[dict[str, float]]:
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in read_jsonl(folder / "metrics.jsonl")
    ]


def test_pretraining_is_interrupted_killed_and_gone_on_with(tmp_path):
    """Ctrl-C, then a kill without warning, then to the end: the encoder of a run in one go."""
    whole = pretrain(
        PretrainConfig(data=PHANTOM, runs=tmp_path, epochs=EPOCHS, batch_size=8, checkpoint_every=1)
    )
    first = start(
        "pretrain", "--data", PHANTOM, "--epochs", str(EPOCHS), "--batch-size", "8",
        "--checkpoint-every", "1",
    )  # fmt: skip
    errors = stop_after(first, "pretrain", 1, signal.SIGINT)
    (folder,) = Path("runs/pretrain").iterdir()
    assert first.returncode == 130, errors
    assert f"hybridq pretrain --resume {folder}" in errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "hybridq: interrupted"
    done = len(read_jsonl(folder / "metrics.jsonl"))
    assert 1 <= done < EPOCHS
    assert not (folder / "encoder.safetensors").exists()

    second = Fork("pretrain", "--resume", folder)
    stop_after(second, "pretrain", done + 2, signal.SIGKILL)
    assert second.returncode == -signal.SIGKILL
    assert not (folder / "encoder.safetensors").exists()

    assert cli.main(["pretrain", "--resume", str(folder)]) == 0
    expected = (whole / "encoder.safetensors").read_bytes()
    assert (folder / "encoder.safetensors").read_bytes() == expected
    assert rows_without_time(folder) == rows_without_time(whole)
    assert [row["epoch"] for row in rows_without_time(folder)] == list(range(EPOCHS))


@pytest.mark.slow
def test_finetuning_is_killed_and_gone_on_with(tmp_path):
    whole = finetune(
        FinetuneConfig(
            data=PHANTOM,
            runs=tmp_path,
            epochs=EPOCHS,
            batch_size=8,
            checkpoint_every=2,
            head=head_config(num_qubits=2),
        )
    )
    process = Fork(
        "finetune", "--data", PHANTOM, "--epochs", str(EPOCHS), "--batch-size", "8",
        "--checkpoint-every", "2", "--head.num-qubits", "2",
    )  # fmt: skip
    stop_after(process, "finetune", 3, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    (folder,) = Path("runs/finetune").iterdir()
    assert cli.main(["finetune", "--resume", str(folder)]) == 0
    for name in ("model.safetensors", "config.json", "MODEL_CARD.md"):
        assert (folder / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()
    assert rows_without_time(folder) == rows_without_time(whole)


def test_wrong_input_of_the_real_command(tree):
    """Exit code 2, one line, nothing written: as a shell sees it."""
    before = tree(".")
    done = subprocess.run(
        [sys.executable, "-m", "hybridq", "data", "check", "brestmnist"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("hybridq: error: ")
    assert tree(".") == before


@pytest.mark.slow
def test_pretraining_on_two_processes():
    """Lightning's DDP on two CPU processes: one run folder, and each epoch once."""
    options = (
        "--data", PHANTOM, "--epochs", "3", "--batch-size", "6", "--checkpoint-every", "1",
        "--accelerator", "cpu", "--devices", "2", "--strategy", "ddp",
    )  # fmt: skip
    process = start("pretrain", *options)
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    (folder,) = Path("runs/pretrain").iterdir()
    assert {line for line in out.splitlines() if line} == {str(folder)}
    assert [row["epoch"] for row in rows_without_time(folder)] == [0, 1, 2]
    assert (folder / "encoder.safetensors").is_file()


@pytest.mark.slow
def test_the_demo(capsys):
    """With one epoch each: every model on every backend, and the sentence that limits it."""
    assert cli.main(["demo", "--pretrain-epochs", "1", "--epochs", "1"]) == 0
    out = capsys.readouterr().out
    for words in ("pqc", "mlp", "scratch", "raw pixels", "exact", "noise", "rehearsed"):
        assert words in out
    assert "no evidence for or against a quantum layer" in " ".join(out.split())
