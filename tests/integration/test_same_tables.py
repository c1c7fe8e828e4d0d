"""An ablation gives the same tables killed and resumed, and over Ray, as never stopped."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from hybridq.cli import main as cli
from tests.forks import forked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.trains,
    pytest.mark.usefixtures("isolated", "single_thread"),
]

ABLATION = (
    *("study", "ablation", "--data", "phantom,size=16,count=60", "--labels", "1"),
    *("--seeds", "1", "--subsets", "2", "--pretrain-epochs", "2", "--num-qubits", "2"),
    *("--num-layers", "1", "--steps", "3", "--whole-networks", "2", "--whole-heads", "pqc"),
    *("--whole-rates", "1e-3,3e-3", "--whole-steps", "2"),
)
TABLES = (
    *("ablation.csv", "summary.csv", "comparisons.csv", "comparisons.json", "search.csv"),
    *("predictions.npz", "measured/1.npz", "report.json"),
)
FIGURES = ("figures/labels.png", "figures/differences.png")
KILLS = 5


def found(runs: Path) -> Path:
    """The one study below a folder of runs."""
    (config,) = runs.glob("study/*/config.json")
    return config.parent


def read(folder: Path, names: tuple[str, ...] = TABLES) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, single_thread):
    """A study with pretrainings and whole networks that was never stopped; its changes to files."""
    place = tmp_path_factory.mktemp("whole")
    before = Path.cwd()
    os.chdir(place)
    try:
        done = forked(*ABLATION, "--workers", "1")
    finally:
        os.chdir(before)
    assert done.code == 0, done.output
    return found(place / "runs"), done.changes


@pytest.mark.parametrize("seed", range(2))
def test_an_ablation_killed_at_five_random_moments(whole, seed):
    """In pretrainings, features, searches, heads and networks, wherever the dice fall."""
    reference, changes = whole
    rng = random.Random(seed)
    kill = [rng.randrange(1, changes // KILLS) for _ in range(KILLS)]
    done = forked(*ABLATION, "--workers", "1", kill_at=kill[0])
    assert done.code == -signal.SIGKILL, done.output
    started = list(Path("runs").glob("study/*/config.json"))
    resume = ("study", "ablation", "--resume", started[0].parent) if started else ABLATION
    for moment in kill[1:]:
        done = forked(*resume, kill_at=moment)
        assert done.code == -signal.SIGKILL, done.output
    done = forked(*resume)
    assert done.code == 0, done.output
    folder = found(Path("runs"))
    assert read(folder, TABLES + FIGURES) == read(reference, TABLES + FIGURES)
    assert not list(folder.rglob("*.part"))


@pytest.mark.parametrize("place", [(), ("--ray", "local")], ids=["processes", "ray"])
def test_an_ablation_over_two_processes(whole, place):
    """Pretrainings and whole networks are units of them as the heads are."""
    if place:
        pytest.importorskip("ray")
    reference, _ = whole
    assert cli.main([*ABLATION, *place, "--workers", "2"]) == 0
    assert read(found(Path("runs"))) == read(reference)
