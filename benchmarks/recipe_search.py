"""Which recipe fine-tunes best with all labels? Tries on train and validation only.

    python benchmarks/main_job.py --data breastmnist --stage pretrain
    python benchmarks/recipe_search.py --tries base mixup --encoders runs/pretrain/*-breastmnist-s?

Pools the train and validation images, splits them in stratified parts, fine-tunes on all but one
of them and reads the AUC of the one left out. Each run is read in several ways that cost no
training: the last weights or their exponential moving average, one view of an image or the mean of
several. Part `i` starts from encoder `i`, so that parts differ in the encoder too; those encoders
have seen the images of the parts, never a label. The test split is not loaded. A row of
`docs/results/recipe_search.csv` is a run and a way to read it; what is there already is not done
again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rows import rows_so_far

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "recipe_search.csv"
HEADER = (
    "data",
    "try",
    "head",
    "parts",
    "part",
    "model",
    "views",
    "auc",
    "loss",
    "seconds",
    "command",
)
KEY = HEADER[:5]
AVERAGES = {"ema 0.98": 0.98, "ema 0.995": 0.995}
VIEWS: tuple[Literal["one", "flip", "shift", "zoom"], ...] = ("one", "flip", "shift", "zoom")

STRONG = {"crop_min": 0.5, "rotation": 15.0, "jitter": 0.2, "erase": 0.3, "blur": 0.0}
TRIES: dict[str, dict[str, Any]] = {
    "base": {},
    "scratch": {"encoder": "none"},
    "rate 1e-3": {"learning_rate": 1e-3},
    "decay 0.1": {"weight_decay": 0.1},
    "decay 0.3": {"weight_decay": 0.3},
    "mixup": {"mixup": 0.4},
    "smoothing": {"smoothing": 0.1},
    "strong augmentation": {"augment": STRONG},
    "120 epochs": {"epochs": 120},
    "84 px": {"image_size": 84},
    "84 px, longer SimCLR": {"image_size": 84},  # another encoder: 400 epochs more
    "84 px, longer SimCLR, rate 1e-3": {"image_size": 84, "learning_rate": 1e-3},
    "112 px": {"image_size": 112},
    "84 px, mixup": {"image_size": 84, "mixup": 0.4},
    "84 px, strong augmentation": {"image_size": 84, "augment": STRONG},
    "84 px, rate 1e-3": {"image_size": 84, "learning_rate": 1e-3},
    "84 px, scratch": {"image_size": 84, "encoder": "none"},
}


def pooled_parts(data: Any, parts: int) -> Iterator[Any]:
    """The data with each part in turn as validation split and the others as train split."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    from hybridq.data.dataset import ImageSplit

    splits = [data.splits[name] for name in ("train", "val")]
    pool = ImageSplit(
        images=np.concatenate([split.images for split in splits]),
        labels=np.concatenate([split.labels for split in splits]),
        ids=tuple(f"{name}/{one}" for name in ("train", "val") for one in data.splits[name].ids),
    )
    folds = StratifiedKFold(parts, shuffle=True, random_state=0)
    for train, val in folds.split(pool.images, pool.labels):
        yield replace(data, splits={"train": pool.take(train), "val": pool.take(val)})


def run(data: Any, options: dict[str, Any], head: str, encoder: str, seed: int) -> dict[str, Any]:
    """Fine-tune once; return the AUC of the part left out for every way to read it."""
    import torch
    from lightning.pytorch import Callback
    from sklearn.metrics import roc_auc_score
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    from hybridq.config import AugmentConfig, FinetuneConfig, head_config
    from hybridq.models.views import views_of
    from hybridq.training.fit import Plan, fit
    from hybridq.training.initial import initial_model
    from hybridq.training.objectives.supervised import Supervised
    from hybridq.training.seeding import step_generator
    from hybridq_backends import open_backend

    options = dict(options)
    mixup, smoothing = options.pop("mixup", 0.0), options.pop("smoothing", 0.0)
    if "augment" in options:
        options["augment"] = AugmentConfig(**options["augment"])
    config = FinetuneConfig(
        **{
            "data": data.name,
            "encoder": encoder,
            "batch_size": 32,
            "head": head_config(name=head),
            "seed": seed,
            "backend": "statevector",
            **options,
        }
    )

    class Mixup(Supervised):
        def loss(self, batch: Any, step: Any) -> Any:
            if not mixup:
                return super().loss(batch, step)
            inputs, labels = batch
            with step_generator(self.config.seed, 3, *step):
                inputs = self.augment(inputs.permute(0, 3, 1, 2).contiguous())
                share = torch.distributions.Beta(mixup, mixup).sample()
                order = torch.randperm(len(inputs))
                logits = self(share * inputs + (1 - share) * inputs[order])
            loss = share * self.criterion(logits, labels)
            return loss + (1 - share) * self.criterion(logits, labels[order])

    class Average(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            for average in averages.values():
                average.update_parameters(model)

    with open_backend(config.backend) as backend:
        model = initial_model(config, data)
        model.use_backend(backend)
        objective = Mixup(config, model, data.splits["train"], data)
        objective.criterion.label_smoothing = smoothing
        averages = {
            name: AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
            for name, decay in AVERAGES.items()
        }
        started = time.perf_counter()
        plan = Plan(config.epochs, val_every=config.epochs)
        trainer = fit(objective, plan, [Average()])
        seconds = time.perf_counter() - started
        result: dict[str, Any] = {
            "seconds": round(seconds, 1),
            "loss": round(float(trainer.callback_metrics["loss"]), 4),
            "auc": {},
        }
        labels = data.splits["val"].labels
        inputs = model.encoder.prepare(objective.val_inputs)
        for name, read in {"last": model, **averages}.items():
            read.eval()
            with torch.inference_mode():
                for views in VIEWS:
                    scores = [
                        read(view).double().softmax(dim=1)[:, 1] for view in views_of(inputs, views)
                    ]
                    auc = roc_auc_score(labels, torch.stack(scores).mean(dim=0))
                    result["auc"][name, views] = round(float(auc), 4)
    return result


def main() -> None:
    """Make the tries asked for, one run after another, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default="breastmnist")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--tries", nargs="+", default=list(TRIES), choices=list(TRIES))
    parser.add_argument("--encoders", type=Path, nargs="+", required=True)
    parser.add_argument("--head", default="mlp")
    parser.add_argument("--parts", type=int, default=2)
    parser.add_argument("--only", type=int, nargs="+", help="of the parts; all")
    args = parser.parse_args()
    import logging

    import torch

    from hybridq.data import load_data
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = load_data(args.data, data_root=args.data_root, splits=("train", "val"))
    for name in args.tries:
        for part, fold in enumerate(pooled_parts(data, args.parts)):
            key = (args.data, name, args.head, str(args.parts), str(part))
            done = {tuple(row[field] for field in KEY) for row in rows_so_far(OUT)}
            if key in done or (args.only and part not in args.only):
                continue
            encoder = str(args.encoders[part % len(args.encoders)])
            result = run(fold, TRIES[name], args.head, encoder, part)
            command = (
                f"recipe_search.py --data {args.data} --head {args.head} --parts {args.parts} "
                f"--only {part} --tries '{name}' --encoders (of seed {part % len(args.encoders)})"
            )
            new = [
                (*key, model, views, auc, result["loss"], result["seconds"], command)
                for (model, views), auc in result["auc"].items()
            ]
            rows = [[row[field] for field in HEADER] for row in rows_so_far(OUT)]
            write_csv(OUT, list(HEADER), [*rows, *map(list, new)])
            print(name, part, result, flush=True)
    summary()


def summary() -> None:
    """Print the mean over the parts, for each try and way to read it."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for row in rows_so_far(OUT):
        key = tuple(row[field] for field in ("data", "try", "head", "parts", "model"))
        groups.setdefault((*key, row["views"]), []).append(float(row["auc"]))
    print("| data | try | head | parts | model | views | AUC |\n|---|---|---|---|---|---|---|")
    for group, values in groups.items():
        low, high = min(values), max(values)
        middle = statistics.mean(values)
        print(f"| {' | '.join(group)} | {middle:.3f} ({low:.3f}-{high:.3f}, {len(values)} runs) |")


if __name__ == "__main__":
    main()
