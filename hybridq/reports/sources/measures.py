"""Figures of an arm with their intervals, each of the kind that its data allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridq.evaluation.statistics import auc_interval, enough_images
from hybridq.evaluation.statistics.seeds import FEWEST_SEEDS, seed_estimate, seed_interval
from hybridq.evaluation.summaries import figures_of
from hybridq.records.findings import Estimate
from hybridq.reports.sources.predictions import Arm, Facet
from hybridq.reports.sources.sources import Source

KINDS = (
    "Intervals are 95%. One training: stratified bootstrap of the images. AUC of several: "
    "over training seeds and images together (Obuchowski & Rockette 1995). Other figures: "
    f"Student's t over the seeds from {FEWEST_SEEDS} on, below that none."
)


def evaluated(facet: Facet, arm: Arm, figure: str) -> Estimate | None:
    """A figure of an arm of evaluations; None if they do not have it."""
    found = [figures_of(source.result["model"]).get(figure) for source in arm.sources]
    first = found[0]
    if first is None or len(found) == 1:
        return first
    if figure == "auc" and enough_images(facet.labels, len(facet.class_names)):
        value, low, high = auc_interval(facet.labels, arm.probs)
        return Estimate(value=value, low=low, high=high, over="seeds and test images")
    values = [
        {"seed": source.result["train_seed"], figure: one.numbers[0]}
        for source, one in zip(arm.sources, found, strict=True)
        if one is not None
    ]
    return seed_estimate(seed_interval(values, figure))


def baselines_of(facet: Facet) -> tuple[Source, dict[str, Any]] | None:
    """The baselines of the first evaluation that has some, by name."""
    every = (source for arm in facet.arms for source in arm.sources)
    return next(((s, s.result["baselines"]) for s in every if s.result["baselines"]), None)


def shown_figures(names: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """Those figures that at least one evaluation has."""
    return [name for name in names if any(name in s.result["model"]["figures"] for s in sources)]
