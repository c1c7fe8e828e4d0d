"""Refuse work that cannot fit in the memory of this machine, before anything is made.

The estimates are low ones: refused work would certainly have failed later, and accepted work may
still need more memory than there is.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from hybridq.errors import InvalidValueError

logger = logging.getLogger("hybridq")

WORKER_BYTES = 200 * 2**20
"""The least memory of a worker process with torch loaded, in bytes."""

CGROUP_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""The files that hold a container's limit, in cgroups of version 2 and 1."""


def total_memory() -> int | None:
    """Return the memory of this machine or container in bytes; None if it is unknown."""
    found = []
    with suppress(ValueError, OSError, AttributeError):  # a system without these names
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in CGROUP_FILES:
        with suppress(OSError, ValueError):  # no such file, or `max` in it
            found.append(int(path.read_text(encoding="utf-8")))
    return min((size for size in found if size > 0), default=None)


def check_memory(needed: int, what: str, remedy: str, *, tell: bool = False) -> None:
    """Refuse work that needs more memory than this machine has.

    Args:
        needed: A low estimate, in bytes.
        what: The work that needs them.
        remedy: What the user can do.
        tell: Whether to say so where they are more than half of what there is.

    Raises:
        InvalidValueError: If the machine has less.
    """
    there = total_memory()
    if tell and there is not None and there / 2 < needed <= there:
        logger.warning(
            "%s takes at least %s of the %s of memory of this machine: where that is too much, %s",
            what,
            _gib(needed),
            _gib(there),
            remedy,
        )
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
