"""What do crops and several views of an image add to trained models, on the validation split?

    python benchmarks/main_job.py --data breastmnist --stage finetune
    python benchmarks/view_gain.py --runs runs/finetune/*-breastmnist-1-simclr-* --crops 1 0.92

Prints the mean validation AUC of the runs for each share of the side that is kept (`crop_pct`) and
each choice of `hybridq evaluate --views`; `docs/results/view_gain.csv` holds every run's. The test
split is not loaded.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from rows import rows_so_far, run_name

VIEWS = ("one", "flip", "shift", "zoom")
OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "view_gain.csv"
HEADER = ("data", "run", "crop_pct", "views", "auc")


def val_aucs(
    run: Path, crops: list[float], data_root: Path | None
) -> dict[tuple[float, str], float]:
    """Validation AUC for each crop and each choice of views."""
    from hybridq.config import FinetuneConfig
    from hybridq.data import load_data
    from hybridq.evaluation.evaluate import classify
    from hybridq.evaluation.metrics.scores import auc
    from hybridq.models.checkpoint import load_model
    from hybridq.runs.folder import read_config
    from hybridq_backends import open_backend

    found = {}
    with open_backend("statevector") as backend:
        model, spec = load_model(run, backend=backend)
        source = read_config(run, FinetuneConfig, "finetune").data
        split = load_data(source, data_root=data_root, splits=("val",)).splits["val"]
        for crop in crops:
            model.encoder.spec = spec.encoder.model_copy(update={"crop_pct": crop})
            for views in VIEWS:
                probs = classify(model, split, multilabel=False, views=views)
                found[crop, views] = auc(split.labels, probs)
    return found


def main() -> None:
    """Print a line for each crop; write a row for each run, crop and choice of views."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--crops", type=float, nargs="+", default=[1.0])
    parser.add_argument("--data-root", type=Path, default=None)
    args = parser.parse_args()
    import torch

    from hybridq.models.checkpoint import read_spec
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    found = [val_aucs(run, args.crops, args.data_root) for run in args.runs]
    print("| side kept | " + " | ".join(VIEWS) + " |\n|---|" + "---|" * len(VIEWS))
    for crop in args.crops:
        means = [statistics.mean(each[crop, views] for each in found) for views in VIEWS]
        print(f"| {crop:g} | " + " | ".join(f"{value:.4f}" for value in means) + " |")
    rows = [[row[key] for key in HEADER] for row in rows_so_far(OUT)]
    for run, each in zip(args.runs, found, strict=True):
        name = run_name(run)
        data = read_spec(run).data
        rows = [row for row in rows if row[:2] != [data, name]]
        rows += [[data, name, crop, views, f"{value:.6f}"] for (crop, views), value in each.items()]
    write_csv(OUT, list(HEADER), rows)


if __name__ == "__main__":
    main()
