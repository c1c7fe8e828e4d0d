"""What it is worth to begin a head at a regression on its labels, with fixed rates.

    python benchmarks/head_start.py --data breastmnist --encoder RUN --image-size 84 --views zoom

Trains heads on the frozen features of one encoder from random weights and from a penalised
regression on the same labels (`hybridq finetune --head-start`), and reads them on validation; the
test split is not loaded. A row of `docs/results/head_start.csv` is one head, start, number of
labels, of steps of 32 images, and peak rate: the mean AUC and balanced log loss over label subsets
(with all labels, over initial weights). `regression` is the regression itself, and a head of 0
steps is as it begins. Rows that are there are kept.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from rows import rows_so_far

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "head_start.csv"
KEY = ("data", "seed", "image_size", "views", "labels", "head", "start", "steps", "rate")
HEADER = (*KEY, "subsets", "auc", "log_loss")
HEADS = ("pqc", "mlp")
RATES = (1e-4, 1e-3, 5e-3)
BLOCK_RATE = 1e-2
STEPS = {True: 500, False: 60}
"""With all labels, and with fewer."""


def main() -> None:
    """Train and read what is not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default="breastmnist")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--encoder", type=Path, required=True, help="a run of `hybridq pretrain`")
    parser.add_argument("--labels", nargs="+", default=["25", "50", "100", "all"])
    parser.add_argument("--subsets", type=int, default=20)
    parser.add_argument("--image-size", type=int, default=None)
    parser.add_argument("--views", choices=("one", "flip", "shift", "zoom"), default="one")
    args = parser.parse_args()
    import torch
    from scipy.special import softmax

    from hybridq.config import head_config
    from hybridq.data import load_data
    from hybridq.data.splits import select_labels
    from hybridq.evaluation.features import image_features, standardised
    from hybridq.evaluation.metrics.scores import auc
    from hybridq.models.encoders.file import load_encoder
    from hybridq.models.heads import build_head
    from hybridq.models.searched_regression import balanced_log_loss
    from hybridq.training.heads.head_start import begin_at_regression, labelled_regression
    from hybridq.training.heads.many_heads import heads_probs, train_heads
    from hybridq.utils.files import write_csv
    from hybridq_backends import open_backend

    torch.set_num_threads(1)
    data = load_data(args.data, data_root=args.data_root, splits=("train", "val"))
    train, val = data.splits["train"], data.splits["val"]
    encoder = load_encoder(args.encoder).eval()
    size = args.image_size or encoder.spec.image_size
    encoder.spec = encoder.spec.model_copy(update={"image_size": size})
    seed = json.loads((args.encoder / "config.json").read_text(encoding="utf-8"))["seed"]
    points = standardised(
        {
            name: image_features(encoder, data.splits[name].images, views=args.views).numpy()
            for name in ("train", "val")
        }
    )
    features = {name: torch.from_numpy(own.astype(np.float32)) for name, own in points.items()}
    rows = [[row[name] for name in HEADER] for row in rows_so_far(OUT)]

    def add(probs: Any, *named: Any) -> None:
        key = [data.name, *map(str, (seed, size, args.views, *named))]
        if key in [row[: len(KEY)] for row in rows]:
            return
        figures = [
            np.mean([figure_of(val.labels, one) for one in probs])
            for figure_of in (auc, balanced_log_loss)
        ]
        rows.append([*key, str(len(probs)), *(f"{value:.4f}" for value in figures)])
        write_csv(OUT, list(HEADER), rows)
        print(" | ".join(rows[-1]), flush=True)

    with open_backend("statevector") as backend:
        for word in args.labels:
            of_all = word == "all"
            share = 1.0 if of_all else int(word) / len(train)
            chosen = [
                select_labels(
                    train,
                    share,
                    seed=1000 + (0 if of_all else subset),
                    task=data.task,
                    num_classes=data.num_classes,
                )
                for subset in range(5 if of_all else args.subsets)
            ]
            steps = STEPS[of_all]
            fitted = [
                labelled_regression(
                    points["train"][own],
                    train.labels[own],
                    data.num_classes,
                    groups=None if train.groups is None else train.groups[own],
                    seed=subset,
                )
                for subset, own in enumerate(chosen)
            ]
            add(
                [softmax(one.logits(points["val"]), axis=1) for one in fitted],
                word,
                "regression",
                "",
                0,
                "",
            )
            for name in HEADS:
                drawn = [
                    build_head(
                        points["train"].shape[1],
                        data.num_classes,
                        head_config(name),
                        backend=backend,
                        generator=torch.Generator().manual_seed(subset),
                    )
                    for subset in range(len(chosen))
                ]
                begun = copy.deepcopy(drawn)
                for head, one, own in zip(begun, fitted, chosen, strict=True):
                    begin_at_regression(head, one, features["train"], own)
                    head.eval()
                probs = heads_probs(begun, features["val"], multilabel=False)
                add(probs, word, name, "regression", 0, "")
                for start, heads in (("random", drawn), ("regression", begun)):
                    for rate in RATES:
                        trained = copy.deepcopy(heads)
                        train_heads(
                            trained,
                            features["train"],
                            torch.from_numpy(train.labels),
                            chosen,
                            num_classes=data.num_classes,
                            steps=steps,
                            learning_rate=rate,
                            block_learning_rate=BLOCK_RATE,
                            weight_decay=1e-2,
                            seeds=list(range(len(chosen))),
                        )
                        probs = heads_probs(trained, features["val"], multilabel=False)
                        add(probs, word, name, start, steps, rate)


if __name__ == "__main__":
    main()
