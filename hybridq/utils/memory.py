"""Keep freed memory for the next training step, which saves up to a third of its time."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

KEPT = {M_MMAP_THRESHOLD: 2**30, M_TRIM_THRESHOLD: 2**31 - 1}
"""Options of glibc's `malloc.h` by number, and their values in bytes."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, instead of returning it to the system.

    The activations of a batch are tens of megabytes each. By default glibc returns such a block to
    the system as soon as it is freed, and the next step has to have each page of it mapped and
    cleared again. The peak of memory stays as it is; it is given back when the process ends.
    Results do not change. `benchmarks/freed_memory.py` measures it.

    Returns:
        Whether it was done. It needs glibc, and is left out if the environment has settings for
        `malloc` (`MALLOC_...`, `GLIBC_TUNABLES`).
    """
    own = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if own or not sys.platform.startswith("linux"):
        return False
    return set_malloc(KEPT)


def set_malloc(values: dict[int, int]) -> bool:
    """Give values to glibc's `mallopt`; return whether it took them all."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(number, value) == 1 for number, value in values.items())
