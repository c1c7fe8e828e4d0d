"""`kill -9` in the middle of each command, and what the same command makes of it afterwards.

A command is run whole and its changes to files are counted; then it is killed at a third of them,
gone on with and killed again, and gone on with to its end, which must be that of the whole run.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from hybridq.utils.files import read_jsonl
from tests.bad_inputs.test_sources import noisy
from tests.forks import forked

pytestmark = pytest.mark.usefixtures("isolated")

PHANTOM = "phantom,size=16,count=40"


def result_of(folder: Path) -> dict[str, object]:
    """The result without what differs from run to run."""
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key not in ("seconds", "run", "time")}


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in read_jsonl(folder / "metrics.jsonl")
    ]


def kept(folder: Path) -> dict[str, object]:
    """What a run or a study is made for, by file."""
    found: dict[str, object] = {"metrics": rows_of(folder)}
    for pattern in ("*.safetensors", "model/*", "*.csv", "predictions/*"):
        for path in folder.glob(pattern):
            if path.name not in ("seconds.csv", "config.json"):
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    for path in folder.glob("*.npz"):
        with np.load(path) as arrays:
            found[path.name] = {name: arrays[name].tobytes() for name in arrays.files}
    return found


def newest(kind: str) -> Path:
    """The newest run folder of a command."""
    return max(Path("runs", kind).glob("*/config.json"), key=os.path.getmtime).parent


def killed(done) -> None:
    assert done.code == -signal.SIGKILL, done.output


def ended(done) -> None:
    assert done.code == 0, done.output
    assert "Traceback" not in done.output


RESUMED = {
    "pretrain": f"pretrain --data {PHANTOM} --epochs 4 --batch-size 8 --checkpoint-every 1",
    "finetune": f"finetune --data {PHANTOM} --epochs 4 --batch-size 8 --checkpoint-every 1 "
    "--keep best --head.num-qubits 2",
    "study ablation": f"study ablation --data {PHANTOM} --labels 1 --seeds 1 --pretrain-epochs 1 "
    "--subsets 1 --num-qubits 2 --num-layers 1 --steps 2 --no-whole --workers 1",
    "study noise": "study noise {pqc} {mlp} --device FakeManilaV2 --noise-scale 0,1 --shots none "
    "--limit 4 --workers 1",
}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "study ablation" else name
        for name in RESUMED
    ],
)
def test_a_command_that_is_gone_on_with(command, finetuned_pqc, finetuned_control):
    words = RESUMED[command].format(pqc=finetuned_pqc, mlp=finetuned_control).split()
    whole = forked(*words)
    ended(whole)
    expected = newest(command.split()[0])
    killed(forked(*words, "--runs", "killed", kill_at=whole.changes // 3))
    (config,) = Path("killed").glob("*/*/config.json")
    resume = (*command.split(), "--resume", config.parent)
    killed(forked(*resume, kill_at=whole.changes // 4))
    ended(forked(*resume))
    assert kept(config.parent) == kept(expected)
    epochs = [row["epoch"] for row in rows_of(config.parent)]
    assert epochs == sorted(set(epochs))
    assert not list(config.parent.rglob("*.part"))


def test_an_evaluation_is_made_again(finetuned_pqc):
    arguments = ("evaluate", finetuned_pqc, "--resamples", "100", "--no-baselines")
    whole = forked(*arguments)
    ended(whole)
    expected = newest("evaluate")
    for share in (0.3, 0.8):
        runs = f"killed-{share}"
        killed(forked(*arguments, "--runs", runs, kill_at=round(share * whole.changes)))
        for folder in Path(runs).glob("evaluate/*"):
            refused = forked("report", folder, "--out", "never.html")
            assert refused.code == 2, refused.output
            assert not Path("never.html").exists()
        ended(forked(*arguments, "--runs", runs))
        (found,) = Path(runs).glob("evaluate/*/result.json")
        assert kept(found.parent) == kept(expected)
        assert result_of(found.parent) == result_of(expected)


def test_a_submission_goes_on(finetuned_pqc):
    """Each image once, whatever was killed; the rehearsal's own jobs stand for the device's."""
    arguments = ("submit", finetuned_pqc, "--backend", "ibm_rehearsal,shots=64,resilience_level=0")
    arguments += ("--limit", "4", "--layout-seeds", "1", "--job-executions", "64")
    arguments += ("--settle-seconds", "0")
    whole = forked(*arguments, "--wait", "60")
    ended(whole)
    expected = newest("submit")
    runs = ("--runs", "killed")
    for share in (0.5, 0.8):
        killed(forked(*arguments, *runs, "--wait", "60", kill_at=round(share * whole.changes)))
    done = forked(*arguments, *runs)
    assert done.code in (0, 3), done.output
    ledgers = list(Path("killed/submit").glob("*/jobs.sqlite"))
    assert len(ledgers) == 1
    folder = ledgers[0].parent
    collect = ("jobs", "collect", folder, "--wait", "60", "--settle-seconds", "0")
    changes = forked("jobs", "status", folder).changes
    assert changes == 0  # to look at a submission writes nothing
    for number in (2, 4):
        forked(*collect, kill_at=number)
    ended(forked(*collect))
    posted = [path.stem.rsplit("-", 2)[1] for path in (folder / "rehearsed").glob("*.npz")]
    assert sorted(posted) == sorted(set(posted))
    assert len(posted) == len(list((expected / "rehearsed").glob("*.npz")))


WRITERS = {
    "predict": "labels.csv",
    "report": "report.html",
    "backends save": "device.json",
}


@pytest.mark.parametrize("command", WRITERS)
def test_a_file_is_whole_or_not_there(command, request):
    out = Path(WRITERS[command])
    if command == "predict":
        Path("one.png").write_bytes(noisy(1, 16))
        arguments = ("predict", request.getfixturevalue("finetuned_pqc"), "one.png", "--out", out)
    elif command == "report":
        folder = request.getfixturevalue("finetuned_pqc")
        arguments = ("report", folder, "--embedding", "none", "--gallery", "0", "--out", out)
    else:
        arguments = ("backends", "save", "fake_manila", "--out", out)
    whole = forked(*arguments)
    ended(whole)
    expected = out.read_bytes()
    for number in (whole.changes // 2, whole.changes):
        out.unlink(missing_ok=True)
        killed(forked(*arguments, kill_at=max(1, number)))
        assert not out.exists() or out.read_bytes() == expected
    forced = (*arguments, "--force") if out.exists() else arguments
    ended(forked(*forced))
    assert out.read_bytes() == expected
    assert not [path for path in Path().iterdir() if path.name.endswith((".part", ".partial"))]
