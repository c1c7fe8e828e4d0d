"""What the benchmarks share that keep their rows in a CSV file: reading it, and naming runs."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


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


def text_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as a study writes them, with these columns or those of the first."""
    from hybridq.studies.tables import cell

    out, header = io.StringIO(), list(columns or rows[0])
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([header, *([cell(row[name]) for name in header] for row in rows)])
    return out.getvalue()


def run_name(run: Path) -> str:
    """Name of a run's folder without day and time."""
    return run.name.split("-", 2)[2]


ELSEWHERE = ("data", "data_root", "runs", "name", "seed", "steps", "resume", "checkpoint_every")
"""What of a pretraining's config is told apart, or changes no weight."""


def pretrain_options(config: Mapping[str, Any]) -> str:
    """The options of `hybridq pretrain` that are not its defaults, but for data, seed and steps."""
    from hybridq.config import PretrainConfig

    default = PretrainConfig().model_dump(mode="json")
    return " ".join(_options(config, default, "")).strip()


def _options(config: Mapping[str, Any], default: Mapping[str, Any], part: str) -> Iterator[str]:
    for name, value in config.items():
        known = default.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            yield from _options(value, known, f"{name}.")
        elif value != known and part + name not in ELSEWHERE:
            yield f"--{(part + name).replace('_', '-')} {value}"


PLACES = ("data_root", "runs", "name", "resume", "workers", "encoder_runs")
"""What of a study's config is told apart, or changes no figure."""


def options_words(
    config: Mapping[str, Any],
    default: Mapping[str, Any],
    always: Sequence[str] = (),
    elsewhere: Sequence[str] = (),
) -> list[str]:
    """The options of a study that are not its defaults, and those that are always told."""
    named = [
        name
        for name, value in config.items()
        if name in always or (name not in (*PLACES, *elsewhere) and value != default[name])
    ]
    return [
        f"--no-{name.replace('_', '-')}"
        if config[name] is False
        else f"--{name.replace('_', '-')} {_in_short(config[name])}"
        for name in named
    ]


def _in_short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def publish_tables(study: Path, folder: Path, tables: Sequence[str]) -> None:
    """Copy the tables and pictures of a study to a folder, in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for one in tables:
        shutil.copyfile(study / f"{one}.csv", folder / f"{one}.csv")
    for picture in sorted((study / "figures").glob("*.png")):
        shutil.copyfile(picture, folder / picture.name)


def publish_facts(study: Path, folder: Path, name: str) -> None:
    """Write how a study was made: without the paths of the machine that made it.

    Args:
        study: Its folder.
        folder: Where `config.json`, `environment.json`, `result.json` and, where it was given
            encoders, `encoders.json` are written.
        name: What its data are called.
    """
    from hybridq.utils.files import write_text

    kept = {fact: read_json(study / f"{fact}.json") for fact in FACTS}
    runs = [
        Path(run) for field in ("models", "encoder_runs") for run in kept["config"].get(field, ())
    ]
    if runs:
        encoders = [facts_of_encoder(run) for run in runs]
        write_text(folder / "encoders.json", json.dumps(encoders, indent=2) + "\n")
    kept["config"] |= {"data": name, "data_root": None, "runs": "runs"}
    kept["config"]["encoder_runs"] = [run.name for run in runs]
    if "models" in kept["config"]:
        kept["config"]["models"] = []
    named = ("git_commit", "resumed", "versions")
    kept["environment"] = {key: one for key, one in kept["environment"].items() if key in named}
    for fact, own in kept.items():
        write_text(folder / f"{fact}.json", json.dumps(own, indent=2) + "\n")


FACTS = ("config", "environment", "result")


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def facts_of_encoder(run: Path) -> dict[str, Any]:
    """What is told of an encoder that a study was given."""
    config, result = (read_json(run / f"{fact}.json") for fact in ("config", "result"))
    kept = ("method", "images", "steps", "loss", "seconds")
    return {
        "seed": config["seed"],
        "options": pretrain_options(config),
        **{name: result[name] for name in kept},
    }


def encoders_text(folder: Path, name: str) -> str:
    """How the encoders were made, where a study did not pretrain them itself."""
    path = folder / "encoders.json"
    if not path.is_file():
        return ""
    found = read_json(path)
    minutes = sum(one["seconds"] for one in found) / 60 / len(found)
    commands = dict.fromkeys(
        f"`hybridq pretrain --data {name} --seed SEED --steps {one['steps']} {one['options']}`"
        for one in found
    )
    return f"Encoders: {' and '.join(commands)}, {minutes:.0f} minutes each on one of two cores.\n"


def commits(environment: Mapping[str, Any]) -> str:
    """The commit a study was begun at, and those it was gone on with."""
    later = dict.fromkeys(one["git_commit"] for one in environment.get("resumed", ()))
    later.pop(environment["git_commit"], None)
    text = str(environment["git_commit"])
    return f"{text} (gone on with at {', '.join(map(str, later))})" if later else text
