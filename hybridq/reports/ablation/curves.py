"""An ablation's predictions as curves: by share of the labels, and facet by facet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hybridq.reports.ablation.files import Ablation, measure
from hybridq.reports.ablation.label_curve import Point
from hybridq.reports.sources.naming import study_model_name
from hybridq.reports.sources.predictions import Facet
from hybridq.studies.ablation.grid import RAW_PIXELS, frozen_model, whole_model

# Which models are drawn is fixed here, before any result; every model is in the tables.
CURVES = {
    "frozen features": (
        frozen_model("simclr", "pqc"),
        frozen_model("simclr", "mlp"),
        frozen_model("random", "pqc"),
        RAW_PIXELS,
    ),
    "whole network": (
        whole_model("simclr", "pqc"),
        whole_model("simclr", "mlp"),
        whole_model("scratch", "pqc"),
        whole_model("scratch", "mlp"),
    ),
}
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
        frozen_model("simclr", head)
        for head in ("pqc", "pqc_unentangled", "pqc_untrained", "pqc_random")
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
                        yield Point(
                            f"{group}, {ablation.title}",
                            study_model_name(model),
                            float(row["labels"]),
                            measure(row),
                            (ablation.source,),
                        )


def ablation_facets(ablations: Sequence[Ablation]) -> list[Facet]:
    """The predictions of the models that are drawn, by share of the labels."""
    found = []
    for ablation in ablations:
        for fraction in ablation.fractions:
            for k, (where, models) in enumerate(CURVES.items()):
                name = f"{ablation.source.key.lower()}-{fraction:g}-{k + 1}".replace(".", "-")
                facet = ablation.facet(name, fraction, models, where)
                if facet is not None:
                    found.append(facet)
    return found
