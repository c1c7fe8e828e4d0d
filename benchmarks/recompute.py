"""Compute the tables of docs/results again, from the repository alone, and compare.

    python benchmarks/recompute.py

For every ablation in `docs/results/ablation/`, `summary.csv` and `comparisons.csv` are computed
anew from `measured/`, which holds for each model its figures in every cell, by how much each test
image moves its AUC, and in how many subsets the image was classified rightly. Pages are made anew
from the tables. So are the tables of the studies of capacity, of blocks and of kernels, in
`docs/results/capacity/`, `docs/results/blocks/` and `docs/results/kernels/`, from `measured.npz`.
The tables of the other pages are made anew from the CSV files beside them, which hold each single
figure or time that was measured. It prints a line for each file, and exits with 1 where one differs
by more than the last digits of a number.
"""

from __future__ import annotations

import csv
import importlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import block_results as blocks
import capacity_results as capacity
import gallery
import kernel_results as kernels
import numpy as np
from ablation_results import RESULTS, page, pages
from published import text_of
from rows import read_json, read_rows, typed_rows

DOCS = RESULTS.parent
SCRIPTS: tuple[tuple[str, Callable[[Path], Any], dict[str, str]], ...] = (
    ("main_job", typed_rows, {f"{one}.md": f"{one}.csv" for one in ("breastmnist", "bccd_cells")}),
    ("verdicts", typed_rows, {"verdicts.md": "verdicts.csv"}),
    *(
        (script, typed_rows, {f"{script}.md": f"{script}.csv"})
        for script in (
            *("bootstrap", "depthwise", "exact_engines", "freed_memory", "many_heads"),
            *("noise_parts", "noisy_layer", "quantum_layer", "shared_machine"),
            *("simclr", "training_step"),
        )
    ),
    (
        "noise_results",
        read_rows,
        {
            f"noise/{one}.md": f"noise/{one}-summary.csv"
            for one in ("breastmnist", "breastmnist-mitigation", "pneumoniamnist")
        },
    ),
    (
        "noise_aware",
        read_rows,
        {
            f"{one}.md": f"{one}.csv"
            for one in ("noise_aware_breastmnist", "noise_aware_pneumoniamnist")
        },
    ),
)
"""Scripts whose `table_lines` makes the tables of pages from CSV files in docs/results."""


def models_of(
    folder: Path, shares: Sequence[float], positive: int | None
) -> dict[tuple[float, str], Any]:
    """The figures of all models of an ablation, by share of the labels and name."""
    from hybridq.studies.ablation.judged import measured

    found = {}
    for share in shares:
        with np.load(folder / "measured" / f"{share:g}.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        kept: dict[str, dict[int, dict[str, Any]]] = {}
        for name, values in arrays.items():
            model, _, rest = name.partition("/")
            if rest:
                encoder, _, own = rest.partition("/")
                kept.setdefault(model, {}).setdefault(int(encoder), {})[own] = values
        for model, encoders in kept.items():
            parts = [encoders[encoder] for encoder in sorted(encoders)]
            found[share, model] = measured(parts, arrays["labels"], positive)
    return found


def ablation(folder: Path) -> Iterator[tuple[Path, str]]:
    """The tables of an ablation, computed anew, by their paths."""
    from hybridq.studies.ablation.grid import Budget
    from hybridq.studies.ablation.tables import summarise
    from hybridq.studies.ablation.verdicts import questions, verdicts

    result = read_json(folder / "result.json")
    names = result["class_names"]
    positive = None if result["positive"] is None else names.index(result["positive"])
    models = models_of(folder, result["labels"], positive)
    rows = [{**row, "labels": float(row["labels"])} for row in read_rows(folder / "ablation.csv")]
    order = dict.fromkeys((row["labels"], row["model"]) for row in rows)
    summary = summarise({key: models[key] for key in order}, rows)
    yield folder / "summary.csv", text_of(summary)
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
    for folder in sorted(path.parent for path in capacity.RESULTS.glob("*/measured.npz")):
        yield from capacity.recomputed(folder)
        yield capacity.RESULTS / f"{folder.name}.md", capacity.page(folder.name)
    for folder in sorted(path.parent for path in blocks.RESULTS.glob("*/measured.npz")):
        yield from blocks.recomputed(folder)
        yield blocks.RESULTS / f"{folder.name}.md", blocks.page(folder.name)
    for folder in sorted(path.parent for path in kernels.RESULTS.glob("*/measured.npz")):
        yield from kernels.recomputed(folder)
        yield kernels.RESULTS / f"{folder.name}.md", kernels.page(folder.name)
    if all((blocks.RESULTS / name).is_dir() for name in gallery.NAMES):
        yield gallery.GALLERY / "table.md", "\n".join(gallery.table_lines())


def tables() -> Iterator[tuple[Path, str]]:
    """The tables of the pages that a script makes from one CSV file, and the page they are in."""
    for script, read, pages_of in SCRIPTS:
        made = importlib.import_module(script).table_lines
        for page_path, rows_path in pages_of.items():
            yield DOCS / page_path, "\n".join(made(read(DOCS / rows_path)))


def agrees(there: str, text: str) -> bool:
    """Whether a CSV file holds what was computed anew, up to the last digits of its numbers.

    Processors add numbers in different orders, and so round differently.
    """

    def close(a: str, b: str) -> bool:
        try:
            return math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-12)
        except ValueError:
            return False

    pair = [list(csv.reader(one.splitlines())) for one in (there, text)]
    return [len(row) for row in pair[0]] == [len(row) for row in pair[1]] and all(
        a == b or close(a, b)
        for rows in zip(*pair, strict=True)
        for a, b in zip(*rows, strict=True)
    )


def main() -> None:
    """Compute and compare."""
    begun, wrong = time.perf_counter(), 0
    root = RESULTS.parents[2]
    found = [(path, text, True) for path, text in every()]
    found += [(path, text, False) for path, text in tables()]
    for path, text, whole in found:
        there = path.read_text(encoding="utf-8")
        same = there == text if whole else text in there
        if path.suffix == ".csv":
            same = agrees(there, text)
        wrong += not same
        print(f"{'the same' if same else 'DIFFERENT'}: {path.relative_to(root)}", flush=True)
    print(f"{wrong} of these files differ; {time.perf_counter() - begun:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
