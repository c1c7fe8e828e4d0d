"""The tables of an ablation, from what its units have left."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageData
from hybridq.data.duplicates import near_duplicates
from hybridq.evaluation.evaluate import metrics_for
from hybridq.evaluation.metrics.scores import auc
from hybridq.evaluation.statistics import auc_interval, enough_images
from hybridq.evaluation.statistics.seeds import seed_interval
from hybridq.studies.ablation.frozen import Choice
from hybridq.studies.ablation.grid import settings_of
from hybridq.studies.tables import grouped, write_rows
from hybridq.utils.arrays import write_arrays

Floats = NDArray[np.float64]
Row = dict[str, Any]

CROSSED = ("auc", "auc_without_duplicates")
"""Figures whose interval is over seeds and test images."""
OPERATING = ("sensitivity", "specificity")
"""Figures that there are where one of two classes is the positive one."""
OVER_SEEDS = ("balanced_accuracy", "accuracy", *OPERATING, "calibration_error")
"""Figures whose interval is over seeds."""

COLUMNS = (
    *("model", "training", "encoder", "head", "labels", "seed", "train_images", "val_images"),
    *(*CROSSED, *OVER_SEEDS, "val_auc", "threshold"),
    *("parameters", "circuit_parameters", "circuit_movement"),
    *("steps", "learning_rate", "block_learning_rate", "penalty"),
)
"""Of `ablation.csv`: which model it is, its figures, its size, and its setting."""


@dataclass(frozen=True)
class Results:
    """All models of a study on its test split.

    Attributes:
        data: With train and test.
        rows: Of `ablation.csv`, a dict with the keys of `COLUMNS` for each model, fraction, seed.
        predictions: From fraction and model to `(seeds, images, classes)` probabilities.
        unlike: `(images,)`, false for test images with a near-duplicate in train.
    """

    data: ImageData
    rows: list[Row]
    predictions: dict[tuple[float, str], Floats]
    unlike: NDArray[np.bool_]


def gather(data: ImageData, found: Iterable[Mapping[str, Any]]) -> Results:
    """Figures of all models from their probabilities.

    Args:
        data: With train and test.
        found: The `models` that the units have left.
    """
    test = data.splits["test"]
    unlike = ~near_duplicates(test, data.splits["train"])
    rows: list[Row] = []
    by_model: dict[tuple[float, str], list[Floats]] = defaultdict(list)
    for model in found:
        probs = np.array(model["probs"], dtype=np.float64)
        figures = metrics_for(data, model["threshold"])(test.labels, probs)
        figures["auc_without_duplicates"] = auc(test.labels[unlike], probs[unlike])
        rows.append({name: model.get(name, figures.get(name)) for name in COLUMNS})
        by_model[model["labels"], model["model"]].append(probs)
    predictions = {key: np.stack(probs) for key, probs in by_model.items()}
    return Results(data, rows, predictions, unlike)


def write_tables(folder: Path, results: Results, seeds: Sequence[int]) -> list[Row]:
    """Write `ablation.csv`, `summary.csv` and `predictions.npz`; return the summary."""
    summary = summarise(results)
    write_rows(folder / "ablation.csv", results.rows, COLUMNS)
    write_rows(folder / "summary.csv", summary)
    test = results.data.splits["test"]
    arrays: dict[str, NDArray[Any]] = {
        "labels": test.labels,
        "ids": np.array(test.ids),
        "class_names": np.array(results.data.class_names),
        "seeds": np.array(seeds),
        "unlike_train": results.unlike,
    }
    arrays |= {prediction_key(*key): probs for key, probs in results.predictions.items()}
    write_arrays(folder / "predictions.npz", arrays, compressed=True)
    return summary


def prediction_key(fraction: float, model: str) -> str:
    """Name in `predictions.npz` of a model's `(seeds, images, classes)` probabilities."""
    return f"{fraction:g}/{model}"


def summarise(results: Results) -> list[Row]:
    """Means over the seeds with 95% intervals, a row for each fraction, model and figure.

    The interval of an AUC is over seeds and test images together (`auc_interval`), that of another
    figure over the seeds alone (`seed_interval`); `over` says which.
    """
    labels = results.data.splits["test"].labels
    kept = {"auc": np.ones(len(labels), dtype=bool), "auc_without_duplicates": results.unlike}
    lines = []
    for (fraction, model), rows in grouped(results.rows, "labels", "model").items():
        named = {key: rows[0][key] for key in ("model", "training", "encoder", "head")}
        for figure in (*CROSSED, *OVER_SEEDS):
            which = kept.get(figure, kept["auc"])
            if rows[0][figure] is None:
                continue
            if figure in OVER_SEEDS:
                found = seed_interval(rows, figure)
                ends = found.mean, found.low, found.high
            elif enough_images(labels[which], results.data.num_classes):
                probs = results.predictions[fraction, model]
                ends = auc_interval(labels[which], probs[:, which])
            else:
                ends = (math.nan,) * 3
            lines.append(
                {
                    **named,
                    "labels": fraction,
                    "figure": figure,
                    **dict(zip(("mean", "low", "high"), ends, strict=True)),
                    "over": "seeds" if figure in OVER_SEEDS else "seeds and test images",
                    "seeds": len(rows),
                    "images": int(which.sum()),
                }
            )
    return lines


def search_rows(choices: Sequence[Choice]) -> list[Row]:
    """Rows of `search.csv`: every validation AUC, and whether its setting was chosen."""
    unset = dict.fromkeys(("learning_rate", "block_learning_rate", "penalty"))
    return [
        {
            "encoder": choice.encoder,
            "labels": choice.fraction,
            "head": head,
            "seed": seed,
            **unset,
            **setting,
            "val_auc": value,
            "chosen": setting == choice.setting,
        }
        for choice in choices
        for seed, arms in choice.val_auc.items()
        for head, values in arms.items()
        for setting, value in zip(settings_of(choice.encoder), values, strict=True)
    ]
