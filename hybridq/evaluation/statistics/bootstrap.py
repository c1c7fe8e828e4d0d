"""Intervals by the stratified bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.ranked import blocks
from hybridq.evaluation.metrics.resampled import CountedFigures
from hybridq.evaluation.metrics.scores import AllMetrics
from hybridq.evaluation.statistics.checks import check_level

Floats = NDArray[np.float64]
Metrics = Callable[[NDArray[np.int64], NDArray[np.float64]], dict[str, float]]


def stratified_bootstrap(
    metrics: Metrics,
    labels: NDArray[np.int64],
    probs: NDArray[np.float64],
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, dict[str, float]]:
    """Each figure with its percentile interval, images drawn again within each class.

    Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3. The interval
    speaks of the images that were tested, not of another training seed.

    Args:
        metrics: maps labels and probabilities to named figures; those of `all_metrics` are
            computed of many draws at once.
        labels: `(count,)` classes, or `(count, num_classes)` of 0 and 1; then the images are
            drawn without strata.
        probs: `(count, num_classes)`.
        resamples: number of resamples.
        seed: of the draws.
        level: coverage of the interval.

    Returns:
        For each figure `value`, `low` and `high`; NaN draws are left out of the interval.

    Raises:
        InvalidValueError: If the level is not between 0 and 1.
    """
    check_level(level)
    rng = np.random.default_rng(seed)
    strata = _strata(labels)
    point = metrics(labels, probs)
    if isinstance(metrics, AllMetrics):
        draws = _counted_draws(metrics.counted(labels, probs), rng, strata, resamples)
    else:
        rows = []
        for _ in range(resamples):
            chosen = _choose(rng, strata)
            rows.append(metrics(labels[chosen], probs[chosen]))
        draws = {name: np.array([row[name] for row in rows]) for name in point}
    tail = (1 - level) / 2
    result = {}
    for name, value in point.items():
        defined = draws[name][~np.isnan(draws[name])]
        low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (np.nan, np.nan)
        result[name] = {"value": value, "low": float(low), "high": float(high)}
    return result


def _counted_draws(
    figures: CountedFigures,
    rng: np.random.Generator,
    strata: list[NDArray[np.intp]],
    resamples: int,
) -> dict[str, Floats]:
    """`(resamples,)` values of each figure, of the same draws as one by one."""
    images = sum(len(stratum) for stratum in strata)
    parts = []
    for start, end in blocks(resamples, images):
        counts = np.empty((end - start, images), dtype=np.int32)
        for row in counts:
            row[:] = np.bincount(_choose(rng, strata), minlength=images)
        parts.append(figures(counts))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _choose(rng: np.random.Generator, strata: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Draw as many images of each stratum as it has, with replacement."""
    return np.concatenate(
        [stratum[rng.integers(len(stratum), size=len(stratum))] for stratum in strata]
    )


def _strata(labels: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    if labels.ndim == 2:
        return [np.arange(len(labels))]
    return [np.flatnonzero(labels == k) for k in np.unique(labels)]
