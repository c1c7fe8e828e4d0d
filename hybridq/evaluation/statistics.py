"""Intervals by the stratified bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Metrics = Callable[[NDArray[np.int64], NDArray[np.float64]], dict[str, float]]
Draw = Callable[[np.random.Generator, NDArray[np.intp]], NDArray[np.float64]]


def stratified_bootstrap(
    metrics: Metrics,
    labels: NDArray[np.int64],
    probs: NDArray[np.float64],
    *,
    resamples: int,
    seed: int,
    level: float = 0.95,
    draw: Draw | None = None,
) -> dict[str, dict[str, float]]:
    """Each figure with its percentile interval, images drawn again within each class.

    Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3. The interval
    speaks of the images that were tested, not of another training seed.

    Args:
        metrics: maps labels and probabilities to named figures.
        labels: `(count,)` classes, or `(count, num_classes)` of 0 and 1; then the images are
            drawn without strata.
        probs: `(count, num_classes)`.
        resamples: number of resamples.
        seed: of the draws.
        level: coverage of the interval.
        draw: from the generator and the images chosen to their probabilities, for models whose
            outputs are themselves random; those of `probs` if None.

    Returns:
        For each figure `value`, `low` and `high`; NaN draws are left out of the interval.
    """
    rng = np.random.default_rng(seed)
    if labels.ndim == 1:
        strata = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    else:
        strata = [np.arange(len(labels))]
    point = metrics(labels, probs)
    draws: dict[str, list[float]] = {name: [] for name in point}
    for _ in range(resamples):
        chosen = np.concatenate([rng.choice(stratum, len(stratum)) for stratum in strata])
        drawn = probs[chosen] if draw is None else draw(rng, chosen)
        for name, value in metrics(labels[chosen], drawn).items():
            draws[name].append(value)
    tail = (1 - level) / 2
    result = {}
    for name, value in point.items():
        defined = np.asarray(draws[name])
        defined = defined[~np.isnan(defined)]
        low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (np.nan, np.nan)
        result[name] = {"value": value, "low": float(low), "high": float(high)}
    return result
