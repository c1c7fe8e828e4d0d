"""An ablation as its files tell it: tables, comparisons, and predictions on the test images."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import load_data
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.files import read_json
from hybridq.report.arms import Arm, Facet
from hybridq.report.measures import Measure, number, over_seeds
from hybridq.report.naming import study_model_name
from hybridq.report.sources import Source, Sources
from hybridq.studies.ablation_tables import prediction_key
from hybridq.studies.summary import SeedInterval

Row = dict[str, Any]
Floats = NDArray[np.float64]

COMPARED: dict[str, type | tuple[type, ...]] = {
    "labels": (int, float),
    "topic": str,
    "question": str,
    "a": str,
    "b": str,
    "verdict": str,
    "words": str,
    "difference": (int, float),
    "value_a": (int, float),
    "value_b": (int, float),
    "family_size": int,
}
"""What each entry of `comparisons.json` needs, and of which type."""
MAYBE = ("low", "high", "p_holm", "p_equivalence_holm", "hedges_g", "images_needed", "seeds_needed")
"""What it needs as well, a number or null."""


@dataclass(frozen=True)
class Ablation:
    """An ablation.

    Attributes:
        source: its folder.
        title: name of its data, and its own where there are several.
        rows: of `ablation.csv`.
        summary: of `summary.csv`.
        comparisons: of `comparisons.json`.
        ids: of the test images.
        labels: `(images,)`, or `(images, num_classes)` of 0 and 1.
        class_names: names of the classes.
        probs: from `prediction_key` to `(seeds, images, num_classes)`.
        positive: the positive class of two; None if there is none, or it is not known.
        knows_positive: whether it is known which class is the positive one, if any.
    """

    source: Source
    title: str
    rows: list[Row]
    summary: list[Row]
    comparisons: list[Row]
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    probs: dict[str, Floats]
    positive: int | None
    knows_positive: bool

    @property
    def fractions(self) -> list[float]:
        """Shares of the labels, ascending."""
        return sorted({float(row["labels"]) for row in self.rows})

    @property
    def models(self) -> list[str]:
        """Names of the models, as in its files."""
        return list(dict.fromkeys(row["model"] for row in self.rows))

    def of(self, fraction: float, model: str | None = None) -> list[Row]:
        """Rows at a share of the labels, of one model or of all."""
        return [
            row
            for row in self.rows
            if float(row["labels"]) == fraction and model in (None, row["model"])
        ]

    def facet(self, name: str, fraction: float, models: Sequence[str], where: str) -> Facet | None:
        """The predictions of some models at one share of the labels; None if there are none."""
        arms = []
        for model in models:
            rows, probs = self.of(fraction, model), self.probs.get(prediction_key(fraction, model))
            if probs is not None and len(rows) == len(probs):
                arms.append(
                    Arm(
                        study_model_name(model),
                        tuple(int(row["seed"]) for row in rows),
                        probs,
                        tuple(float(row["threshold"]) for row in rows),
                        (self.source,),
                    )
                )
        if not arms:
            return None
        return Facet(
            name,
            self.title,
            "test split",
            where,
            self.ids,
            self.labels,
            self.class_names,
            self.positive,
            fraction,
            tuple(arms),
            self.knows_positive,
        )


def measure(row: Row) -> Measure:
    """A row of `summary.csv`, by the rules of `over_seeds` where its interval is over seeds."""
    value, low, high = (float(row[key] or "nan") for key in ("mean", "low", "high"))
    if row["over"] == "seeds":
        return over_seeds(SeedInterval(value, low, high, int(row["seeds"]), left_out=0))
    return Measure(value, low, high, row["over"])


def read_ablations(sources: Sources, data_root: Path | None) -> list[Ablation]:
    """The ablations among the sources.

    Args:
        sources: of the report.
        data_root: folder of named data sets; that of the study where it is None.

    Raises:
        InvalidValueError: if one of their files cannot be read.
    """
    studies = sources.of("study ablation")
    return [_read(source, data_root, several=len(studies) > 1) for source in studies]


def _read(source: Source, data_root: Path | None, *, several: bool) -> Ablation:
    rows, summary = (_table(source.folder / f"{name}.csv") for name in ("ablation", "summary"))
    compared = _comparisons(source.folder / "comparisons.json")
    arrays = _arrays(source.folder / "predictions.npz")
    classes = tuple(str(name) for name in arrays["class_names"])
    positive, known = _positive(source, classes, data_root)
    data = str(source.result["data"])
    return Ablation(
        source=source,
        title=f"{data}, study {source.key} ({source.name})" if several else data,
        rows=rows,
        summary=summary,
        comparisons=compared,
        ids=tuple(str(name) for name in arrays["ids"]),
        labels=arrays["labels"],
        class_names=classes,
        probs={key: value for key, value in arrays.items() if "/" in key},
        positive=positive,
        knows_positive=known,
    )


def _table(path: Path) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
        for row in rows:
            _ = float(row["labels"]), row["model"]
            if path.stem == "summary":
                _ = row["figure"], measure(row)
            else:
                _ = int(row["seed"]), float(row["threshold"])
                _ = int(row["train_images"]), int(row["val_images"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken("the table of an ablation", path, type(error).__name__) from error
    return rows


def _comparisons(path: Path) -> list[Row]:
    try:
        items: list[Row] = read_json(path, "comparisons", "restore them.")
        for item in items:
            wrong = [key for key, kind in COMPARED.items() if not isinstance(item[key], kind)]
            _ = [number(item[key]) for key in MAYBE]
            if wrong:
                raise _broken("comparisons", path, f"{item[wrong[0]]!r} as {wrong[0]!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken("comparisons", path, f"{type(error).__name__} {error}") from error
    return items


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        _ = [arrays[name] for name in ("class_names", "ids", "labels")]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _broken("the predictions of an ablation", path, type(error).__name__) from error
    return arrays


def _broken(what: str, path: Path, got: str) -> InvalidValueError:
    return InvalidValueError(
        f"Expected {what} in {path}, got {got}: go on with `hybridq study ablation --resume`."
    )


def _positive(
    source: Source, classes: tuple[str, ...], data_root: Path | None
) -> tuple[int | None, bool]:
    """The positive class, and whether it is known: as recorded, or as the data on disk say."""
    if "positive" in source.result:
        name = source.result["positive"]
        return (None if name is None else classes.index(name)), True
    config = source.config
    try:
        data = load_data(
            config["data"],
            data_root=data_root or config.get("data_root"),
            splits=("test",),
            positive=config.get("positive"),
            download=False,
        )
    except (HybridqError, KeyError):
        return None, False
    return data.positive, True
