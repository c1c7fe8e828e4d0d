"""The tables of an ablation, from what its units have left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageData
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import Measured, mean_interval
from hybridq.models.searched_regression import PENALTIES
from hybridq.records.record import refused
from hybridq.records.studies import read_arrays
from hybridq.studies.ablation.grid import REGRESSION, SETTINGS, Budget
from hybridq.studies.ablation.judged import ALL, UNLIKE, Arrays, Judge, measured
from hybridq.studies.tables import grouped, write_rows
from hybridq.utils.arrays import write_arrays

Row = dict[str, Any]
Models = dict[tuple[float, str], dict[str, Measured]]

OPERATING = ("sensitivity", "specificity")
"""Figures that there are where one of two classes is the positive one."""
FIGURES = (ALL, UNLIKE, "balanced_accuracy", "accuracy", *OPERATING, "brier")
"""Figures of the tables, in their order."""
COLUMNS = (
    *("model", "training", "encoder", "head", "labels", "budget", "seed", "subsets"),
    *("train_images", *FIGURES, "threshold", "without_threshold"),
    *("parameters", "circuit_parameters", "circuit_movement", "steps"),
    *("learning_rate", "block_learning_rate", "penalty"),
)
"""Columns of `ablation.csv`: a model, its encoder and budget, means over subsets, and its size."""


@dataclass(frozen=True)
class Results:
    """All models of a study on its test split.

    Attributes:
        data: The data, with train and test.
        budgets: The amounts of labelled images.
        rows: The rows of `ablation.csv`, a dict with the keys of `COLUMNS` for each model, budget
            and encoder.
        kept: What is kept of each encoder, by share of the labels and model.
    """

    data: ImageData
    budgets: Sequence[Budget]
    rows: list[Row]
    kept: dict[tuple[float, str], list[Arrays]]

    @property
    def models(self) -> Models:
        """The figures of all models, by share of the labels and name."""
        labels = self.data.splits["test"].labels
        return {key: measured(kept, labels, self.data.positive) for key, kept in self.kept.items()}


def gather(
    folder: Path,
    data: ImageData,
    budgets: Sequence[Budget],
    found: Iterable[Mapping[str, Any]],
    first: Mapping[float, tuple[int, ...]],
) -> Results:
    """Read what the units have left of all models.

    Args:
        folder: The folder of the study.
        data: The data, with train and test.
        budgets: The amounts of labelled images.
        found: What the units of frozen features and of whole networks gave, by encoder and subset.
        first: Numbers of first subsets over which AUCs are kept, too, by share of the labels.
    """
    text = {budget.share: budget.text for budget in budgets}
    rows: list[Row] = []
    kept: dict[tuple[float, str], list[Arrays]] = defaultdict(list)
    cells: dict[tuple[float, str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for unit in found:
        if "kept" not in unit:
            [one] = unit["models"]
            cells[one["labels"], one["model"], one["seed"]].append(unit)
            continue
        arrays = _arrays(folder / unit["kept"], [one["head"] for one in unit["models"]])
        for one in unit["models"]:
            start = f"{one['head']}/"
            own = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
            kept[one["labels"], one["model"]].append(own)
            rows.append(_row(one, own, text))
    for (share, model, _), units in cells.items():
        probs = np.array([unit["probs"] for unit in units])
        judge = Judge(data, first[share])
        own = judge(probs, np.full(len(units), np.nan)) | {"probs": probs[0]}
        kept[share, model].append(own)
        about = units[0]["models"][0]
        sizes = [unit["models"][0]["train_images"] for unit in units]
        rows.append(_row(about | {"train_images": round(float(np.mean(sizes)), 1)}, own, text))
    return Results(data, budgets, rows, dict(kept))


def _arrays(path: Path, arms: Iterable[str]) -> Arrays:
    """Read what a unit kept of its arms."""
    unit = path.parents[1] / "units" / "frozen" / f"{path.stem}.json"
    what = "what a unit kept of its models"
    remedy = f"remove it and {unit}, and they are computed again."
    found = read_arrays(path, what, remedy)
    wanted = [f"{arm}/{name}" for arm in arms for name in ("auc/values", "threshold", "right")]
    if missing := [name for name in wanted if name not in found]:
        raise refused(what, path, f"nothing as {missing[0]!r}", remedy)
    return found


def _row(
    one: Mapping[str, Any], kept: Mapping[str, NDArray[Any]], text: Mapping[float, str]
) -> Row:
    """Make a row of `ablation.csv`: means over the subsets of one encoder."""
    figures = {name: kept.get(f"{name}/values", kept.get(name)) for name in FIGURES}
    means = {name: None if v is None else float(np.mean(v)) for name, v in figures.items()}
    thresholds = kept["threshold"]
    known = thresholds[~np.isnan(thresholds)]
    own = {
        "budget": text[one["labels"]],
        "subsets": len(thresholds),
        "threshold": float(np.median(known)) if len(known) else None,
        "without_threshold": int(np.isnan(thresholds).sum()),
        **_setting(one, kept),
    }
    return {name: ({**one, **means, **own}).get(name) for name in COLUMNS}


def _setting(one: Mapping[str, Any], kept: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Say which setting most subsets chose, where one was searched."""
    if "chosen" not in kept:
        return {}
    most = int(np.bincount(kept["chosen"]).argmax())
    if one["head"] == REGRESSION:
        return {"penalty": PENALTIES[most]}
    return dict(SETTINGS[most])


def write_tables(folder: Path, results: Results, seeds: Sequence[int]) -> list[Row]:
    """Write `ablation.csv`, `summary.csv`, `search.csv`, `predictions.npz` and `measured/`.

    Returns:
        The rows of the summary.
    """
    summary = summarise(results.models, results.rows)
    write_rows(folder / "ablation.csv", results.rows, COLUMNS)
    write_rows(folder / "summary.csv", summary)
    if rows := search_rows(results):
        write_rows(folder / "search.csv", rows)
    test = results.data.splits["test"]
    about: Arrays = {
        "labels": test.labels,
        "class_names": np.array(results.data.class_names),
        "seeds": np.array(seeds),
    }
    arrays = about | {
        prediction_key(*key): np.stack([one["probs"] for one in kept]).astype(np.float32)
        for key, kept in results.kept.items()
    }
    arrays["ids"] = np.array(test.ids)
    write_arrays(folder / "predictions.npz", arrays, compressed=True)
    for budget in results.budgets:
        own = about | {
            f"{model}/{seed}/{name}": values
            for (share, model), kept in results.kept.items()
            if share == budget.share
            for seed, one in enumerate(kept)
            for name, values in one.items()
            if name not in ("probs", "losses", "chosen")
        }
        write_arrays(folder / "measured" / f"{budget.share:g}.npz", own, compressed=True)
    return summary


def prediction_key(share: float, model: str) -> str:
    """Name an array of `predictions.npz`: `(encoders, images, classes)`, of the first subset."""
    return f"{share:g}/{model}"


def summarise(
    models: Mapping[tuple[float, str], Mapping[str, Measured]], rows: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Compute means with 95% intervals, a row for each budget, model and figure.

    Every interval is over encoders, subsets and test images together (`mean_interval`).

    Args:
        models: The figures of all models.
        rows: The rows of `ablation.csv`, which say what a model is.
    """
    about = {(row["labels"], row["model"]): row for row in rows}
    lines = []
    for (share, model), figures in models.items():
        one = about[share, model]
        for name in (name for name in FIGURES if name in figures):
            if name not in (ALL, UNLIKE, "brier") and one["training"] == "whole":
                continue  # no threshold was chosen for it
            found = figures[name]
            mean, low, high = mean_interval(found)
            encoders, subsets = found.values.shape
            lines.append(
                {
                    **{key: one[key] for key in ("model", "training", "encoder", "head")},
                    "labels": share,
                    "budget": one["budget"],
                    "figure": name,
                    **{"mean": mean, "low": low, "high": high},
                    "over": "encoders, subsets and test images",
                    **{"encoders": encoders, "subsets": subsets},
                    "images": found.influence.shape[1],
                }
            )
    return lines


def search_rows(results: Results) -> list[Row]:
    """Make rows of `search.csv`: each setting's mean held-out loss, and how often it was chosen."""
    unset = dict.fromkeys(("learning_rate", "block_learning_rate", "penalty"))
    lines = []
    for (share, model), rows in grouped(results.rows, "labels", "model").items():
        kept = results.kept[share, model]
        if "losses" not in kept[0]:
            continue
        if len({one["losses"].shape[1] for one in kept}) > 1:
            raise InvalidValueError(
                f"Expected units of {model} with the same settings, got some of an earlier version "
                "of hybridq: begin a new study."
            )
        losses = np.concatenate([one["losses"] for one in kept])
        chosen = np.concatenate([one["chosen"] for one in kept])
        is_regression = rows[0]["head"] == REGRESSION
        settings = [{"penalty": one} for one in PENALTIES] if is_regression else SETTINGS
        for k, setting in enumerate(settings[: losses.shape[1]]):
            lines.append(
                {
                    **{key: rows[0][key] for key in ("encoder", "labels", "budget", "head")},
                    **unset,
                    **setting,
                    "held_out_loss": float(losses[:, k].mean()),
                    "chosen": int((chosen == k).sum()),
                    "cells": len(chosen),
                }
            )
    return lines
