"""How should a head be trained on a tenth of BreastMNIST's labels?

    python benchmarks/main_job.py --data breastmnist --stage pretrain
    python benchmarks/few_labels.py

Trains heads on the frozen encoders of `main_job.py`, with several subsets of 55 labels that it does
not use, and compares the validation AUC at the last epoch with that of logistic regressions on raw
pixels and on the encoders' features. The test split is not read. The table goes to
`docs/results/few_labels.csv`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

LABELS = 0.1
SEEDS = range(10, 16)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FROZEN = [
    {
        **{"freeze_encoder": True, "head_start": "random"},
        **{"epochs": epochs, "head_learning_rate": rate},
    }
    for epochs, rate in ((5, 1e-2), (10, 5e-3), (10, 1e-2), (30, 5e-3), (100, 1e-3))
]


def encoders(runs: Path) -> list[Path]:
    """The newest pretraining of each seed of `main_job.py`."""
    found = {
        path.parent.name[-2:]: path.parent
        for path in sorted(runs.glob("pretrain/*-breastmnist-s?/encoder.safetensors"))
    }
    if not found:
        raise SystemExit(f"Expected encoders of main_job.py below {runs}, got none: run it first.")
    return [found[seed] for seed in sorted(found)]


def train(encoder: Path, head: str, options: dict[str, Any], seed: int) -> float:
    """Validation AUC at the last epoch."""
    import logging

    import torch

    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune
    from hybridq.utils.files import read_jsonl

    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        run = finetune(
            FinetuneConfig(
                data="breastmnist",
                runs=Path(folder),
                encoder=str(encoder),
                labels=LABELS,
                seed=seed,
                head=head_config(name=head),
                batch_size=32,
                **options,
            )
        )
        return float(read_jsonl(run / "metrics.jsonl")[-1]["val_auc"])


def probe(encoder: Path | None, penalty: float, seed: int) -> float:
    """Validation AUC of a logistic regression on features, or on raw pixels."""
    import numpy as np
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from hybridq.data import load_data, select_labels
    from hybridq.models.encoders.file import load_encoder

    torch.set_num_threads(1)
    data = load_data("breastmnist", splits=("train", "val"))
    train_split, val = data.splits["train"], data.splits["val"]
    chosen = select_labels(train_split, LABELS, seed=seed, task="binary", num_classes=2)

    def features(images: Any) -> Any:
        if encoder is None:
            return images.reshape(len(images), -1) / 255
        model = load_encoder(encoder).eval()
        with torch.inference_mode():
            parts = [model(model.prepare(part)) for part in np.array_split(images, 4)]
        return torch.cat(parts).numpy()

    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=penalty, class_weight="balanced", max_iter=2000)
    )
    model.fit(features(train_split.images[chosen]), train_split.labels[chosen])
    return float(roc_auc_score(val.labels, model.decision_function(features(val.images))))


def main() -> None:
    """Run every arm on every encoder and subset, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    found = encoders(args.runs)
    futures: list[tuple[tuple[str, str, str, int], Any]] = []
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        for penalty in PENALTIES:
            for seed in SEEDS:
                key = ("raw pixels, logistic regression", f"C={penalty:g}", "-", seed)
                futures.append((key, pool.submit(probe, None, penalty, seed)))
                for path in found:
                    key = ("features, logistic regression", f"C={penalty:g}", path.name[-2:], seed)
                    futures.append((key, pool.submit(probe, path, penalty, seed)))
        for head, options in product(("linear", "mlp", "pqc"), FROZEN):
            words = " ".join(f"{name}={value:g}" for name, value in options.items())
            for path in found:
                for seed in SEEDS:
                    future = pool.submit(train, path, head, options, seed)
                    futures.append(((head, words, path.name[-2:], seed), future))
        rows = [(*key, round(future.result(), 4)) for key, future in futures]
    out = Path(__file__).resolve().parent.parent / "docs" / "results" / "few_labels.csv"
    header = ["model", "settings", "encoder", "seed", "val_auc"]
    write_csv(out, header, [list(row) for row in rows])
    print("| model | settings | validation AUC (standard deviation) |\n|---|---|---|")
    for case in dict.fromkeys(row[:2] for row in rows):
        values = [row[4] for row in rows if row[:2] == case]
        mean, spread = statistics.mean(values), statistics.stdev(values)
        print(f"| {case[0]} | {case[1]} | {mean:.3f} ({spread:.3f}) |")


if __name__ == "__main__":
    main()
