"""Units of work that leave one file each, so that a study goes on after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hybridq.records.record import is_sealed, refused, seal
from hybridq.records.results import read_record
from hybridq.records.studies import SealedUnit
from hybridq.studies.engine.pool import run_in
from hybridq.threads import one_thread
from hybridq.utils.files import without_nan, write_json

MAX_BYTES = 2**30
"""Most bytes of what a unit leaves: it holds the probabilities of all test images."""


class Work(Protocol):
    """What is computed at a time."""

    @property
    def name(self) -> str:
        """Unique in its stage; part of a file's name."""
        ...

    def compute(self) -> dict[str, Any]:
        """What is kept of it, ready for JSON; NaN becomes None."""
        ...


@dataclass(frozen=True)
class KeptUnit:
    """A unit, and the file that says that it is finished and holds what came out."""

    work: Work
    path: Path


def run_stage(
    folder: Path,
    stage: str,
    works: Sequence[Work],
    *,
    pool: ProcessPoolExecutor | None,
    on_done: Callable[[Work], None],
) -> list[dict[str, Any]]:
    """Compute what is not there yet, and return what all units have left.

    Args:
        folder: Of the study; the files are in `units/` of it.
        stage: Folder in there.
        works: In any order; each can be pickled.
        pool: From `worker_pool`.
        on_done: Called after each unit, also for those that were there.

    Returns:
        What `compute` returned, in the order of `works`.

    Raises:
        InvalidValueError: If a file that is there cannot be read.
    """
    units = [KeptUnit(work, folder / "units" / stage / f"{work.name}.json") for work in works]
    found = {unit.work.name: _read(unit.path) for unit in units if unit.path.is_file()}
    for unit in units:
        if unit.work.name in found:
            on_done(unit.work)
    missing = [unit for unit in units if unit.work.name not in found]
    for unit, _ in run_in(pool, _keep, missing):
        found[unit.work.name] = _read(unit.path)
        on_done(unit.work)
    return [found[unit.work.name] for unit in units]


def _read(path: Path) -> dict[str, Any]:
    what, remedy = "what a unit of the study left", "remove it, and it is computed again."
    kept: dict[str, Any] = read_record(path, SealedUnit, what, remedy, limit=MAX_BYTES)
    if not is_sealed(kept):
        raise refused(what, path, "a damaged or edited file", remedy)
    return kept


def _keep(unit: KeptUnit) -> None:
    started = time.perf_counter()
    with one_thread():
        result = unit.work.compute()
    seconds = round(time.perf_counter() - started, 2)
    write_json(unit.path, seal(without_nan({**result, "seconds": seconds})))
