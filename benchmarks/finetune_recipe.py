"""Which learning rates fine-tune best, from SimCLR and from random weights?

    python benchmarks/main_job.py --data breastmnist --stage pretrain
    python benchmarks/finetune_recipe.py

Splits the train and validation images of BreastMNIST in four stratified parts, fine-tunes on three
of them with all labels and reads the AUC of the fourth: a validation split of 156 images, and
several of them, where the official one has 78. The test split is not read. The table goes to
`docs/results/finetune_recipe.csv`.
"""

from __future__ import annotations

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ARMS: list[dict[str, Any]] = [
    {"start": "simclr", "head": "mlp", "learning_rate": 1e-3, "head_learning_rate": 5e-3},
    {"start": "simclr", "head": "mlp", "learning_rate": 3e-3, "head_learning_rate": 5e-3},
    {"start": "simclr", "head": "linear", "learning_rate": 3e-3, "head_learning_rate": 5e-3},
    {"start": "scratch", "head": "mlp", "learning_rate": 1e-3, "head_learning_rate": 5e-3},
    {"start": "scratch", "head": "mlp", "learning_rate": 3e-3, "head_learning_rate": 5e-3},
]
PARTS = 4


def write_part(part: int, folder: Path) -> Path:
    """An `.npz` whose validation split is one part, and whose train split is the others."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    from hybridq.data import load_data

    data = load_data("breastmnist", splits=("train", "val"))
    images, labels = (
        np.concatenate([getattr(data.splits[split], name) for split in ("train", "val")])
        for name in ("images", "labels")
    )
    folds = StratifiedKFold(PARTS, shuffle=True, random_state=0)
    train, val = list(folds.split(images, labels))[part]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"breastmnist-part{part}.npz"
    np.savez(
        path,
        train_images=images[train],
        train_labels=labels[train, None],
        val_images=images[val],
        val_labels=labels[val, None],
    )
    return path


def train(data: Path, part: int, arm: dict[str, Any], encoder: str, runs: Path) -> dict[str, Any]:
    """Fine-tune once; return the AUC on the part left out."""
    import torch

    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune
    from hybridq.utils.files import read_jsonl

    torch.set_num_threads(1)
    options = {name: value for name, value in arm.items() if name not in ("start", "head")}
    folder = finetune(
        FinetuneConfig(
            data=str(data),
            seed=part,
            encoder=encoder if arm["start"] == "simclr" else "none",
            head=head_config(name=arm["head"]),
            runs=runs,
            name=f"recipe-part{part}",
            **options,
        )
    )
    rows = read_jsonl(folder / "metrics.jsonl")
    return {
        **arm,
        "part": part,
        "loss": round(rows[-1]["loss"], 4),
        "last": round(rows[-1]["val_auc"], 4),
        "second_half": round(statistics.mean(row["val_auc"] for row in rows[len(rows) // 2 :]), 4),
    }


def main() -> None:
    """Fine-tune every arm on every part asked for, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--parts", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    encoders = sorted(args.runs.glob("pretrain/*-breastmnist-s0/encoder.safetensors"))
    if not encoders:
        raise SystemExit("Expected an encoder of main_job.py in --runs, got none: run it first.")
    files = {part: write_part(part, args.runs / "parts") for part in args.parts}
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(train, files[part], part, arm, str(encoders[-1]), args.runs)
            for part in args.parts
            for arm in ARMS
        ]
        rows = [future.result() for future in futures]
    out = Path(__file__).resolve().parent.parent / "docs" / "results" / "finetune_recipe.csv"
    write_csv(out, list(rows[0]), [list(row.values()) for row in rows])
    print("| encoder | head | its peak rate | train loss | AUC, last | AUC, second half |")
    print("|---|---|---|---|---|---|")
    for arm in ARMS:
        own = [row for row in rows if all(row[name] == value for name, value in arm.items())]
        cells = [
            f"{statistics.mean(row[name] for row in own):.3f} "
            f"({min(row[name] for row in own):.3f}-{max(row[name] for row in own):.3f})"
            for name in ("loss", "last", "second_half")
        ]
        print(
            f"| {arm['start']} | {arm['head']} | {arm['learning_rate']:g} | {' | '.join(cells)} |"
        )


if __name__ == "__main__":
    main()
