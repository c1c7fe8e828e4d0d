"""What cannot fit on this machine, told before anything is made.

The estimates are low ones, of what is needed at least: what is refused here would certainly have
failed later, and what passes may still need more memory than there is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hybridq.errors import InvalidValueError

WORKER_BYTES = 200 * 2**20
"""What a worker process takes at least, with torch loaded."""

CGROUP_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's limit stands, in cgroups of version 2 and 1."""


def total_memory() -> int | None:
    """Bytes of memory of this machine, or of this container; None where nothing tells."""
    found = []
    with suppress(ValueError, OSError, AttributeError):  # a system without these names
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in CGROUP_FILES:
        with suppress(OSError, ValueError):  # no such file, or `max` in it
            found.append(int(path.read_text(encoding="utf-8")))
    return min((size for size in found if size > 0), default=None)


def check_memory(needed: int, what: str, remedy: str) -> None:
    """Refuse what needs more bytes than this machine has.

    Args:
        needed: Bytes, a low estimate.
        what: What needs them.
        remedy: What the user can do.

    Raises:
        InvalidValueError: If they are more than there are.
    """
    there = total_memory()
    if there is not None and needed > there:
        raise InvalidValueError(
            f"Expected what fits into the {_gib(there)} of memory of this machine, got {what}, for "
            f"which {_gib(needed)} are needed at least: {remedy}."
        )


def check_workers(workers: int) -> None:
    """Refuse more worker processes than the memory of this machine can hold.

    Raises:
        InvalidValueError: If they are too many.
    """
    check_memory(workers * WORKER_BYTES, f"--workers {workers}", "lower it")


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
