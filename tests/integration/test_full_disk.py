"""Each command on a disk that fills up: one line, and the same result once there is space again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bad_inputs.test_sources import noisy
from tests.forks import forked
from tests.integration.test_kills_of_commands import RESUMED, ended, kept, newest, result_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("isolated")]

AMPLE = "200m"
SHARES = (0.01, 0.2, 0.4, 0.6, 0.8)
"""Sizes of the disk, as shares of what the command writes in all."""


@pytest.fixture
def disk():
    """A function that gives the folder `disk` so many bytes; a file system of its own."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("no file system of its own size can be made: that needs Linux and root")
    place = Path("disk")
    place.mkdir()

    def mount(*options: str) -> bool:
        return subprocess.run(["mount", *options], capture_output=True).returncode == 0

    if not mount("-t", "tmpfs", "-o", f"size={AMPLE}", "tmpfs", str(place)):
        pytest.skip("no file system of its own size can be made here: mount is not allowed")
    try:
        yield lambda size: mount("-o", f"remount,size={size}", str(place))
    finally:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True)


def written(folder: Path) -> int:
    """Bytes that a folder takes on a disk of pages of 4 kB."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in files)


def told(done) -> None:
    """One line that says what the matter is, and no traceback of anybody's."""
    assert done.code == 1, done.output
    assert "Traceback" not in done.output
    assert "Logging error" not in done.output
    errors = [line for line in done.output.splitlines() if line.startswith("hybridq: error: ")]
    assert len(errors) == 1, done.output
    assert "space" in errors[0], errors


def emptied() -> None:
    """Take everything from the disk, as another command would find it."""
    subprocess.run("rm -rf disk/* disk/.[!.]*", shell=True, check=True)


@pytest.mark.parametrize("command", RESUMED)
def test_a_command_that_is_gone_on_with(disk, command, finetuned_pqc, finetuned_control):
    words = RESUMED[command].format(pqc=finetuned_pqc, mlp=finetuned_control).split()
    ended(forked(*words))
    expected = newest(command.split()[0])
    for share in SHARES:
        disk(round(share * written(expected)) + 4096)
        told(forked(*words, "--runs", "disk/runs"))
        disk(AMPLE)
        configs = list(Path("disk/runs").glob("*/*/config.json"))
        if configs:
            ended(forked(*command.split(), "--resume", configs[0].parent))
        else:  # nothing to go on with was left
            ended(forked(*words, "--runs", "disk/runs"))
        (result,) = Path("disk/runs").glob("*/*/result.json")
        assert kept(result.parent) == kept(expected)
        assert not list(result.parent.rglob("*.part"))
        emptied()


def test_an_evaluation(disk, finetuned_pqc):
    words = ("evaluate", finetuned_pqc, "--resamples", "100", "--no-baselines")
    ended(forked(*words))
    expected = newest("evaluate")
    for share in SHARES:
        disk(round(share * written(expected)) + 4096)
        told(forked(*words, "--runs", "disk/runs"))
        disk(AMPLE)
        ended(forked(*words, "--runs", "disk/runs"))
        (result,) = Path("disk/runs").glob("evaluate/*/result.json")
        assert kept(result.parent) == kept(expected)
        assert result_of(result.parent) == result_of(expected)
        emptied()


def test_a_submission(disk, finetuned_pqc):
    words = (
        *("submit", finetuned_pqc, "--backend", "ibm_rehearsal,shots=64,resilience_level=0"),
        *("--limit", "4", "--layout-seeds", "1", "--settle-seconds", "0", "--wait", "60"),
    )
    ended(forked(*words))
    expected = newest("submit")
    for share in SHARES:
        disk(round(share * written(expected)) + 4096)
        told(forked(*words, "--runs", "disk/runs"))
        disk(AMPLE)
        ended(forked(*words, "--runs", "disk/runs"))
        (ledger,) = Path("disk/runs").glob("submit/*/jobs.sqlite")
        posted = [path.stem.rsplit("-", 2)[1] for path in ledger.parent.glob("rehearsed/*.npz")]
        assert len(posted) == len(set(posted)) == 1
        emptied()


FILES = {
    "predict": (("predict", "{pqc}", "one.png"), "disk/labels.csv"),
    "report": (("report", "{pqc}", "--embedding", "none", "--gallery", "0"), "disk/report.html"),
    "backends save": (("backends", "save", "fake_manila"), "disk/device.json"),
}


@pytest.mark.parametrize("command", FILES)
def test_a_file(disk, command, finetuned_pqc):
    Path("one.png").write_bytes(noisy(1, 16))
    words, out = FILES[command]
    given = [str(word).format(pqc=finetuned_pqc) for word in words]
    ended(forked(*given, "--out", out))
    content = Path(out).read_bytes()
    emptied()
    for share in SHARES:
        with filled(disk, int(share * -(-len(content) // 4096))):
            told(forked(*given, "--out", out))
            assert not Path(out).exists()
        ended(forked(*given, "--out", out))
        assert Path(out).read_bytes() == content
        emptied()


@contextlib.contextmanager
def filled(disk, pages: int):
    """The disk with so many free pages, of which a folder or a file takes none but for content."""
    disk("1m")
    with Path("disk/filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for _ in range(4096):
            file.write(bytes(4096))
    held = Path("disk/filler").stat().st_size
    os.truncate("disk/filler", held - 4096 * pages)
    yield
    Path("disk/filler").unlink()
    disk(AMPLE)


def test_a_disk_that_is_full_at_once(disk):
    """A pretraining that cannot even write its config leaves nothing."""
    with filled(disk, 0):
        told(forked("pretrain", "--data", "phantom,size=16,count=40", "--runs", "disk/runs"))
    assert not list(Path("disk").rglob("*.part"))
