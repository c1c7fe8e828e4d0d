"""How should MobileNetV2 meet images of 28 px: a stride-1 stem, or upsampling?

    python benchmarks/small_images.py

Trains from scratch with a linear head on BreastMNIST (all labels) and PneumoniaMNIST (10% of
them), and compares the best validation AUC over seeds and the seconds per epoch. 56 px with the
stride-2 stem costs the same arithmetic as 28 px with the stride-1 stem. The test split is not
read. The table goes to `docs/results/small_images.csv`.
"""

from __future__ import annotations

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ARMS: dict[str, dict[str, Any]] = {
    "as it is, stride-2 stem": {"image_size": 28, "stem": "stride2"},
    "as it is, stride-1 stem": {"image_size": 28, "stem": "stride1"},
    "upsampled to 56, stride-2 stem": {"image_size": 56, "stem": "stride2"},
}
DATA = {"breastmnist": 1.0, "pneumoniamnist": 0.1}


def train(data: str, arm: str, seed: int, epochs: int, runs: Path) -> dict[str, Any]:
    """Train once; return the best validation AUC and the seconds per epoch."""
    import torch

    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune
    from hybridq.utils.files import read_jsonl

    torch.set_num_threads(1)
    folder = finetune(
        FinetuneConfig(
            data=data,
            labels=DATA[data],
            seed=seed,
            epochs=epochs,
            head=head_config(name="linear"),
            runs=runs,
            name=f"small-{data}-s{seed}",
            **ARMS[arm],
        )
    )
    rows = read_jsonl(folder / "metrics.jsonl")
    return {
        "data": data,
        "input": arm,
        "seed": seed,
        "val_auc": round(max(row["val_auc"] for row in rows), 4),
        "last_val_auc": round(statistics.mean(row["val_auc"] for row in rows[-3:]), 4),
        "seconds_per_epoch": round(statistics.median(row["seconds"] for row in rows), 2),
    }


def main() -> None:
    """Train every arm with every seed and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(train, data, arm, seed, args.epochs, args.runs)
            for seed in args.seeds
            for data in DATA
            for arm in ARMS
        ]
        rows = [future.result() for future in futures]
    out = Path(__file__).resolve().parent.parent / "docs" / "results" / "small_images.csv"
    write_csv(out, list(rows[0]), [list(row.values()) for row in rows])
    print(
        "| data | input | best val AUC | mean of last 3 epochs | s/epoch |\n|---|---|---|---|---|"
    )
    for data in DATA:
        for arm in ARMS:
            own = [row for row in rows if row["data"] == data and row["input"] == arm]
            cells = [
                f"{statistics.mean(row[name] for row in own):.3f} "
                f"({min(row[name] for row in own):.3f}-{max(row[name] for row in own):.3f})"
                for name in ("val_auc", "last_val_auc")
            ]
            seconds = statistics.median(row["seconds_per_epoch"] for row in own)
            print(f"| {data} | {arm} | {' | '.join(cells)} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
