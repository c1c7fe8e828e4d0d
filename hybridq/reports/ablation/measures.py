"""Figures of an arm with their intervals, each of the kind that its data allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridq.evaluation.statistics import auc_interval, enough_images
from hybridq.reports.page.elements import Cell
from hybridq.reports.sources.predictions import Arm, Facet
from hybridq.reports.sources.sources import Source
from hybridq.studies.summary import SeedInterval, seed_interval

FIGURES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "macro_f1": "macro F1",
    "calibration_error": "calibration error",
}
FEWEST_SEEDS = 3
"""Below, the spread over the seeds is not known well enough for an interval."""
SAME = 1e-9
"""A narrower interval comes of seeds that all give the same figure, and is none."""
KINDS = (
    "Intervals are 95%. One training: stratified bootstrap of the images. AUC of several: "
    "over training seeds and images together (Obuchowski & Rockette 1995). Other figures: "
    f"Student's t over the seeds from {FEWEST_SEEDS} on, below that none."
)


@dataclass(frozen=True)
class Measure:
    """A figure with its interval; an end is NaN where there is none.

    Attributes:
        value: mean over the seeds; NaN if undefined.
        low: lower end.
        high: upper end.
        over: what the interval is over; empty where there is none.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    over: str = ""

    @property
    def ends(self) -> str:
        """The interval, or nothing."""
        return "" if math.isnan(self.low) else f"[{self.low:.3f}, {self.high:.3f}]"

    @property
    def text(self) -> str:
        """Such as `0.912 [0.871, 0.950]`."""
        if math.isnan(self.value):
            return "undefined"
        return f"{self.value:.3f} {self.ends}".rstrip()

    @property
    def cell(self) -> Cell:
        """A cell that sorts by the value."""
        if math.isnan(self.value):
            return Cell("undefined")
        return Cell(f"{self.value:.3f}", self.value, self.ends)


def evaluated(facet: Facet, arm: Arm, figure: str) -> Measure | None:
    """A figure of an arm of evaluations; None if they do not have it."""
    if figure not in figures_of(arm.sources[0]):
        return None
    if len(arm.sources) == 1:
        return recorded(figures_of(arm.sources[0])[figure])
    if figure == "auc" and enough_images(facet.labels, len(facet.class_names)):
        return Measure(*auc_interval(facet.labels, arm.probs), "seeds and test images")
    values = [
        {"seed": s.result["train_seed"], figure: number(figures_of(s)[figure]["value"])}
        for s in arm.sources
    ]
    return over_seeds(seed_interval(values, figure))


def recorded(figure: Mapping[str, float | None]) -> Measure:
    """A figure that one evaluation recorded with its bootstrap over the images."""
    value, low, high = (number(figure[key]) for key in ("value", "low", "high"))
    return Measure(value, low, high, "images")


def over_seeds(found: SeedInterval, *, largest: float = 1.0) -> Measure:
    """A mean over the seeds, with Student's t interval where seeds are enough and differ.

    Args:
        found: of a figure that is never below 0.
        largest: what the figure can be at most; the interval ends there.
    """
    if found.seeds < FEWEST_SEEDS or found.high - found.low < SAME:
        return Measure(found.mean)
    low, high = max(found.low, 0.0), min(found.high, largest)
    return Measure(found.mean, low, high, "seeds (Student's t)")


def figures_of(source: Source) -> dict[str, Any]:
    """The figures that an evaluation recorded."""
    found: dict[str, Any] = source.result["model"]["figures"]
    return found


def shown_figures(names: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """Those figures that at least one evaluation has."""
    return [name for name in names if any(name in figures_of(source) for source in sources)]


def number(value: float | None) -> float:
    """A number that JSON may hold as null."""
    return math.nan if value is None else float(value)
