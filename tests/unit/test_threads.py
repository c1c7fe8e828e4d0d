"""Spin and threads: what the environment gets, what the runtimes read, and what a run records."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hybridq import share_machine, threads
from hybridq.cli import main as cli
from hybridq.runs.environment import environment, note_computing, note_resumption, write_environment

OURS = (*threads.SPIN_NAMES, *threads.THREAD_NAMES, threads.MARK)


@pytest.fixture
def bare(monkeypatch):
    """An environment in which nobody has said anything, restored afterwards; four cores."""
    for name in OURS:
        monkeypatch.setenv(name, "")  # so that what the test sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr(threads, "_too_late", set())
    monkeypatch.setattr(threads, "_cores", lambda: 4)
    monkeypatch.setattr(threads, "cpu_quota", lambda: None)
    return monkeypatch


def new_process(program: str, **environment: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**clean, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return (done.stdout + done.stderr).splitlines()


def test_a_short_spin_and_all_cores(bare):
    assert threads.set_environment() == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS"}
    assert os.environ["GOMP_SPINCOUNT"] == "3000"
    assert os.environ["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize("name", threads.SPIN_NAMES)
def test_a_spin_of_the_users_is_left_alone(bare, name):
    bare.setenv(name, "7")
    threads.set_environment()
    assert [n for n in threads.SPIN_NAMES if n in os.environ] == [name]
    assert os.environ[name] == "7"
    assert os.environ["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize("name", threads.THREAD_NAMES)
def test_a_number_of_threads_of_the_users_is_left_alone(bare, name):
    bare.setenv(name, "3")
    threads.set_environment()
    assert [n for n in threads.THREAD_NAMES if n in os.environ] == [name]
    assert os.environ[name] == "3"
    assert os.environ["GOMP_SPINCOUNT"] == "3000"


def test_a_child_with_fewer_cores_takes_no_number_of_its_parents(bare):
    threads.set_environment()
    bare.setattr(threads, "_cores", lambda: 2)
    threads.set_environment()
    assert os.environ["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(("quota", "expected"), [(0.5, "1"), (2.9, "2"), (64.0, "4")])
def test_a_quota_bounds_the_threads(bare, quota, expected):
    bare.setattr(threads, "cpu_quota", lambda: quota)
    threads.set_environment()
    assert os.environ["OMP_NUM_THREADS"] == expected


def test_where_nothing_tells_of_cores_the_runtime_decides(bare):
    bare.setattr(threads, "_cores", lambda: None)
    threads.set_environment()
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_bounds_the_threads():
    one = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, [{one}]); import hybridq; "
    program += "hybridq.share_machine(); print(os.environ['OMP_NUM_THREADS'])"
    assert new_process(program) == ["1"]


def test_two_threads_of_a_core_count_once(tmp_path):
    processors = sorted(os.sched_getaffinity(0))
    for processor in processors:
        folder = tmp_path / f"cpu{processor}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text("0-63\n")
    assert threads._cores(tmp_path) == 1
    assert threads._cores(tmp_path / "none") == len(processors)


def proc_folder(tmp_path: Path, groups: str, *mounts: tuple[str, str, str, str]) -> Path:
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(groups)
    (proc / "mountinfo").write_text(
        "22 1 0:21 / /proc rw - proc proc rw\n"
        + "".join(
            f"30 22 0:26 {root} {tmp_path / where} rw shared:4 - {kind} {kind} {options}\n"
            for kind, options, root, where in mounts
        )
    )
    return proc


def put(path: Path, **files: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text + "\n")


def test_quota_of_version_2_is_the_least_of_all_levels(tmp_path):
    proc = proc_folder(tmp_path, "0::/a/b/c\n", ("cgroup2", "rw", "/", "sys"))
    put(tmp_path / "sys" / "a", cpu__max="150000 100000")
    put(tmp_path / "sys" / "a" / "b", cpu__max="max 100000")
    put(tmp_path / "sys" / "a" / "b" / "c", cpu__max="400000 100000")
    assert threads.cpu_quota(proc) == 1.5


def test_quota_of_version_1(tmp_path):
    proc = proc_folder(
        tmp_path,
        "5:memory:/m\n4:cpu,cpuacct:/job\n0::/\n",
        ("cgroup", "rw,memory", "/", "memory"),
        ("cgroup", "rw,cpu,cpuacct", "/", "cpu"),
    )
    put(tmp_path / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    put(tmp_path / "cpu" / "job", cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    assert threads.cpu_quota(proc) == 2.5


@pytest.mark.parametrize("group", ["/docker/abc", "/elsewhere", "/../../other"])
def test_quota_of_a_container_that_sees_its_own_group_alone(tmp_path, group):
    mount = ("cgroup", "rw,cpu", "/docker/abc", "cpu")
    proc = proc_folder(tmp_path, f"4:cpu:{group}\n", mount)
    put(tmp_path / "cpu", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    put(tmp_path, cpu__cfs_quota_us="10000", cpu__cfs_period_us="100000")  # outside
    assert threads.cpu_quota(proc) == 0.5


@pytest.mark.parametrize("text", ["", "max", "max 100000", "0 0", "-5 100", "a b", "1 2 3"])
def test_no_quota(tmp_path, text):
    proc = proc_folder(tmp_path, "0::/\n\nnonsense\n", ("cgroup2", "rw", "/", "sys"))
    put(tmp_path / "sys", cpu__max=text)
    assert threads.cpu_quota(proc) is None
    assert threads.cpu_quota(tmp_path / "none") is None


def test_the_runtime_reads_what_is_set_before_torch():
    """GNU's runtime, which comes with torch and reads the environment at its start, shows it."""
    (torch,) = importlib.util.find_spec("torch").submodule_search_locations
    runtimes = sorted(Path(torch).glob("lib/libgomp*.so*"))
    if not runtimes:
        pytest.skip("torch has another OpenMP runtime here")
    program = "import ctypes, hybridq; hybridq.share_machine(); "
    program += f"ctypes.CDLL({str(runtimes[0])!r})"
    shown = [line for line in new_process(program, OMP_DISPLAY_ENV="verbose") if "SPIN" in line]
    assert [line.split("=")[1].strip() for line in shown] == ["'3000'"]


def test_a_call_after_torch_sets_its_threads_and_warns(bare, caplog):
    import torch

    before = torch.get_num_threads()
    bare.setattr(threads, "_cores", lambda: 3)
    try:
        share_machine()
        assert torch.get_num_threads() == 3
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "call it first" in record.message
        assert "\n" not in record.message
        assert threads.computing()["spin"] == {}  # it did not reach the runtime
    finally:
        torch.set_num_threads(before)


def test_the_command_line_sets_them_before_torch_is_loaded():
    program = """
import os, sys
from hybridq.cli import main as cli
assert "torch" not in sys.modules
assert cli.main(["data", "list"]) == 0
print(os.environ["GOMP_SPINCOUNT"], os.environ["OMP_NUM_THREADS"], "torch" in sys.modules)
"""
    *_, last = new_process(program)
    assert last.split()[:2] == ["3000", str(threads.usable_threads())]


def test_a_command_inside_a_program_changes_nothing(bare, isolated):
    import torch

    before = torch.get_num_threads()
    assert cli.main(["data", "list"]) == 0
    assert not any(name in os.environ for name in OURS)
    assert torch.get_num_threads() == before


def test_processes_of_one_training_divide_the_threads(bare):
    import torch

    before = torch.get_num_threads()
    try:
        threads.set_environment()
        threads.divide_threads(2)
        assert torch.get_num_threads() == 2
        threads.divide_threads(1)
        assert torch.get_num_threads() == 2
        threads.divide_threads(100)
        assert torch.get_num_threads() == 1
        bare.setenv(threads.MARK, "")
        bare.setenv("OMP_NUM_THREADS", "3")  # the user's own
        threads.divide_threads(2)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_trainer_of_two_processes_halves_the_threads_and_records_it(bare, tmp_path):
    import torch

    from hybridq.config import ComputeConfig
    from hybridq.training.fit import Plan, make_trainer

    before = torch.get_num_threads()
    write_environment(tmp_path)
    try:
        compute = ComputeConfig(accelerator="cpu", devices="2")
        make_trainer(Plan(1, compute=compute, folder=tmp_path))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert json.loads((tmp_path / "environment.json").read_text())["computing"]["threads"] == 2


def test_a_run_records_what_it_computes_with(bare, tmp_path):
    import torch

    bare.setenv("GOMP_SPINCOUNT", "12")
    bare.setenv("OMP_NUM_THREADS", "5")
    bare.setenv("QISKIT_IBM_TOKEN", "secret")
    write_environment(tmp_path)
    found = json.loads((tmp_path / "environment.json").read_text())["computing"]
    assert found["threads"] == torch.get_num_threads()
    assert found["spin"] == {"GOMP_SPINCOUNT": "12"}
    assert found["variables"]["OMP_NUM_THREADS"] == "5"
    assert found["set_by_hybridq"] == []
    assert found["cpu_quota"] is None
    assert found["cores"] == 4
    assert found["deterministic"]["algorithms"] is False
    assert "secret" not in json.dumps(found)
    bare.setenv("OMP_NUM_THREADS", "6")
    note_resumption(tmp_path)
    written = json.loads((tmp_path / "environment.json").read_text())
    assert written["computing"]["variables"]["OMP_NUM_THREADS"] == "5"
    assert written["resumed"][0]["computing"]["variables"]["OMP_NUM_THREADS"] == "6"
    bare.setenv("OMP_NUM_THREADS", "7")
    note_computing(tmp_path)
    written = json.loads((tmp_path / "environment.json").read_text())
    assert written["resumed"][0]["computing"]["variables"]["OMP_NUM_THREADS"] == "7"
    assert environment()["computing"]["variables"]["OMP_NUM_THREADS"] == "7"
