"""Tables and pictures of finished ablations for the documentation.

    python benchmarks/ablation_results.py runs/study/...-ablation-breastmnist --name breastmnist

copies what is published of a study to `docs/results/ablation/NAME/`: its tables, its pictures, and
`measured/`, of which `benchmarks/recompute.py` computes the tables again. From these files alone it
writes `docs/results/ablation/NAME.md`: mean test AUC with intervals, a verdict for each question,
and the command that makes the study. Then it makes the tables of README.md and docs/results.md from
the summaries of all ablations there.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from published import (
    FACTS,
    encoders_text,
    made_by,
    mean_cell,
    options_words,
    publish,
    verdict_cell,
)
from rows import read_json, read_rows

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "ablation"
TITLES = {
    "breastmnist": "BreastMNIST",
    "pneumoniamnist": "PneumoniaMNIST",
    "chest_xray": "Chest X-rays",
    "bccd_cells": "Blood cells",
    "stenosis": "Stenosis",
}
HEADLINE = {
    "pixels-logistic": "raw pixels, logistic regression",
    "whole-scratch-linear": "from scratch, `linear`",
    "random-logistic": "untrained encoder, logistic regression",
    "simclr-logistic": "SimCLR frozen, logistic regression",
    "simclr-mlp": "SimCLR frozen, `mlp`",
    "simclr-pqc": "SimCLR frozen, `pqc`",
    "whole-simclr-linear": "SimCLR fine-tuned, `linear`",
    "whole-simclr-mlp": "SimCLR fine-tuned, `mlp`",
    "whole-simclr-pqc": "SimCLR fine-tuned, `pqc`",
}
"""Models of the table in docs/results.md, and what they are called there."""
README_SETS = ("breastmnist", "pneumoniamnist", "chest_xray", "stenosis")
README_MODELS = ("pixels-logistic", "simclr-logistic", "simclr-mlp", "simclr-pqc")
README_BUDGETS = ("50 labels",)
TABLES = ("ablation", "summary", "comparisons", "search", "seconds")


def budgets_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The amounts of labels in words, ascending."""
    shares = {row["budget"]: float(row["labels"]) for row in rows}
    return sorted(shares, key=lambda one: shares[one])


def auc_table(summary: list[dict[str, str]], figure: str) -> list[str]:
    """Means and intervals of the models by budget."""
    own = [row for row in summary if row["figure"] == figure]
    found = {(row["model"], row["budget"]): row for row in own}
    budgets = budgets_of(own)
    lines = ["| model | " + " | ".join(budgets) + " |", "|---" * (1 + len(budgets)) + "|"]
    for model in dict.fromkeys(model for model, _ in found):
        cells = [mean_cell(found.get((model, budget))) for budget in budgets]
        lines.append(f"| `{model}` | " + " | ".join(cells) + " |")
    return lines


def verdict_table(comparisons: list[dict[str, str]]) -> list[str]:
    """A verdict for each question and budget."""
    budgets = budgets_of(comparisons)
    lines = [
        "| question | first | second | " + " | ".join(budgets) + " |",
        "|---" * (3 + len(budgets)) + "|",
    ]
    found = {(row["a"], row["b"], row["budget"]): row for row in comparisons}
    question = {(row["a"], row["b"]): row["question"] for row in comparisons}
    for a, b in question:
        cells = [verdict_cell(found.get((a, b, budget))) for budget in budgets]
        lines.append(f"| {question[a, b]} | `{a}` | `{b}` | " + " | ".join(cells) + " |")
    return lines


def movement(rows: list[dict[str, str]]) -> str:
    """How far training moved the circuit, on frozen SimCLR features."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["model"] == "simclr-pqc" and row["circuit_movement"]:
            found.setdefault(row["budget"], []).append(float(row["circuit_movement"]))
    if not found:
        return ""
    parts = [
        f"{sum(values) / len(values):.2f} rad with {budget}" for budget, values in found.items()
    ]
    return (
        f" Training moved the circuit of `simclr-pqc` by (RMS over its weights) {', '.join(parts)}."
    )


def headline(
    sets: Sequence[str], models: Sequence[str], budgets: Sequence[str] | None = None
) -> list[str]:
    """Mean AUC of models of `HEADLINE`, a row for each data set and budget, from the summaries.

    Args:
        sets: Names in `TITLES`.
        models: Names in `HEADLINE`; those that no set has are left out.
        budgets: The budgets that are shown; all if None. One alone is not named in the rows.
    """
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    lines: list[tuple[str, str]] = []
    for name in sets:
        path = RESULTS / name / "summary.csv"
        if not path.is_file():
            continue
        rows = [row for row in read_rows(path) if row["figure"] == "auc"]
        lines += [(name, one) for one in budgets_of(rows) if budgets is None or one in budgets]
        found |= {(name, row["model"], row["budget"]): row for row in rows}
    shown = [model for model in models if any(key[1] == model for key in found)]
    one_budget = budgets is not None and len(budgets) == 1
    table = [
        "| | " + " | ".join(HEADLINE[model] for model in shown) + " |",
        "|---" * (1 + len(shown)) + "|",
    ]
    for name, part in lines:
        cells = [mean_cell(found.get((name, model, part)), 2) for model in shown]
        title = TITLES[name] if one_budget else f"{TITLES[name]}, {part}"
        table.append(f"| {title} | " + " | ".join(cells) + " |")
    return table


def with_table(path: Path, lines: list[str]) -> str:
    """The text of a page with a table between its marks."""
    begin, end = "<!-- results:ablation -->\n", "<!-- /results -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end, maxsplit=1)
    table = "\n".join(lines)
    return f"{before}{begin}\n{table}\n\n{end}{after}"


def pages() -> dict[Path, str]:
    """README.md and docs/results.md with their tables made anew, by their paths."""
    readme, results = ROOT / "README.md", ROOT / "docs" / "results.md"
    return {
        readme: with_table(readme, headline(README_SETS, README_MODELS, README_BUDGETS)),
        results: with_table(results, headline(tuple(TITLES), tuple(HEADLINE))),
    }


def study_options(config: dict[str, Any]) -> str:
    """The options of `hybridq study ablation` that are not its defaults, and those of its size."""
    from hybridq.config import AblationStudyConfig

    default = AblationStudyConfig().model_dump(mode="json")
    always, elsewhere = ["data", "labels", "seeds", "subsets"], ["whole"]
    if config["whole"]:
        always.append("whole_heads")
    else:
        elsewhere += [name for name in config if name.startswith("whole_")]
    words = options_words(config, default, always, elsewhere)
    words += [] if config["whole"] else ["--no-whole"]
    words += ["--encoder-runs RUN..."] if config["encoder_runs"] else []
    return " ".join(words)


def page(name: str) -> str:
    """The page of a data set, from its published files."""
    folder = RESULTS / name
    config, environment, result = (read_json(folder / f"{fact}.json") for fact in FACTS)
    rows, summary, comparisons, _, seconds = (read_rows(folder / f"{one}.csv") for one in TABLES)
    hours = sum(float(row["seconds"]) for row in seconds) / 3600
    text = [*auc_table(summary, "auc"), ""]
    unlike = [row for row in summary if row["figure"] == "auc_without_duplicates"]
    if unlike:
        text += [
            f"Without the test images that have a near-duplicate in train ({unlike[0]['images']} "
            "images):",
            "",
            *auc_table(summary, "auc_without_duplicates"),
            "",
        ]
    text += [*verdict_table(comparisons), ""]
    told = result["primary_verdicts"]
    beside = "" if name == config["data"] else f" --page {name}"
    text += [
        f"Mean test AUC over {config['seeds']} encoders by {config['subsets']} label subsets on "
        f"{result['images']} images, and the difference of the first model from the second, with "
        "95% intervals over encoders, subsets and test images together; verdicts at a margin of "
        f"{config['margin']:g} after Holm's correction over the comparisons of each question. "
        f"Declared beforehand: {', '.join(result['primary'])}; of {sum(told.values())} such "
        f"comparisons {sum(told.values()) - told['undecided']} are decided."
        + movement(rows)
        + "".join(f" {note.rstrip('.')}." for note in result["notes"]),
        "",
        encoders_text(folder, config["data"]),
        made_by(
            f"hybridq study ablation {study_options(config)}",
            f"{hours:.1f} hours",
            f"python benchmarks/ablation_results.py STUDY --name {config['data']}{beside}",
            environment,
        ),
        "",
    ]
    return "\n".join(text)


def main() -> None:
    """Copy and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    parser.add_argument("--name", required=True, help="of the data")
    parser.add_argument("--page", help="of the page, where it is another; it is not in headlines")
    args = parser.parse_args()
    page_name = args.page or args.name
    from hybridq.utils.files import write_text

    folder = RESULTS / page_name
    publish(args.study, folder, args.name, TABLES)
    shutil.copytree(args.study / "measured", folder / "measured")
    write_text(RESULTS / f"{page_name}.md", page(page_name))
    for path, text in pages().items():
        write_text(path, text)
    print(page(page_name))


if __name__ == "__main__":
    main()
