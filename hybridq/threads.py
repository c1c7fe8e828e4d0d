"""Programs that share a machine: how many threads compute, and how long a waiting one spins.

The threads of an OpenMP runtime wait for each other after each small piece of work. By default they
spin, which is the fastest where every thread has a core to itself. Where two programs compute on
the same cores, each piece of work then lasts until the system takes the core from a thread that
waits: training becomes ten times as slow and slower (`benchmarks/shared_machine.py`).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SHORT_SPIN = {"GOMP_SPINCOUNT": "3000", "KMP_BLOCKTIME": "1"}
"""Rounds that a thread of GNU's runtime spins before it sleeps; milliseconds of LLVM's."""
SPIN_NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user decides on the waiting; one of them, and hybridq leaves it alone."""
THREAD_NAMES = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS")
"""Variables by which a user decides on the number of threads."""
MARK = "HYBRIDQ_SET"
"""Variable with the names that hybridq has set, so that its child processes know them as such."""
RECORDED = (
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "ATEN_", "MALLOC_"),
    *("GLIBC_TUNABLES", "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED"),
)
"""Beginnings of the names of variables on which speed, or the last digits of a sum, depend."""

logger = logging.getLogger("hybridq")

_too_late: set[str] = set()


def share_machine() -> None:
    """Let this process compute beside others: call it once, before torch is imported.

    The commands do it by themselves; a notebook calls it in its first cell. It sets a short spin
    and as many threads as `usable_threads` says. What the environment says about either is left as
    it is. Where torch is loaded already its number of threads is set, and a warning says that the
    spin is not, since the OpenMP runtime has read it.

    Example:
        >>> import hybridq as hq
        >>> hq.share_machine()
    """
    loaded = "torch" in sys.modules
    new = set_environment()
    if not loaded:
        return
    import torch

    _too_late.update(new & SHORT_SPIN.keys())
    if "OMP_NUM_THREADS" in new:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if _too_late:
        logger.warning(
            "torch was imported before hybridq.share_machine(), so its threads spin as before: "
            "call it first, or beside other programs set OMP_NUM_THREADS=1"
        )


def set_environment(threads: int | None = None) -> set[str]:
    """Put spin and threads into the environment of this process and of those it starts.

    Args:
        threads: How many threads, whatever the environment says; None for `usable_threads`, unless
            the environment says a number.

    Returns:
        The names of the variables that were set.
    """
    before = _set_by_hybridq()
    new: dict[str, str] = {}
    if not _decided(SPIN_NAMES, before):
        new |= SHORT_SPIN
    if threads is None and not _decided(THREAD_NAMES, before):
        threads = usable_threads()
    if threads is not None:
        new["OMP_NUM_THREADS"] = str(threads)
    os.environ.update(new)
    if new:
        os.environ[MARK] = ",".join(sorted(before | new.keys()))
    return set(new)


def divide_threads(processes: int) -> None:
    """Give torch its share of the threads where so many processes of one training run beside it.

    A number of threads that the user has set counts for each process.
    """
    import torch

    if processes > 1 and not _decided(THREAD_NAMES, _set_by_hybridq()):
        threads = usable_threads() or os.cpu_count() or 1
        torch.set_num_threads(max(1, threads // processes))


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside, so that sums are taken in the same order everywhere.

    That goes for torch, and for the numerical libraries that are loaded by then.
    """
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def usable_threads() -> int | None:
    """Cores that this process may use, by affinity and cgroup quota; None where nothing tells.

    Two hardware threads of one core count once, as in torch's own default; a quota counts in whole
    processors, at least one.
    """
    cores = _cores()
    quota = cpu_quota()
    if cores is None or quota is None:
        return cores
    return max(1, min(cores, int(quota)))


def cpu_quota(proc: Path = Path("/proc/self")) -> float | None:
    """Processors' worth of time that the cgroups of this process allow, the least of all levels.

    Args:
        proc: The process's folder in `/proc`.

    Returns:
        None without a quota, and where the system has no cgroups.
    """
    try:
        groups = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (proc / "mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    quotas = []
    for line in groups:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        for root, mount in _cgroup_mounts(mounts, "cgroup" if controllers else "cgroup2"):
            inside = Path(group)
            seen = inside.is_relative_to(root) and ".." not in inside.parts
            own = mount / inside.relative_to(root) if seen else mount
            levels = (own, *(level for level in own.parents if level.is_relative_to(mount)))
            quotas += [quota for level in levels if (quota := _quota_of(level)) is not None]
    return min(quotas, default=None)


def computing() -> dict[str, Any]:
    """What this process computes with, for `environment.json`.

    Threads, processors and quota, spin, the variables that bear on them by name and value, and
    torch's settings for repeatable results; these only where torch is loaded.
    """
    spin = {name: os.environ[name] for name in SPIN_NAMES if name in os.environ}
    found: dict[str, Any] = {
        "processors": len(os.sched_getaffinity(0)) if _has_affinity() else os.cpu_count(),
        "cores": _cores(),
        "cpu_quota": cpu_quota(),
        "spin": {name: value for name, value in spin.items() if name not in _too_late},
        "set_by_hybridq": sorted(_set_by_hybridq()),
        "variables": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(RECORDED)
        },
    }
    torch = sys.modules.get("torch")
    if torch is None:
        return found
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        **found,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "deterministic": {
            "algorithms": torch.are_deterministic_algorithms_enabled(),
            "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
            "cudnn": torch.backends.cudnn.deterministic,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        },
    }


def _set_by_hybridq() -> set[str]:
    return {name for name in os.environ.get(MARK, "").split(",") if name in os.environ}


def _decided(names: tuple[str, ...], by_hybridq: set[str]) -> bool:
    """Whether the user has set one of the variables."""
    return any(name in os.environ and name not in by_hybridq for name in names)


def _has_affinity() -> bool:
    return hasattr(os, "sched_getaffinity")


def _cores(system: Path = Path("/sys/devices/system/cpu")) -> int | None:
    """Cores among the processors that this process may run on."""
    if not _has_affinity():
        return None
    cores = set()
    for processor in os.sched_getaffinity(0):
        siblings = system / f"cpu{processor}" / "topology" / "thread_siblings_list"
        try:
            cores.add(siblings.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            cores.add(f"processor {processor}")
    return len(cores)


def _cgroup_mounts(mounts: list[str], kind: str) -> list[tuple[Path, Path]]:
    """Find, in each hierarchy that limits processors, the group at its top, and where it is."""
    found = []
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields, described = before.split(), after.split()
        if len(fields) < 5 or len(described) < 2 or described[0] != kind:
            continue
        if kind == "cgroup2" or "cpu" in described[-1].split(","):
            root, mount = (part.replace("\\040", " ") for part in fields[3:5])
            found.append((Path(root), Path(mount)))
    return found


def _quota_of(group: Path) -> float | None:
    """The quota of one cgroup by itself: `cpu.max` of version 2, two files of version 1."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        share = float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return share if 0 < share < float("inf") else None
