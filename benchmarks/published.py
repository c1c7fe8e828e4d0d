"""What the scripts share that publish the tables of studies: facts, options, verdicts, text."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rows import pretrain_options, pretrainings, read_json

FACTS = ("config", "environment", "result")
"""How a study was made, as it is published beside the tables."""
PLACES = (
    *("data_root", "runs", "name", "resume", "workers", "ray", "models", "encoder_runs"),
    *("pseudonyms", "pseudonym_key"),
)
"""What of a study's config is told apart, or changes no figure."""
RUNS = ("models", "encoder_runs")
"""Fields of a study's config that name runs."""
VERDICTS = {"better": "**better**", "worse": "**worse**"}


def text_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as a study writes them, with these columns or those of the first."""
    from hybridq.studies.tables import cell

    out, header = io.StringIO(), list(columns or rows[0])
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([header, *([cell(row[name]) for name in header] for row in rows)])
    return out.getvalue()


def read_measured(folder: Path) -> dict[tuple[str, str], Any]:
    """What `measured.npz` of a published study holds, by the two names under which it stands."""
    import numpy as np

    from hybridq.evaluation.statistics import Measured

    arrays: dict[tuple[str, str], dict[str, Any]] = {}
    with np.load(folder / "measured.npz", allow_pickle=False) as file:
        for name in file.files:
            first, second, field = name.split("/")
            arrays.setdefault((first, second), {})[field] = file[name]
    return {key: Measured.from_arrays(own) for key, own in arrays.items()}


def mean_cell(row: Mapping[str, str] | None, digits: int = 3) -> str:
    """Mean and interval, its ends with so many digits."""
    if row is None or not row["mean"]:
        return "-"
    low, high = (f"{float(row[end]):.{digits}f}" for end in ("low", "high"))
    return f"{float(row['mean']):.3f} [{low}, {high}]"


def verdict_cell(row: Mapping[str, str] | None) -> str:
    """A verdict with the difference and its interval."""
    if row is None:
        return "-"
    word = VERDICTS.get(row["verdict"], row["verdict"])
    ends = f"[{float(row['low']):+.3f}, {float(row['high']):+.3f}]"
    return f"{word}, {float(row['difference']):+.3f} {ends}"


def options_words(
    config: Mapping[str, Any],
    default: Mapping[str, Any],
    always: Sequence[str] = (),
    elsewhere: Sequence[str] = (),
) -> list[str]:
    """The options of a study that are not its defaults, and those that are always told.

    One that there is no more is told: it was an option at the commit of the study.
    """
    gone = object()
    return [
        _option(name.replace("_", "-"), value)
        for name, value in config.items()
        if name in always
        or (name not in (*PLACES, *elsewhere) and value != default.get(name, gone))
    ]


def _option(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, list | tuple):
        return " ".join([f"--{name}", *map(str, value)])
    whole = isinstance(value, float) and value == int(value)
    return f"--{name} {int(value) if whole else value}"


def lines_of(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown, and an empty line."""
    both = [f"| {' | '.join(one)} |" for one in (columns, ["---"] * len(columns), *rows)]
    return [*both, ""]


def verdict_table(
    comparisons: Sequence[Mapping[str, str]],
    topic: str,
    about: str,
    called: Callable[[str], str],
    column: str,
) -> list[str]:
    """A verdict for every pair of a topic and every amount of labels.

    Args:
        comparisons: The rows of `comparisons.csv`.
        topic: The topic.
        about: What it is about, in words.
        called: What a model is, by its name.
        column: What the first column is called.
    """
    own = [row for row in comparisons if row["topic"] == topic]
    if not own:
        return []
    amounts = list(dict.fromkeys(row["labels"] for row in own))
    found = {(row["labels"], row["a"], row["b"]): row for row in own}
    rows = [
        [called(a), called(b), *(verdict_cell(found.get((amount, a, b))) for amount in amounts)]
        for a, b in dict.fromkeys((row["a"], row["b"]) for row in own)
    ]
    return [f"About {about}:", "", *lines_of([column, "against", *amounts], rows)]


def publish(study: Path, folder: Path, name: str, tables: Sequence[str]) -> None:
    """Copy the tables and pictures of a study to a folder, in place of what was there.

    Beside them it writes `config.json`, `environment.json`, `result.json` and, where the study was
    given encoders, `encoders.json`: without the paths of the machine that made it.

    Args:
        study: Its folder.
        folder: Where it is published.
        name: What its data are called.
        tables: Names of its CSV files.
    """
    from hybridq.utils.files import write_text

    facts = {fact: read_json(study / f"{fact}.json") for fact in FACTS}
    config, environment = facts["config"], facts["environment"]
    given = {field: [Path(run) for run in config.get(field) or ()] for field in RUNS}
    encoders = [facts_of_encoder(run) for runs in given.values() for run in runs]
    config |= {"data": name, "data_root": None, "runs": "runs", "pseudonym_key": None, "ray": None}
    config |= {
        field: [run.name for run in runs] for field, runs in given.items() if field in config
    }
    named = ("git_commit", "resumed", "versions")
    facts["environment"] = {key: one for key, one in environment.items() if key in named}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for one in tables:
        shutil.copyfile(study / f"{one}.csv", folder / f"{one}.csv")
    for picture in sorted((study / "figures").glob("*.png")):
        shutil.copyfile(picture, folder / picture.name)
    if encoders:
        write_text(folder / "encoders.json", json.dumps(encoders, indent=2) + "\n")
    for fact, own in facts.items():
        write_text(folder / f"{fact}.json", json.dumps(own, indent=2) + "\n")


def facts_of_encoder(run: Path) -> dict[str, Any]:
    """What is told of an encoder that a study was given.

    Raises:
        SystemExit: If the run is none of `hybridq pretrain`.
    """
    kept = ("method", "images", "steps", "loss", "seconds")
    *earlier, (config, result) = pretrainings(run)
    if missing := [name for name in kept if name not in result]:
        raise SystemExit(
            f"Expected runs of `hybridq pretrain` as encoders of a study that is published, got "
            f"{run.name} without {missing[0]!r}: make the study from these."
        )
    return {
        "seed": config["seed"],
        "options": pretrain_options(config),
        **{name: result[name] for name in kept},
        "after": [
            {"options": pretrain_options(own), "steps": found["steps"], "seconds": found["seconds"]}
            for own, found in earlier
        ],
    }


def encoders_text(folder: Path, name: str) -> str:
    """How the encoders were made, where a study did not pretrain them itself."""
    path = folder / "encoders.json"
    if not path.is_file():
        return ""
    found = read_json(path)
    chains = [[*one.get("after", ()), one] for one in found]
    minutes = sum(part["seconds"] for chain in chains for part in chain) / 60 / len(found)
    start = f"hybridq pretrain --data {name} --seed SEED --steps"
    commands = dict.fromkeys(
        ", then ".join(
            f"`{' '.join([start, str(part['steps']), *part['options'].split()])}`" for part in chain
        )
        for chain in chains
    )
    return f"Encoders: {' and '.join(commands)}, {minutes:.0f} minutes each on one of two cores.\n"


def made_by(study: str, took: str, publish: str, environment: Mapping[str, Any]) -> str:
    """Say which commands made a page, at which commit, in what time and with which versions."""
    versions = environment["versions"]
    named = ", ".join(f"{package} {versions[package]}" for package in ("torch", "qiskit"))
    return (
        f"Made by `{study}` at commit {_commits(environment)}, {took} of work in units of one "
        f"thread, and `{publish}`; {named}."
    )


def _commits(environment: Mapping[str, Any]) -> str:
    """The commit a study was begun at, and those it was gone on with."""
    later = dict.fromkeys(one["git_commit"] for one in environment.get("resumed", ()))
    later.pop(environment["git_commit"], None)
    text = str(environment["git_commit"])
    return f"{text} (gone on with at {', '.join(map(str, later))})" if later else text
