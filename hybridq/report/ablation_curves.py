"""An ablation's predictions as curves: by share of the labels, and facet by facet."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hybridq.config import AblationStudyConfig
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.report.ablation import Ablation
from hybridq.report.arms import Arm, Facet, percent
from hybridq.report.label_curve import Point
from hybridq.studies.ablation_encoders import study_data
from hybridq.studies.ablation_grid import RAW_PIXELS, frozen_model, whole_model
from hybridq.studies.ablation_tables import prediction_key

# Which models are drawn is fixed here, before any result; every model is in the tables.
CURVES = (
    (
        frozen_model("simclr", "pqc"),
        frozen_model("simclr", "mlp"),
        frozen_model("random", "pqc"),
        RAW_PIXELS,
    ),
    (
        whole_model("simclr", "pqc"),
        whole_model("simclr", "mlp"),
        whole_model("scratch", "pqc"),
        whole_model("scratch", "mlp"),
    ),
)
LABEL_LINES = {
    "What pretraining adds, frozen features": (
        frozen_model("simclr", "pqc"),
        frozen_model("imagenet", "pqc"),
        frozen_model("random", "pqc"),
        RAW_PIXELS,
    ),
    "What pretraining adds, whole network": (
        whole_model("simclr", "pqc"),
        whole_model("scratch", "pqc"),
        whole_model("simclr", "mlp"),
        whole_model("scratch", "mlp"),
    ),
    "Heads on SimCLR features": tuple(
        frozen_model("simclr", head)
        for head in ("linear", "mlp", "pqc", "mlp_residual", "pqc_residual")
    ),
    "What the circuit needs, SimCLR features": tuple(
        frozen_model("simclr", head) for head in ("pqc", "pqc_unentangled", "pqc_random")
    ),
}


def ablation_points(ablations: Sequence[Ablation]) -> Iterator[Point]:
    """Points of the label-efficiency curves."""
    for ablation in ablations:
        rows = [row for row in ablation.summary if row["figure"] == "auc"]
        for group, models in LABEL_LINES.items():
            for model in models:
                for row in rows:
                    if row["model"] == model:
                        mean, low, high = (
                            float(row[key] or "nan") for key in ("mean", "low", "high")
                        )
                        yield Point(
                            f"{group}, {ablation.source.result['data']}",
                            model,
                            float(row["labels"]),
                            mean,
                            low,
                            high,
                            row["over"],
                            (ablation.source,),
                        )


def ablation_facets(ablations: Sequence[Ablation], data_root: Path | None) -> list[Facet]:
    """The predictions of the models that are drawn, by share of the labels."""
    return [facet for one in ablations for facet in _facets(one, data_root)]


def _facets(ablation: Ablation, data_root: Path | None) -> Iterator[Facet]:
    source = ablation.source
    path = source.folder / "predictions.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        classes = tuple(str(name) for name in arrays["class_names"])
        ids, labels = tuple(str(name) for name in arrays["ids"]), arrays["labels"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InvalidValueError(
            f"Expected the predictions of an ablation in {path}, got {type(error).__name__}: go "
            "on with `hybridq study ablation --resume`."
        ) from error
    positive = _positive(ablation, data_root)
    for fraction in ablation.fractions:
        for k, models in enumerate(CURVES):
            arms = []
            for model in models:
                key = prediction_key(fraction, model)
                rows = [
                    row
                    for row in ablation.rows
                    if row["model"] == model and float(row["labels"]) == fraction
                ]
                if key in arrays and len(rows) == len(arrays[key]):
                    arms.append(
                        Arm(
                            model,
                            tuple(int(row["seed"]) for row in rows),
                            arrays[key],
                            tuple(float(row["threshold"]) for row in rows),
                            (source,),
                        )
                    )
            if arms:
                what = ("frozen features", "whole network")[k]
                name = f"{source.key.lower()}-{fraction:g}-{k + 1}".replace(".", "-")
                title = f"{source.result['data']}, {percent(fraction)} of the labels, {what}"
                yield Facet(name, title, ids, labels, classes, positive, fraction, tuple(arms))


def _positive(ablation: Ablation, data_root: Path | None) -> int | None:
    """The positive class: as recorded, or as the data say; None if neither tells."""
    result = ablation.source.result
    if "positive" in result:
        name = result["positive"]
        return None if name is None else list(result["class_names"]).index(name)
    try:
        config = AblationStudyConfig.model_validate(ablation.source.config)
        if data_root is not None:
            config = config.model_copy(update={"data_root": data_root})
        return study_data(config, "test").positive
    except (HybridqError, ValueError):
        return None
