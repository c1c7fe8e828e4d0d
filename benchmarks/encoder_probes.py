"""Which pretraining gives the better features? Probes of encoders, on train and validation only.

    hybridq pretrain --data breastmnist --seed 0 --name longer --epochs 600
    python benchmarks/encoder_probes.py --encoders runs/pretrain/*-longer

Pools the train and validation images and fits logistic regressions on the features of each encoder:
with all labels (five folds), and with 5% and 10% of them (stratified subsets, the same for every
encoder), read on the images that were left out. The penalty is fixed, the test split is not loaded.
A row of `docs/results/encoder_probes.csv` is an encoder at an input size, its features means over
`--views` and pooled after `--blocks` of MobileNetV2 (18 is the last); raw pixels are the first.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from rows import pretrain_options, rows_so_far

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "encoder_probes.csv"
KEY = ("data", "encoder", "seed", "epochs", "changes", "image_size", "views", "block")
HEADER = (*KEY, "auc", "auc_10", "auc_5")
SUBSETS = 30
LAST_BLOCK = 18


def probe(features: Any, labels: Any) -> dict[str, float]:
    """Mean AUC of logistic regressions with all labels, and with few."""
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    from hybridq.evaluation.measures.geometry import probe_scores

    splits = {"auc": StratifiedKFold(5, shuffle=True, random_state=0)}
    for share in (10, 5):
        splits[f"auc_{share}"] = StratifiedShuffleSplit(
            SUBSETS, train_size=share / 100, random_state=0
        )
    return {
        name: round(
            statistics.mean(probe_scores(features, labels, split.split(features, labels))), 4
        )
        for name, split in splits.items()
    }


def changes(config: dict[str, Any]) -> str:
    """The steps of a run, and what of its config is not the default."""
    weights = Path(config["encoder"]["weights"]).name
    own = {**config, "encoder": {**config["encoder"], "weights": weights}}
    return f"steps={config['steps']} {pretrain_options(own)}".strip()


def main() -> None:
    """Probe the encoders asked for that are not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default="breastmnist")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--encoders", type=Path, nargs="+", required=True)
    parser.add_argument("--image-sizes", type=int, nargs="+", default=[56])
    parser.add_argument("--views", choices=("one", "flip", "shift", "zoom"), default="one")
    parser.add_argument("--blocks", type=int, nargs="+", choices=range(19), default=[LAST_BLOCK])
    args = parser.parse_args()
    import torch

    from hybridq.data import load_data
    from hybridq.evaluation.features import image_features
    from hybridq.models.encoders.file import load_encoder
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    data = load_data(args.data, data_root=args.data_root, splits=("train", "val"))
    images = np.concatenate([data.splits[name].images for name in ("train", "val")])
    labels = np.concatenate([data.splits[name].labels for name in ("train", "val")])
    rows = [[row[name] for name in HEADER] for row in rows_so_far(OUT)]

    def add(features: Any, *named: Any) -> None:
        key = [data.name, *map(str, named)]
        if key in [row[: len(KEY)] for row in rows]:
            return
        found = probe(features(), labels)
        rows.append([*key, *(str(found[name]) for name in HEADER[len(KEY) :])])
        write_csv(OUT, list(HEADER), rows)
        print(" | ".join(rows[-1]), flush=True)

    add(lambda: images.reshape(len(images), -1) / 255, "raw pixels", *[""] * 6)
    for run in args.encoders:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        for size, block in itertools.product(args.image_sizes, args.blocks):
            encoder = load_encoder(run).eval()
            encoder.features = encoder.features[: block + 1]
            encoder.spec = encoder.spec.model_copy(update={"image_size": size})
            add(
                lambda encoder=encoder: image_features(encoder, images, views=args.views).numpy(),
                "simclr",
                config["seed"],
                config["epochs"] or "",
                changes(config),
                size,
                args.views,
                block,
            )


if __name__ == "__main__":
    main()
