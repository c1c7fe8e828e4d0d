"""How long does a bootstrap take whose draws are counted, and one that evaluates each draw?

    python benchmarks/bootstrap.py

Random probabilities of as many images and classes as the test splits of BreastMNIST, PneumoniaMNIST
and PathMNIST have; 2,000 draws of each, in turn in one process on one thread. Both take the same
draws: the largest difference between the ends of their intervals is in the table, which goes to
`docs/results/bootstrap.csv` and `.md`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is loaded

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from timing import interleave, machine, versions

from hybridq.evaluation.metrics.scores import all_metrics
from hybridq.evaluation.statistics import stratified_bootstrap
from hybridq.utils.files import write_csv, write_text

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
SIZES = ((156, 2), (624, 2), (7180, 9))


def compare(images: int, classes: int, resamples: int) -> dict[str, Any]:
    """Time both; a row."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images)
    probs = rng.dirichlet(np.ones(classes), images) + 0.2 * (labels[:, None] == range(classes))
    probs /= probs.sum(axis=1, keepdims=True)
    positive = 1 if classes == 2 else None
    counted = all_metrics(multilabel=False, positive=positive, threshold=0.5, num_classes=classes)

    def one_by_one(drawn: Any, drawn_probs: Any) -> dict[str, float]:
        return counted(drawn, drawn_probs)  # a plain function is called for each draw

    found: dict[str, Any] = {}

    def run(name: str, metrics: Any) -> None:
        found[name] = stratified_bootstrap(metrics, labels, probs, resamples=resamples, seed=1)

    taken = interleave(
        {"one by one": lambda: run("one by one", one_by_one), "counted": lambda: run("c", counted)},
        rounds=5,
        seconds=5,
        warm=1,
    )
    one, other = (min(taken[name]) for name in ("one by one", "counted"))
    difference = max(
        abs(found["c"][name][end] - found["one by one"][name][end])
        for name in found["c"]
        for end in ("low", "high")
    )
    return {
        "images": images,
        "classes": classes,
        "resamples": resamples,
        "one_by_one_s": round(one, 3),
        "counted_s": round(other, 3),
        "ratio": round(one / other, 1),
        "difference": f"{difference:.0e}",
    }


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| images | classes | each draw evaluated | draws counted | ratio | intervals differ by |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['images']} | {r['classes']} | {r['one_by_one_s']:.2f} s | "
            f"{r['counted_s']:.2f} s | {r['ratio']:.1f} | {float(r['difference']):.0e} |"
            for r in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resamples", type=int, default=2000)
    args = parser.parse_args()
    rows = [compare(*size, args.resamples) for size in SIZES]
    write_csv(RESULTS / "bootstrap.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"The fastest of up to five rounds of {args.resamples} draws, one thread. Made by `python "
        f"benchmarks/bootstrap.py` on {machine()}; {versions('numpy', 'scipy')}.",
        "",
    ]
    write_text(RESULTS / "bootstrap.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
