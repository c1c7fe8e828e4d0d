"""Accuracy and sensitivity of the whole networks of an ablation on stenosis, at a threshold of 0.5.

    python benchmarks/lqer_stenosis.py STUDY

The study is the one of `docs/results/ablation/stenosis_lqer.md`. Probabilities are means over the
networks of one encoder, and figures means over encoders, with the least and the largest: H-CQN
(Ovalle-Magallanes et al. 2022) publishes an accuracy and a recall of one network. The table goes to
`docs/results/lqer_stenosis.csv`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "lqer_stenosis.csv"


def main() -> None:
    """Read, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    rows = []
    with np.load(args.study / "predictions.npz", allow_pickle=False) as file:
        labels = file["labels"]
        for name in (name for name in file.files if name.startswith("1/")):
            found = file[name].argmax(axis=2)
            for figure, values in (
                ("accuracy", (found == labels).mean(axis=1)),
                ("sensitivity", (found[:, labels == 1] == 1).mean(axis=1)),
            ):
                figures = (
                    round(float(one), 3) for one in (values.mean(), values.min(), values.max())
                )
                rows.append([name.partition("/")[2], figure, *figures])
    write_csv(OUT, ["model", "figure", "mean", "least", "most"], rows)
    for row in rows:
        print(" | ".join(map(str, row)))


if __name__ == "__main__":
    main()
