"""Which circuit learns best from few labels, on frozen SimCLR features?

    python benchmarks/main_job.py --data breastmnist --stage pretrain
    python benchmarks/head_ansatz.py

Trains the head alone on 10% of the labels of BreastMNIST, with label subsets of several seeds on
the encoders that `main_job.py` pretrained, and compares the AUC on the validation split, best and
last. The test split is not read. The table goes to `docs/results/head_ansatz.csv`.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

HEADS: dict[str, dict[str, str]] = {
    "pqc, ry_cz, ring": {"name": "pqc", "ansatz": "ry_cz", "entanglement": "ring"},
    "pqc, ry_cz, none": {"name": "pqc", "ansatz": "ry_cz", "entanglement": "none"},
    "pqc, real_amplitudes, ring": {"name": "pqc", "ansatz": "real_amplitudes"},
    "pqc, efficient_su2, ring": {"name": "pqc", "ansatz": "efficient_su2"},
    "pqc_residual, ry_cz, ring": {"name": "pqc_residual", "ansatz": "ry_cz"},
    "mlp (control of ry_cz)": {"name": "mlp", "ansatz": "ry_cz"},
    "linear": {"name": "linear"},
}


def train(encoder: str, head: dict[str, str], seed: int, runs: Path) -> dict[str, Any]:
    """Train a head once; return its validation AUC."""
    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune
    from hybridq.utils.files import read_jsonl

    folder = finetune(
        FinetuneConfig(
            data="breastmnist",
            encoder=encoder,
            freeze_encoder=True,
            head_start="random",
            labels=0.1,
            seed=seed,
            epochs=100,
            head=head_config(**head),
            runs=runs,
            name=f"ansatz-s{seed}",
        )
    )
    aucs = [row["val_auc"] for row in read_jsonl(folder / "metrics.jsonl")]
    return {"seed": seed, "best": round(max(aucs), 4), "last": round(aucs[-1], 4)}


def main() -> None:
    """Train every head with every seed and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    args = parser.parse_args()
    import torch

    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    encoders = sorted(args.runs.glob("pretrain/*-breastmnist-s?/encoder.safetensors"))
    if not encoders:
        raise SystemExit("Expected encoders of main_job.py in --runs, got none: run it first.")
    rows = [
        {"head": name, **train(str(encoders[seed % len(encoders)]), head, seed, args.runs)}
        for name, head in HEADS.items()
        for seed in args.seeds
    ]
    out = Path(__file__).resolve().parent.parent / "docs" / "results" / "head_ansatz.csv"
    write_csv(out, list(rows[0]), [list(row.values()) for row in rows])
    print("| head | best validation AUC | last epoch |\n|---|---|---|")
    for name in HEADS:
        own = [row for row in rows if row["head"] == name]
        cells = [
            f"{statistics.mean(row[key] for row in own):.3f} "
            f"({min(row[key] for row in own):.3f}-{max(row[key] for row in own):.3f})"
            for key in ("best", "last")
        ]
        print(f"| {name} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
