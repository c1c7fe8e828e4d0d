"""Intervals by the stratified bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics.checks import check_level, checked_scores

Floats = NDArray[np.float64]
Metrics = Callable[[NDArray[np.int64], NDArray[np.float64]], dict[str, float]]
Draw = Callable[[np.random.Generator, NDArray[np.intp]], NDArray[np.float64]]

# Numbers in one array of counts: 16 MB.
BATCH_NUMBERS = 2_000_000


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

    Raises:
        InvalidValueError: If the level is not between 0 and 1.
    """
    check_level(level)
    rng = np.random.default_rng(seed)
    strata = _strata(labels)
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


@dataclass(frozen=True)
class PairedBootstrap:
    """Difference of two mean AUCs over draws of the images.

    Attributes:
        difference: On the images themselves.
        low: Lower end of the percentile interval.
        high: Upper end.
        p_value: Two-sided, of no difference.
    """

    difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedBootstrap:
    """Difference of AUC with both models on the same resamples, drawn within each class.

    The seeds are held fixed: the interval speaks of other images, not of another training.

    Args:
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1; then drawn without strata.
        scores_a: `(seeds, images)` scores of class 1, or `(seeds, images, classes)`; then AUC is
            the mean of one class against the rest.
        scores_b: The same of the other model; seeds may differ in number.
        resamples: Number of resamples.
        seed: Of the draws.
        level: Coverage of the interval.

    Raises:
        InvalidValueError: If labels and scores do not fit, the level is not between 0 and 1, or no
            resample has an AUC, as with images of one class.
    """
    check_level(level)
    classes, (a, b) = checked_scores(labels, scores_a, scores_b)
    whole = np.ones((len(classes), 1))
    point = float((_mean_auc(classes, a, whole) - _mean_auc(classes, b, whole))[0])
    found = [
        _mean_auc(classes, a, counts) - _mean_auc(classes, b, counts)
        for counts in draw_counts(classes, resamples=resamples, seed=seed)
    ]
    draws = np.concatenate([[], *found])
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        raise InvalidValueError(
            f"Expected images of two classes and at least one resample, got labels "
            f"{np.unique(classes).tolist()} and {resamples}: an AUC compares two classes."
        )
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    rarer = min((draws <= 0).sum(), (draws >= 0).sum())
    p_value = min(1.0, 2 * (rarer + 1) / (len(draws) + 1))
    return PairedBootstrap(point, float(low), float(high), float(p_value))


def draw_counts(labels: NDArray[np.int64], *, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each image is drawn in each resample: batches of `(images, resamples)`."""
    rng = np.random.default_rng(seed)
    strata = _strata(labels)
    batch = max(1, BATCH_NUMBERS // len(labels))
    for start in range(0, resamples, batch):
        counts = np.empty((len(labels), min(batch, resamples - start)))
        for stratum in strata:
            share = np.full(len(stratum), 1 / len(stratum))
            counts[stratum] = rng.multinomial(len(stratum), share, size=counts.shape[1]).T
        yield counts


def weighted_aucs(labels: NDArray[np.int64], scores: Floats, counts: Floats) -> Floats:
    """AUCs of each model with each image counted so many times; ties count half.

    Args:
        labels: As in `paired_bootstrap`.
        scores: `(models, images)` or `(models, images, classes)`.
        counts: `(images, resamples)`.

    Returns:
        `(models, resamples)`; a class without an image is left out of the mean, NaN without any.
    """
    if scores.ndim == 2:
        return np.stack([_weighted_auc(labels == 1, row, counts) for row in scores])
    classes = range(scores.shape[2])
    positive = labels.T == 1 if labels.ndim == 2 else [labels == k for k in classes]
    values = np.array(
        [[_weighted_auc(positive[k], rows[:, k], counts) for k in classes] for rows in scores]
    )
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(defined, values, 0.0).sum(axis=1) / defined.sum(axis=1)
    return mean


def _mean_auc(labels: NDArray[np.int64], scores: Floats, counts: Floats) -> Floats:
    mean: Floats = weighted_aucs(labels, scores, counts).mean(axis=0)
    return mean


def _weighted_auc(positive: NDArray[np.bool_], scores: Floats, counts: Floats) -> Floats:
    """`(resamples,)` AUCs: one sort of the images serves all resamples."""
    order = np.argsort(scores)
    ups, downs = counts[order], counts[order]
    ups[~positive[order]] = 0
    downs[positive[order]] = 0
    starts = np.unique(scores[order], return_index=True)[1]
    if len(starts) < len(order):
        ups, downs = np.add.reduceat(ups, starts), np.add.reduceat(downs, starts)
    below = np.cumsum(downs, axis=0) - downs / 2
    pairs = ups.sum(axis=0) * downs.sum(axis=0)
    with np.errstate(invalid="ignore"):
        aucs: Floats = np.einsum("ij,ij->j", ups, below) / pairs
    return aucs


def _strata(labels: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    if labels.ndim == 2:
        return [np.arange(len(labels))]
    return [np.flatnonzero(labels == k) for k in np.unique(labels)]
