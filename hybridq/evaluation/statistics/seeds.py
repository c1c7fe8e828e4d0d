"""Means over training seeds, with their intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from hybridq.records.findings import Estimate

Row = Mapping[str, Any]

FEWEST_SEEDS = 3
"""Below, the spread over the seeds is not known well enough for an interval to be shown."""
SAME = 1e-9
"""A narrower interval comes of seeds that all give the same figure, and is none."""


@dataclass(frozen=True)
class SeedInterval:
    """A mean over training seeds with its Student-t interval.

    Attributes:
        mean: over the seeds; NaN if no value is defined.
        low: lower end of the interval; NaN with fewer than two seeds.
        high: upper end, likewise.
        seeds: number of seeds with a defined value.
        left_out: number of rows left out because their value is NaN.
    """

    mean: float
    low: float
    high: float
    seeds: int
    left_out: int


def seed_interval(
    rows: Sequence[Row], name: str, *, minus: str | None = None, level: float = 0.95
) -> SeedInterval:
    """The mean of a figure over the seeds of `rows`, with its interval.

    Rows of one seed are averaged first, since repeats of one model are no independent seeds.
    The interval `mean +- t * s / sqrt(seeds)` has `t` of `seeds - 1` degrees of freedom and `s`
    the standard deviation between the seeds' averages (Student, Biometrika 6 (1908) 1). It
    speaks of models trained from another seed and tested on the same images, not of other
    images.

    Args:
        rows: of the table.
        name: key of the figure; NaN leaves the row out.
        minus: key of the figure to take from it row by row, for a paired difference.
        level: coverage of the interval.
    """
    by_seed: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        number = row[name] - (row[minus] if minus else 0)
        if not math.isnan(number):
            by_seed[row["seed"]].append(number)
    left_out = len(rows) - sum(map(len, by_seed.values()))
    seeds = len(by_seed)
    if not seeds:
        return SeedInterval(math.nan, math.nan, math.nan, 0, left_out)
    averages = np.array([np.mean(numbers) for numbers in by_seed.values()])
    mean = float(averages.mean())
    if seeds == 1:
        return SeedInterval(mean, math.nan, math.nan, 1, left_out)
    spread = float(averages.std(ddof=1)) / math.sqrt(seeds)
    half = float(stdtrit(seeds - 1, (1 + level) / 2)) * spread
    return SeedInterval(mean, mean - half, mean + half, seeds, left_out)


def seed_estimate(found: SeedInterval, *, largest: float = 1.0) -> Estimate:
    """The mean over the seeds as it is shown: with an interval where seeds are enough and differ.

    Args:
        found: The mean and interval of a figure that is never below 0.
        largest: What the figure can be at most; the interval ends there.
    """
    value = None if math.isnan(found.mean) else found.mean
    if found.seeds < FEWEST_SEEDS or not found.high - found.low >= SAME:
        return Estimate(value=value)
    low, high = max(found.low, 0.0), min(found.high, largest)
    return Estimate(value=value, low=low, high=high, over="seeds (Student's t)")
