"""What do several views of an image add to trained models, on the validation split?

    python benchmarks/main_job.py --data breastmnist --stage finetune
    python benchmarks/view_gain.py --runs runs/finetune/*-breastmnist-1-simclr-*

Prints the validation AUC of each run for each choice of `hybridq evaluate --views`, and the means.
The test split is not loaded.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

VIEWS = ("one", "flip", "shift", "zoom")


def val_aucs(run: Path, data_root: Path | None) -> list[float]:
    """Validation AUC for each choice of views."""
    from backends import open_backend
    from hybridq.checkpoint import load_model
    from hybridq.data import load_data
    from hybridq.evaluation.evaluate import classify
    from hybridq.evaluation.metrics import auc

    with open_backend("statevector") as backend:
        model, spec = load_model(run, backend=backend)
        split = load_data(spec.data, data_root=data_root, splits=("val",)).splits["val"]
        return [
            auc(split.labels, classify(model, split, multilabel=False, views=views))
            for views in VIEWS
        ]


def main() -> None:
    """Print a line for each run, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--data-root", type=Path, default=None)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    rows = [val_aucs(run, args.data_root) for run in args.runs]
    print("| run | " + " | ".join(VIEWS) + " |\n|---|" + "---|" * len(VIEWS))
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    names = [run.name for run in args.runs]
    for name, values in zip([*names, "mean"], [*rows, means], strict=True):
        print(f"| {name} | " + " | ".join(f"{value:.4f}" for value in values) + " |")


if __name__ == "__main__":
    main()
