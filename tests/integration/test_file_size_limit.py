"""Each command where no file may grow beyond a size: one line, and what goes on is the same."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hybridq.cli import main as cli

pytestmark = [pytest.mark.usefixtures("isolated", "single_thread"), pytest.mark.slow]

PHANTOM = "phantom,size=16,count=40"
SIZES = (1_000, 3_000, 20_000, 100_000, 5_000_000)
"""Bytes: of a config, a log, a table, a picture, and of less than a network."""

TRAINING = ("--data", PHANTOM, "--epochs", "2", "--batch-size", "8", "--checkpoint-every", "1")
RESUMED = {
    "pretrain": ("encoder.safetensors", TRAINING),
    "finetune": (
        "model/model.safetensors",
        (*TRAINING, "--head.num-qubits", "2", "--head.num-layers", "1"),
    ),
    "study ablation": (
        "ablation.csv",
        (
            *("--data", PHANTOM, "--labels", "1", "--seeds", "1", "--pretrain-epochs", "1"),
            *("--subsets", "1", "--num-qubits", "2", "--num-layers", "1", "--steps", "2"),
            "--no-whole",
        ),
    ),
}


def run(size, *arguments):
    """Run a command none of whose files may be larger than so many bytes."""
    limit = None if size is None else (size, size)
    return subprocess.run(
        [sys.executable, "-m", "hybridq", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: limit and resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )


def told(done):
    """The one line of a disk that takes no more."""
    said = [line for line in done.stderr.splitlines() if line.startswith("hybridq: error: ")]
    assert done.returncode == 1, done.stderr
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Logging error" not in done.stderr
    assert "Expected space on the disk" in said[0]
    return said[0]


def folders(command):
    return list(Path("runs").glob(f"{command.split()[0]}/*/"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A function that gives the file a command leaves where there is space."""
    kept = {}

    def give(command):
        if command not in kept:
            runs = tmp_path_factory.mktemp("whole")
            name, options = RESUMED[command]
            assert cli.main([*command.split(), *options, "--runs", str(runs)]) == 0
            (folder,) = runs.glob("*/*/")
            kept[command] = (folder / name).read_bytes()
        return kept[command]

    return give


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("command", RESUMED)
def test_a_command_that_goes_on_comes_to_the_same(command, size, whole):
    name, options = RESUMED[command]
    told(run(size, *command.split(), *options))
    begun = folders(command)
    assert not list(Path("runs").rglob("*.part"))
    if not begun:  # nothing could be kept, so that nothing is left
        assert not Path("runs").exists()
        return
    done = run(None, *command.split(), "--resume", begun[0])
    assert done.returncode == 0, done.stderr
    assert (begun[0] / name).read_bytes() == whole(command)
    assert not list(begun[0].rglob("*.part"))


@pytest.mark.parametrize("size", SIZES[:3])
def test_a_noise_study_goes_on(finetuned_pqc, finetuned_control, size):
    options = (
        "--device",
        "FakeManilaV2",
        "--noise-scale",
        "0,1",
        "--shots",
        "none",
        "--limit",
        "4",
    )
    models = (finetuned_pqc, finetuned_control)
    told(run(size, "study", "noise", *models, *options))
    begun = folders("study")
    assert bool(begun) == Path("runs").exists()
    if begun:
        assert run(None, "study", "noise", "--resume", begun[0]).returncode == 0
        assert run(None, "study", "noise", *models, *options, "--runs", "again").returncode == 0
        (again,) = Path("again/study").iterdir()
        for table in ("study.csv", "summary.csv", "flips.csv"):
            assert (begun[0] / table).read_bytes() == (again / table).read_bytes()


@pytest.mark.parametrize("size", SIZES[:3])
def test_an_evaluation_is_told(finetuned, size):
    told(run(size, "evaluate", finetuned, "--resamples", "100"))
    assert not list(Path("runs").rglob("result.json"))
    shutil.rmtree("runs", ignore_errors=True)
    assert run(None, "evaluate", finetuned, "--resamples", "100").returncode == 0


@pytest.mark.parametrize("size", SIZES[:2])
def test_a_prediction_is_told_and_leaves_nothing(finetuned, size):
    from PIL import Image

    Image.new("L", (16, 16)).save("image.png")
    told(run(min(size, 20), "predict", finetuned, "image.png", "--out", "new/out.csv"))
    assert not Path("new").exists()


@pytest.mark.parametrize("size", SIZES[:4])
def test_a_report_is_told_and_leaves_nothing(finetuned, size):
    told(run(size, "report", finetuned, "--out", "new/report.html", "--embedding", "none"))
    assert not Path("new").exists()
