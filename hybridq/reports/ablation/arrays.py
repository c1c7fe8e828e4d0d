"""The predictions of an ablation, and whether they are those of its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.scores import auc
from hybridq.records.predictions import check_probabilities
from hybridq.records.record import refused, same_numbers
from hybridq.records.studies import ABLATION_REMEDY, read_arrays
from hybridq.studies.ablation.tables import prediction_key

WHAT = "the predictions of an ablation"


def read_ablation_predictions(
    folder: Path, result: Mapping[str, Any], rows: Sequence[Mapping[str, str]]
) -> dict[str, NDArray[Any]]:
    """Read `predictions.npz` of an ablation.

    Args:
        folder: Of the ablation.
        result: Its result.
        rows: Of its `ablation.csv`.

    Raises:
        InvalidValueError: If it cannot be read, or is of other images, classes or models than
            the other files.
    """
    path = folder / "predictions.npz"
    arrays = read_arrays(path, WHAT, ABLATION_REMEDY)
    for name, kinds in (("ids", "U"), ("class_names", "U"), ("labels", "iu")):
        if name not in arrays or arrays[name].dtype.kind not in kinds:
            raise refused(WHAT, path, f"one without {name!r}", ABLATION_REMEDY)
    ids, labels, names = arrays["ids"], arrays["labels"], arrays["class_names"]
    images, num_classes = result["images"], len(names)
    many = labels.ndim == 2
    shape = (images, num_classes) if many else (images,)
    is_fine = (
        ids.shape == (images,)
        and len(set(ids.tolist())) == images
        and labels.shape == shape
        and names.ndim == 1
        and list(names) == list(result.get("class_names") or names)
        and bool(((labels >= 0) & (labels < (2 if many else num_classes))).all())
    )
    if not is_fine:
        got = "images, labels or classes that are not those of result.json"
        raise refused(WHAT, path, got, ABLATION_REMEDY)
    for key, probs in arrays.items():
        if "/" not in key:
            continue
        check_probabilities(path, key, probs, many=many)
        own = [row for row in rows if prediction_key(float(row["labels"]), row["model"]) == key]
        if probs.shape != (len(own), images, num_classes):
            raise refused(f"{len(own)} seeds of {key!r}", path, str(probs.shape), ABLATION_REMEDY)
        for row, each in zip(own, probs, strict=True):
            if "auc" in row and not same_numbers(
                [float(row["auc"] or "nan")], [auc(labels, each) if images else math.nan]
            ):
                got = f"{row['auc']} as the AUC of {row['model']}, seed {row['seed']}"
                raise refused(
                    "the figures of the predictions beside it",
                    folder / "ablation.csv",
                    got,
                    ABLATION_REMEDY,
                )
    return arrays


def check_summary(
    folder: Path, rows: Sequence[Mapping[str, str]], summary: Sequence[Mapping[str, str]]
) -> None:
    """Refuse a summary that is not that of the table beside it.

    Args:
        folder: Of the ablation.
        rows: Of its `ablation.csv`.
        summary: Of its `summary.csv`.

    Raises:
        InvalidValueError: If a mean is another, a row is there twice, or one is missing.
    """
    path, what = folder / "summary.csv", "the summary of the ablation.csv beside it"
    by_model: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        by_model.setdefault((row["model"], row["labels"]), []).append(row)
    figures = dict.fromkeys(row["figure"] for row in summary)
    there = [(row["model"], row["labels"], row["figure"]) for row in summary]
    if sorted(there) != sorted((*key, figure) for key in by_model for figure in figures):
        raise refused(what, path, "other rows", ABLATION_REMEDY)
    for row in summary:
        own = by_model[row["model"], row["labels"]]
        mean, name = float(row["mean"] or "nan"), row["figure"]
        values = [float(one[name] or "nan") for one in own if name in one]
        if int(row["seeds"]) != len(own):
            raise refused(what, path, f"{row['seeds']} seeds of {row['model']}", ABLATION_REMEDY)
        if name in rows[0] and name != "auc_without_duplicates":
            values = [value for value in values if not math.isnan(value)]
            expected = float(np.mean(values)) if values else math.nan
            if not same_numbers([mean], [expected]):
                got = f"{row['mean']} as the {name} of {row['model']}"
                raise refused(what, path, got, ABLATION_REMEDY)
