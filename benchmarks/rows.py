"""What the benchmarks share that keep their rows in a CSV file: reading it, and naming runs."""

from __future__ import annotations

import csv
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rows_so_far(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where there is no such file yet."""
    return read_rows(path) if path.is_file() else []


def run_name(run: Path) -> str:
    """Name of a run's folder without day and time."""
    return run.name.split("-", 2)[2]
