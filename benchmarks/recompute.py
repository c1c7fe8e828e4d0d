"""Compute the tables of docs/results again, from the repository alone, and compare.

    python benchmarks/recompute.py

For every ablation in `docs/results/ablation/`, `summary.csv` and `comparisons.csv` are computed
anew from `measured/`, which holds for each model its figures in every cell, by how much each test
image moves its AUC, and in how many subsets the image was classified rightly. Pages are made anew
from the tables. It prints a line for each file, and exits with 1 where one differs.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ablation_results import RESULTS, page, pages
from rows import read_rows


def models_of(folder: Path, positive: int | None) -> dict[tuple[float, str], Any]:
    """The figures of all models of an ablation, by share of the labels and name."""
    from hybridq.studies.ablation.judged import measured

    found = {}
    for path in sorted((folder / "measured").glob("*.npz"), key=lambda one: float(one.stem)):
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        kept: dict[str, dict[int, dict[str, Any]]] = {}
        for name, values in arrays.items():
            model, _, rest = name.partition("/")
            if rest:
                encoder, _, own = rest.partition("/")
                kept.setdefault(model, {}).setdefault(int(encoder), {})[own] = values
        for model, encoders in kept.items():
            parts = [encoders[encoder] for encoder in sorted(encoders)]
            found[float(path.stem), model] = measured(parts, arrays["labels"], positive)
    return found


def text_of(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Rows as the study writes them."""
    from hybridq.studies.tables import cell

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([columns, *([cell(row[name]) for name in columns] for row in rows)])
    return out.getvalue()


def ablation(folder: Path) -> Iterator[tuple[Path, str]]:
    """The tables of an ablation, computed anew, by their paths."""
    from hybridq.studies.ablation.grid import Budget
    from hybridq.studies.ablation.tables import summarise
    from hybridq.studies.ablation.verdicts import questions, verdicts

    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    names = result["class_names"]
    positive = None if result["positive"] is None else names.index(result["positive"])
    models = models_of(folder, positive)
    rows = [{**row, "labels": float(row["labels"])} for row in read_rows(folder / "ablation.csv")]
    summary = summarise(models, rows)
    yield folder / "summary.csv", text_of(summary, list(summary[0]))
    budgets = [Budget(*pair) for pair in zip(result["labels"], result["budgets"], strict=True)]
    asked = questions(result["kinds"], result["whole_heads"], result["primary"])
    compared = verdicts(models, asked, budgets, margin=result["margin"])
    columns = [name for name in compared[0] if name != "variance"]
    yield folder / "comparisons.csv", text_of(compared, columns)


def every() -> Iterator[tuple[Path, str]]:
    """All that can be computed anew, by its path."""
    published = sorted(path.parent for path in RESULTS.glob("*/measured"))
    for folder in published:
        yield from ablation(folder)
        yield RESULTS / f"{folder.name}.md", page(folder.name)
    if published:
        yield from pages().items()


def main() -> None:
    """Compute and compare."""
    begun, wrong = time.perf_counter(), 0
    root = RESULTS.parents[2]
    for path, text in every():
        same = path.read_text(encoding="utf-8") == text
        wrong += not same
        print(f"{'the same' if same else 'DIFFERENT'}: {path.relative_to(root)}", flush=True)
    print(f"{wrong} of these files differ; {time.perf_counter() - begun:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
