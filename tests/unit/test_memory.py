"""Freed memory is kept: counted in page faults, each in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told to keep memory"
)

ROUNDS = 20
PAGES = 50 * 2**20 // os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1

FAULTS = f"""
import resource, sys, threading
from hybridq.utils.memory import keep_freed_memory
if sys.argv[1] == "keep":
    print(keep_freed_memory())
import torch

def use():
    for _ in range({ROUNDS}):
        torch.ones(50 * 2**18)  # 50 MiB, above any threshold that glibc finds by itself

def count():
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

count()
other = threading.Thread(target=count)
other.start()
other.join()
"""


def output(mode: str, **environment: str) -> list[str]:
    clean = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES" and "MALLOC" not in k}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, mode],
        env={**clean, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_a_block_is_mapped_once():
    """Also for a second thread: the backward pass has one."""
    by_default = output("default")
    done, *kept = output("keep")
    assert done == "True"
    assert min(map(int, by_default)) > ROUNDS * PAGES / 2  # or there would be nothing to gain
    assert max(map(int, kept)) < PAGES


@pytest.mark.parametrize(
    "own", [{"MALLOC_ARENA_MAX": "2"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}]
)
def test_settings_of_the_environment_are_left_alone(own):
    assert output("keep", **own)[0] == "False"


def test_the_command_line_and_its_workers_keep_memory(tmp_path):
    program = """
from hybridq.cli import main as cli
from hybridq.utils import memory
from hybridq.utils import processes

calls = []
memory.set_malloc = lambda values: calls.append(values) or True
if __name__ == "__main__":
    cli.main(["data", "check", "phantom,size=16,count=40"])
    assert calls == [memory.KEPT]
    processes.start_worker()
    assert len(calls) == 2
    print("done")
"""
    clean = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES" and "MALLOC" not in k}
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.endswith("done\n"), done.stderr
