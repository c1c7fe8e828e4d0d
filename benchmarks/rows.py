"""What the benchmarks share that keep their rows in a CSV file: reading it, and telling of runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def typed_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file with its numbers as numbers, and None where a cell is empty."""
    return [{name: typed(text) for name, text in row.items()} for row in read_rows(path)]


def typed(text: str) -> int | float | str | None:
    """The value that a cell was written from."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text or None


def rows_so_far(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none where there is no such file yet."""
    return read_rows(path) if path.is_file() else []


def run_name(run: Path) -> str:
    """Name of a run's folder without day and time."""
    return run.name.split("-", 2)[2]


ELSEWHERE = ("data", "data_root", "runs", "name", "seed", "steps", "resume", "checkpoint_every")
"""What of a pretraining's config is told apart, or changes no weight."""


def pretrainings(run: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Config and result of a pretraining, after those of the runs whose weights it began with."""
    config, result = (read_json(run / f"{fact}.json") for fact in ("config", "result"))
    earlier = Path(config["encoder"]["weights"])
    before = pretrainings(earlier) if (earlier / "config.json").is_file() else []
    return [*before, (config, result)]


def pretrain_options(config: Mapping[str, Any]) -> str:
    """The options of `hybridq pretrain` that are not its defaults, but for data, seed and steps.

    A run whose weights it began with is `RUN`.
    """
    from hybridq.config import PretrainConfig

    default = PretrainConfig().model_dump(mode="json")
    return " ".join(_options(config, default, "")).strip()


def _options(config: Mapping[str, Any], default: Mapping[str, Any], part: str) -> Iterator[str]:
    for name, value in config.items():
        known = default.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            yield from _options(value, known, f"{name}.")
        elif part + name == "encoder.weights" and Path(str(value)).name != value:
            yield "--encoder RUN"
        elif value != known and part + name not in ELSEWHERE:
            yield f"--{(part + name).replace('_', '-')} {value}"
