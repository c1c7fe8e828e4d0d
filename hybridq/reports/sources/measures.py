"""Figures of an arm with their intervals, each of the kind that its data allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridq.evaluation.statistics import enough_images, mean_interval, measure_figures
from hybridq.evaluation.summaries import figures_of
from hybridq.records.findings import Estimate
from hybridq.reports.sources.predictions import Arm, Facet
from hybridq.reports.sources.sources import Source

KINDS = (
    "Intervals are 95%. One training: stratified bootstrap of the images. Several: over training "
    "seeds and images together (Obuchowski & Rockette 1995); macro F1 and calibration error, which "
    "are no means over images, have none."
)


def evaluated(facet: Facet, arm: Arm, figure: str) -> Estimate | None:
    """A figure of an arm of evaluations; None if they do not have it."""
    found = [figures_of(source.result["model"]).get(figure) for source in arm.sources]
    first = found[0]
    if first is None or len(found) == 1:
        return first
    if enough_images(facet.labels, len(facet.class_names)):
        parts = arm.probs[:, None], facet.predicted(arm)[:, None]
        measured = measure_figures(facet.labels, *parts, positive=facet.positive).get(figure)
        if measured is not None:
            value, low, high = mean_interval(measured)
            return Estimate(value=value, low=low, high=high, over="seeds and test images")
    values = [one.numbers[0] for one in found if one is not None]
    return Estimate(value=float(np.mean(values)) if np.isfinite(values).all() else None)


def baselines_of(facet: Facet) -> tuple[Source, dict[str, Any]] | None:
    """The baselines of the first evaluation that has some, by name."""
    every = (source for arm in facet.arms for source in arm.sources)
    return next(((s, s.result["baselines"]) for s in every if s.result["baselines"]), None)


def shown_figures(names: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """Keep the figures that at least one evaluation has."""
    return [name for name in names if any(name in s.result["model"]["figures"] for s in sources)]
