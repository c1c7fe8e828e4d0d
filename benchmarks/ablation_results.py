"""Tables and pictures of finished ablations for the documentation.

    python benchmarks/ablation_results.py runs/study/...-ablation-breastmnist --name breastmnist

copies the tables and pictures of a study to `docs/results/ablation/NAME-...`, and writes
`docs/results/ablation/NAME.md`: mean test AUC with intervals over seeds and test images, a verdict
for each question, and the command that makes the study. Then it makes the tables of README.md and
docs/results.md from the summaries of all ablations there.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rows import read_rows

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "ablation"
TITLES = {"breastmnist": "BreastMNIST", "pneumoniamnist": "PneumoniaMNIST"}
HEADLINE = {
    "raw_pixels": "raw pixels, logistic regression",
    "whole-scratch-linear": "from scratch, `linear`",
    "whole-scratch-mlp": "from scratch, `mlp`",
    "whole-scratch-pqc": "from scratch, `pqc`",
    "simclr-linear": "SimCLR frozen, `linear`",
    "simclr-mlp": "SimCLR frozen, `mlp`",
    "simclr-pqc": "SimCLR frozen, `pqc`",
    "whole-simclr-linear": "SimCLR fine-tuned, `linear`",
    "whole-simclr-mlp": "SimCLR fine-tuned, `mlp`",
    "whole-simclr-pqc": "SimCLR fine-tuned, `pqc`",
}
"""Models of the table in docs/results.md, and what they are called there."""
README_MODELS = ("raw_pixels", "whole-scratch-mlp", "simclr-mlp", "simclr-pqc", "whole-simclr-pqc")
README_FRACTIONS = (0.1, 1.0)
TABLES = ("ablation", "summary", "comparisons", "search", "seconds")
VERDICTS = {"better": "**better**", "worse": "**worse**"}


def share(labels: str | float) -> str:
    """A fraction of the labels in percent."""
    from hybridq.utils.text import percent

    return percent(float(labels))


def cell(row: dict[str, str] | None, digits: int = 3) -> str:
    """Mean and interval, its ends with so many digits."""
    if row is None or not row["mean"]:
        return "-"
    low, high = (f"{float(row[end]):.{digits}f}" for end in ("low", "high"))
    return f"{float(row['mean']):.3f} [{low}, {high}]"


def auc_table(summary: list[dict[str, str]], figure: str) -> list[str]:
    """Means and intervals of the models by fraction of the labels."""
    found = {(row["model"], row["labels"]): row for row in summary if row["figure"] == figure}
    fractions = sorted({labels for _, labels in found}, key=float)
    lines = [
        "| model | " + " | ".join(f"{share(labels)} of the labels" for labels in fractions) + " |",
        "|---" * (1 + len(fractions)) + "|",
    ]
    for model in dict.fromkeys(model for model, _ in found):
        cells = [cell(found.get((model, labels))) for labels in fractions]
        lines.append(f"| `{model}` | " + " | ".join(cells) + " |")
    return lines


def verdict_table(comparisons: list[dict[str, Any]]) -> list[str]:
    """A verdict for each question and fraction."""
    fractions = sorted({row["labels"] for row in comparisons})
    lines = [
        "| question | first | second | "
        + " | ".join(f"{share(labels)} of the labels" for labels in fractions)
        + " |",
        "|---" * (3 + len(fractions)) + "|",
    ]
    found = {(row["a"], row["b"], row["labels"]): row for row in comparisons}
    for a, b in dict.fromkeys((row["a"], row["b"]) for row in comparisons):
        cells = []
        for labels in fractions:
            row = found.get((a, b, labels))
            if row is None:
                cells.append("-")
                continue
            word = VERDICTS.get(row["verdict"], row["verdict"])
            ends = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
            cells.append(f"{word}, {row['difference']:+.3f} {ends}")
        question = next(row["question"] for row in comparisons if (row["a"], row["b"]) == (a, b))
        lines.append(f"| {question} | `{a}` | `{b}` | " + " | ".join(cells) + " |")
    return lines


def movement(rows: list[dict[str, str]]) -> str:
    """How far training moved the circuit, on frozen SimCLR features."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["encoder"] == "simclr" and row["head"] == "pqc" and row["circuit_movement"]:
            found.setdefault(row["labels"], []).append(float(row["circuit_movement"]))
    if not found:
        return ""
    parts = [
        f"{sum(values) / len(values):.2f} rad with {share(labels)}"
        for labels, values in sorted(found.items(), key=lambda item: float(item[0]))
    ]
    return (
        f" Training moved the circuit of `simclr-pqc` by (RMS over its weights) {', '.join(parts)}."
    )


def commits(environment: dict[str, Any]) -> str:
    """The commit a study was begun at, and those it was gone on with."""
    later = dict.fromkeys(one["git_commit"] for one in environment.get("resumed", ()))
    later.pop(environment["git_commit"], None)
    text = str(environment["git_commit"])
    return f"{text} (gone on with at {', '.join(map(str, later))})" if later else text


def headline(models: Sequence[str], fractions: Sequence[float] | None = None) -> list[str]:
    """Mean AUC of models of `HEADLINE` by data set and fraction, from the summaries."""
    found, columns = {}, []
    for name in TITLES:
        path = RESULTS / f"{name}-summary.csv"
        if not path.is_file():
            continue
        rows = [row for row in read_rows(path) if row["figure"] == "auc"]
        parts = sorted({row["labels"] for row in rows}, key=float)
        parts = [part for part in parts if fractions is None or float(part) in fractions]
        columns += [(name, part) for part in parts]
        found |= {(name, row["model"], row["labels"]): row for row in rows}
    lines = [
        "| | " + " | ".join(f"{TITLES[name]} {share(part)}" for name, part in columns) + " |",
        "|---" * (1 + len(columns)) + "|",
    ]
    for model in models:
        cells = [cell(found.get((name, model, part)), 2) for name, part in columns]
        if set(cells) != {"-"}:
            lines.append(f"| {HEADLINE[model]} | " + " | ".join(cells) + " |")
    return lines


def put_table(path: Path, lines: list[str]) -> None:
    """Put a table between the marks of a page."""
    from hybridq.utils.files import write_text

    begin, end = "<!-- results:ablation -->\n", "<!-- /results -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end, maxsplit=1)
    table = "\n".join(lines)
    write_text(path, f"{before}{begin}\n{table}\n\n{end}{after}")


def update_pages() -> None:
    """Make the tables of README.md and docs/results.md anew."""
    put_table(ROOT / "README.md", headline(README_MODELS, README_FRACTIONS))
    put_table(ROOT / "docs" / "results.md", headline(tuple(HEADLINE)))


def study_options(config: dict[str, Any]) -> str:
    """The options of `hybridq study ablation` that are not its defaults, and those of its size."""
    from hybridq.config import AblationStudyConfig

    default = AblationStudyConfig().model_dump(mode="json")
    always = ("data", "labels", "seeds")
    elsewhere = ("data_root", "runs", "name", "resume", "workers", "whole", "encoder_runs")
    named = [
        name
        for name, value in config.items()
        if name in always or (name not in elsewhere and value != default[name])
    ]
    words = [f"--{name.replace('_', '-')} {config[name]}" for name in named]
    words += [] if config["whole"] else ["--no-whole"]
    words += ["--encoder-runs RUN..."] if config["encoder_runs"] else []
    return " ".join(words)


def main() -> None:
    """Copy and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    from hybridq.utils.files import write_text

    config: dict[str, Any] = json.loads((args.study / "config.json").read_text())
    environment = json.loads((args.study / "environment.json").read_text())
    result = json.loads((args.study / "result.json").read_text())
    comparisons = json.loads((args.study / "comparisons.json").read_text())
    RESULTS.mkdir(exist_ok=True)
    for name in TABLES:
        shutil.copyfile(args.study / f"{name}.csv", RESULTS / f"{args.name}-{name}.csv")
    pictures = sorted((args.study / "figures").glob("*.png"))
    for picture in pictures:
        shutil.copyfile(picture, RESULTS / f"{args.name}-{picture.name}")
    summary = read_rows(args.study / "summary.csv")
    seconds = read_rows(args.study / "seconds.csv")
    hours = sum(float(row["seconds"]) for row in seconds) / 3600
    figures = {row["figure"] for row in summary}
    text = [*auc_table(summary, "auc"), ""]
    if "auc_without_duplicates" in figures:
        left = next(row["images"] for row in summary if row["figure"] == "auc_without_duplicates")
        if left != str(result["images"]):
            text += [
                f"Without the test images that have a near-duplicate in train ({left} images):",
                "",
                *auc_table(summary, "auc_without_duplicates"),
                "",
            ]
    text += [*verdict_table(comparisons), ""]
    versions = environment["versions"]
    named = ", ".join(f"{package} {versions[package]}" for package in ("torch", "qiskit"))
    options = study_options(config)
    families = {row["family"]: row["family_size"] for row in comparisons}
    sizes = ", ".join(f"{count} of {family}" for family, count in families.items())
    text += [
        f"Mean test AUC over {config['seeds']} seeds on {result['images']} images, and the "
        "difference of the first model from the second, with 95% intervals over seeds and test "
        f"images together; verdicts at a margin of {config['margin']:g} after Holm's correction "
        f"over the comparisons of a family ({sizes})."
        + movement(read_rows(args.study / "ablation.csv"))
        + "".join(f" {note.rstrip('.')}." for note in result["notes"]),
        "",
        f"Made by `hybridq study ablation {options}` at commit "
        f"{commits(environment)}, {hours:.1f} hours of work in units of one thread, and "
        f"`python benchmarks/ablation_results.py STUDY --name {args.name}`; {named}.",
        "",
    ]
    write_text(RESULTS / f"{args.name}.md", "\n".join(text))
    update_pages()
    print("\n".join(text))
    print([picture.name for picture in pictures])


if __name__ == "__main__":
    main()
