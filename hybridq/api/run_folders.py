"""Where a training from Python leaves its files: in a run folder that is kept, or nowhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridq.errors import InvalidValueError

RECORDS = ("config.json", "environment.json", "metrics.jsonl", "result.json", "report.json")
"""The small files of a run, beside its model."""


@contextmanager
def place_of_runs(runs: str | Path | None, *, why: str | None = None) -> Iterator[Path]:
    """The folder of runs, or one that is gone after the block.

    Args:
        runs: Where run folders are kept; None keeps none.
        why: What needs a folder that stays, if anything does.

    Raises:
        InvalidValueError: If one is needed and none is given.
    """
    if runs is not None:
        yield Path(runs)
        return
    if why is not None:
        raise InvalidValueError(f"Expected `runs` {why}, got None: give the folder of runs.")
    with tempfile.TemporaryDirectory(prefix="hybridq-") as folder:
        yield Path(folder)


def read_records(folder: Path) -> dict[str, bytes]:
    """Read the small files of a run."""
    return {name: (folder / name).read_bytes() for name in RECORDS if (folder / name).is_file()}
