from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.studies.engine.pool import check_place, open_workers
from hybridq.threads import MARK, SPIN_NAMES


def run_units(function, units, *, workers, ray):
    with open_workers(workers, ray) as compute:
        yield from compute(function, units)


def square(number):
    return number**2, os.getpid()


def refuse(number):
    if number == 2:
        raise InvalidValueError("Expected another number, got 2: take 3.")
    return number


def sleep_long(number):
    time.sleep(number)
    return number


def square_and_settings(number):
    return *square(number), (os.environ["OMP_NUM_THREADS"], os.environ.get("GOMP_SPINCOUNT"))


@pytest.mark.parametrize("workers", [1, 2])
def test_every_unit_once(workers, monkeypatch):
    """Processes of their own compute on one thread each, with the spin that hybridq sets."""
    for name in (*SPIN_NAMES, MARK):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = dict(run_units(square_and_settings, list(range(7)), workers=workers, ray=None))
    assert {unit: value for unit, (value, *_) in found.items()} == {n: n**2 for n in range(7)}
    processes = {process for _, process, _ in found.values()}
    settings = {settings for *_, settings in found.values()}
    if workers == 1:
        assert processes == {os.getpid()}
        assert settings == {("7", None)}
    else:
        assert os.getpid() not in processes
        assert len(processes) <= 2
        assert settings == {("1", "3000")}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_worker_raises_arrives(workers):
    with pytest.raises(InvalidValueError, match="got 2"):
        list(run_units(refuse, [1, 2, 3], workers=workers, ray=None))


def end(number):
    os._exit(number)


def test_a_worker_that_is_killed_is_told():
    with pytest.raises(UnavailableError, match=r"ended from outside.* --resume"):
        list(run_units(end, [1, 2], workers=2, ray=None))


UNGUARDED = """
import sys
from hybridq.errors import HybridqError
from hybridq.studies.engine.pool import open_workers
from hybridq.utils.processes import stop_if_run_again

print("imported", flush=True)
stop_if_run_again("study")
try:
    with open_workers(2, None) as compute:
        list(compute(abs, [1, 2]))
except HybridqError as error:
    sys.exit(f"told: {error}")
"""


def test_a_script_without_a_main_block_is_told_of_it(tmp_path):
    """Its processes do none of its work again, and each says why in a line."""
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True)
    assert done.returncode == 1
    *others, told = done.stderr.splitlines()
    assert 'no `if __name__ == "__main__":` above its calls' in told
    assert "told: Expected worker processes that start" in told
    assert 1 <= len(others) <= 2
    assert all(line.startswith("Expected `hybridq.study` in a script's own") for line in others)


def test_no_ray(monkeypatch):
    monkeypatch.setattr("hybridq.studies.engine.pool.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="pip install ray"):
        check_place(1, "local")


def test_no_cluster_at_the_address():
    pytest.importorskip("ray")
    with pytest.raises(UnavailableError, match="check --ray"):
        check_place(1, "127.0.0.1:1")


def test_a_local_ray_cluster(monkeypatch):
    """Also what its processes compute with: one thread, and the spin of whoever started it."""
    pytest.importorskip("ray")
    spin = "777"
    monkeypatch.setenv("GOMP_SPINCOUNT", spin)
    answer = signal.getsignal(signal.SIGTERM)
    found = {}
    for unit, result in run_units(square_and_settings, [1, 2, 3], workers=1, ray="local"):
        found[unit] = result
        assert signal.getsignal(signal.SIGTERM) == answer  # a request to end is still heard
    assert {unit: value for unit, (value, *_) in found.items()} == {1: 1, 2: 4, 3: 9}
    assert os.getpid() not in {process for _, process, _ in found.values()}
    assert {settings for *_, settings in found.values()} == {("1", spin)}
    with pytest.raises(InvalidValueError, match="got 2"):
        list(run_units(refuse, [1, 2, 3], workers=1, ray="local"))


def stopped_early():
    with open_workers(2, None) as compute:
        results = compute(sleep_long, [0, 3600, 3600])
        assert next(results) == (0, 0)
        raise KeyboardInterrupt


def test_ctrl_c_does_not_wait():
    """A unit of an hour does not hold up the one who stops."""
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stopped_early()
    assert time.monotonic() - started < 600


STUDY = """
import sys, time
from hybridq.cli import main as cli
from hybridq.cli import print as output
from hybridq.studies.engine.pool import open_workers

def study(config):
    with open_workers(2, None) as compute:
        list(compute(time.sleep, [600.0] * 3))

if __name__ == "__main__":
    output.data_list = study
    sys.exit(cli.main(["data", "list"]))
"""


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc to see the children")
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_study_with_workers_that_is_asked_to_end(tmp_path, whole_group):
    """As Ctrl-C ends it, also while its workers are being made: 130, one line, no child left."""
    (tmp_path / "study.py").write_text(STUDY)
    study = subprocess.Popen(
        [sys.executable, tmp_path / "study.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while len(children := _children(study.pid)) < 2 and study.poll() is None:
            time.sleep(0.01)
        (os.killpg if whole_group else os.kill)(study.pid, signal.SIGTERM)
        out, errors = study.communicate(timeout=120)
    finally:
        study.kill()
        study.communicate()
    assert (study.returncode, out, errors) == (130, "", "hybridq: interrupted\n")
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{child}") for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _children(pid):
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return [
            child
            for thread in threads
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []
