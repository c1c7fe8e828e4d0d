"""What pretraining is worth with few labels: over recipes, steps and unlabelled images.

    python benchmarks/pretraining_curves.py --data breastmnist --steps 250 1000 4000
    python benchmarks/pretraining_curves.py --data chest_xray --images 250 1000 all
    python benchmarks/pretraining_curves.py --data chest_xray --encoders runs/pretrain/*-tried
    python benchmarks/pretraining_curves.py --encoders runs/pretrain/*-tried --read-size 84

Pretrains an encoder for each number of steps, of unlabelled images and each seed that is asked for,
or takes finished ones, and reads it by the regression of the ablation: the penalty is searched by
cross-validation within 25, 50 and 100 labels, 20 subsets of each, and the AUC is that of the
validation split. The test split is not loaded. A row of `docs/results/pretraining_curves.csv` is
one encoder with so many labels: the mean AUC over the subsets, and how far it is above that of raw
pixels on the same subsets, with half of the 95% interval over them. Rows that are there are kept.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rows import pretrain_options, pretrainings, rows_so_far

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "pretraining_curves.csv"
KEY = ("data", "encoder", "seed", "images", "steps", "options", "views", "labels")
HEADER = (*KEY, "auc", "above_pixels", "half")
LABELS = (25, 50, 100)
SUBSETS = 20


def read(data: Any, parts: dict[str, Any]) -> dict[int, np.ndarray]:
    """The validation AUC of every subset, by the number of labels.

    Args:
        data: With train and val.
        parts: `(images, inputs)` of both.
    """
    from hybridq.data.splits import select_labels
    from hybridq.evaluation.features import standardised
    from hybridq.evaluation.metrics.scores import auc
    from hybridq.models.searched_regression import folds_of, searched_regression

    train, val = data.splits["train"], data.splits["val"]
    points, found = standardised(parts), {}
    for count in (one for one in LABELS if one <= len(train)):
        values = []
        for subset in range(SUBSETS):
            rows = select_labels(
                train,
                count / len(train),
                seed=1000 + subset,
                task=data.task,
                num_classes=data.num_classes,
            )
            groups = None if train.groups is None else train.groups[rows]
            folds = folds_of(train.labels[rows], groups, seed=subset)
            fitted = searched_regression(
                points["train"][rows], train.labels[rows], data.num_classes, folds
            )
            values.append(auc(val.labels, fitted.probs(points["val"])))
        found[count] = np.array(values)
    return found


def pretrained(args: argparse.Namespace, data: Any) -> Iterator[Path]:
    """Pretrain with the defaults on so many images and for so many steps; yield the runs."""
    from hybridq.config import PretrainConfig
    from hybridq.training.pretrain import pretrain

    train = data.splits["train"]
    order = np.random.default_rng(0).permutation(len(train))
    for images, steps, seed in itertools.product(args.images, args.steps, args.seeds):
        source = args.data
        if images != "all":
            rows = np.sort(order[: int(images)])
            source = str(args.runs / f"{data.name}-{images}.npz")
            args.runs.mkdir(parents=True, exist_ok=True)
            replace(data, splits={**data.splits, "train": train.take(rows)}).save(source)
        yield pretrain(
            PretrainConfig(
                data=source,
                data_root=args.data_root,
                runs=args.runs,
                name=f"{data.name}-{images}-{steps or 'default'}-s{seed}",
                steps=steps,
                seed=seed,
                image_size=args.image_size,
            )
        )


def main() -> None:
    """Pretrain and read what is not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default="breastmnist")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--encoders", type=Path, nargs="+", help="finished runs of pretraining")
    parser.add_argument("--steps", type=int, nargs="+", default=[None])
    parser.add_argument("--images", nargs="+", default=["all"], help="numbers of images, or `all`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--image-size", type=int, default=None)
    parser.add_argument("--views", choices=("one", "flip", "shift", "zoom"), default="one")
    parser.add_argument("--read-size", type=int, help="pixels that encoders read images at")
    args = parser.parse_args()
    import torch

    from hybridq.config import EncoderConfig
    from hybridq.data import load_data
    from hybridq.evaluation.baselines import pixel_inputs
    from hybridq.evaluation.features import image_features
    from hybridq.models.encoders.encoder import random_encoder_like
    from hybridq.models.encoders.initial import encoder_for
    from hybridq.studies.ablation.frozen import PIXEL_SIDE
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    data = load_data(args.data, data_root=args.data_root, splits=("train", "val"))
    both = ("train", "val")
    pixels = read(data, {one: pixel_inputs(data.splits[one].images, PIXEL_SIDE) for one in both})

    def add(values: Callable[[], dict[int, np.ndarray]], *named: Any) -> None:
        start = [data.name, *map(str, named)]
        if any([row[name] for name in KEY[:-1]] == start for row in rows_so_far(OUT)):
            return
        for count, found in values().items():
            key = [*start, str(count)]
            rows = [[row[name] for name in HEADER] for row in rows_so_far(OUT)]
            above = found - pixels[count]
            half = 1.96 * above.std(ddof=1) / np.sqrt(len(above))
            figures = [f"{value:.4f}" for value in (found.mean(), above.mean(), half)]
            rows.append([*key, *figures])
            write_csv(OUT, list(HEADER), rows)
            print(" | ".join(rows[-1]), flush=True)

    def features(encoder: Any) -> dict[int, np.ndarray]:
        return read(
            data,
            {
                one: image_features(
                    encoder.eval(), data.splits[one].images, views=args.views
                ).numpy()
                for one in both
            },
        )

    add(lambda: pixels, "raw pixels", *[""] * 5)
    for run in args.encoders or pretrained(args, data):
        made = pretrainings(run)
        config, result = made[-1]
        encoder = encoder_for(
            data.splits["train"].images,
            EncoderConfig(weights=str(run)),
            image_size=args.read_size,
            stem="auto",
            seed=config["seed"],
        )
        recipe = ", then ".join(f"pretrain {pretrain_options(own)}".strip() for own, _ in made)
        steps = " + ".join(str(own["steps"]) for _, own in made)
        views = args.views if args.read_size is None else f"{args.views}, {args.read_size} px"
        named = (result["images"], steps, recipe, views)
        add(partial(features, encoder), config["ssl"]["name"], config["seed"], *named)
        untrained = random_encoder_like(encoder, config["seed"])
        size = f"{encoder.spec.image_size} px"
        add(partial(features, untrained), "untrained", config["seed"], "", "", size, views)


if __name__ == "__main__":
    main()
