"""An ablation as its files tell it: tables, comparisons, and predictions on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import load_data
from hybridq.errors import HybridqError
from hybridq.records.record import read_rows
from hybridq.records.results import read_record
from hybridq.records.studies import (
    ABLATION_REMEDY,
    AblationRow,
    AblationSummaryRow,
    Comparisons,
)
from hybridq.reports.ablation.arrays import check_summary, read_ablation_predictions
from hybridq.reports.ablation.measures import Measure, over_seeds
from hybridq.reports.sources.naming import study_model_name
from hybridq.reports.sources.predictions import Arm, Facet
from hybridq.reports.sources.sources import Source, Sources
from hybridq.studies.ablation.tables import prediction_key
from hybridq.studies.summary import SeedInterval

Row = dict[str, Any]
Floats = NDArray[np.float64]


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
    folder = source.folder
    what = "the table of an ablation"
    rows: list[Row] = [*read_rows(folder / "ablation.csv", AblationRow, what, ABLATION_REMEDY)]
    summary: list[Row] = [
        *read_rows(folder / "summary.csv", AblationSummaryRow, what, ABLATION_REMEDY)
    ]
    compared: list[Row] = read_record(
        folder / "comparisons.json", Comparisons, "comparisons", ABLATION_REMEDY
    )
    arrays = read_ablation_predictions(folder, source.result, rows)
    check_summary(folder, rows, summary)
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
