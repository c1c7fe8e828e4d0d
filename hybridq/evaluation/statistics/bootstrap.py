"""Intervals by the stratified bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridq.errors import InvalidValueError
from hybridq.evaluation.metrics.ranked import RankedScores, blocks, mean_of_defined
from hybridq.evaluation.metrics.resampled import CountedFigures
from hybridq.evaluation.metrics.scores import AllMetrics
from hybridq.evaluation.statistics.checks import check_level, checked_scores

Floats = NDArray[np.float64]
Metrics = Callable[[NDArray[np.int64], NDArray[np.float64]], dict[str, float]]
Draw = Callable[[np.random.Generator, NDArray[np.intp]], NDArray[np.float64]]

# Numbers in one array of counts: 8 MB.
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
        metrics: maps labels and probabilities to named figures; those of `all_metrics` are
            computed of many draws at once.
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
    if isinstance(metrics, AllMetrics) and draw is None:
        draws = _counted_draws(metrics.counted(labels, probs), rng, strata, resamples)
    else:
        rows = []
        for _ in range(resamples):
            chosen = _choose(rng, strata)
            drawn = probs[chosen] if draw is None else draw(rng, chosen)
            rows.append(metrics(labels[chosen], drawn))
        draws = {name: np.array([row[name] for row in rows]) for name in point}
    tail = (1 - level) / 2
    result = {}
    for name, value in point.items():
        defined = draws[name][~np.isnan(draws[name])]
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
    aucs_a, aucs_b = MeanAucs(classes, a), MeanAucs(classes, b)

    def difference(counts: NDArray[Any]) -> Floats:
        gap: Floats = aucs_a(counts).mean(axis=0) - aucs_b(counts).mean(axis=0)
        return gap

    point = float(difference(np.ones((len(classes), 1)))[0])
    found = [difference(counts) for counts in draw_counts(classes, resamples=resamples, seed=seed)]
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


def draw_counts(
    labels: NDArray[np.int64], *, resamples: int, seed: int
) -> Iterator[NDArray[np.int32]]:
    """How often each image is drawn in each resample: batches of `(images, resamples)`."""
    rng = np.random.default_rng(seed)
    strata = _strata(labels)
    batch = max(1, BATCH_NUMBERS // len(labels))
    for start in range(0, resamples, batch):
        counts = np.empty((len(labels), min(batch, resamples - start)), dtype=np.int32)
        for stratum in strata:
            share = np.full(len(stratum), 1 / len(stratum))
            counts[stratum] = rng.multinomial(len(stratum), share, size=counts.shape[1]).T
        yield counts


class MeanAucs:
    """AUCs of models with each image counted so many times; ties count half.

    The scores are sorted once, for any number of resamples.

    Args:
        labels: As in `paired_bootstrap`.
        scores: `(models, images)` or `(models, images, classes)`.
    """

    def __init__(self, labels: NDArray[np.int64], scores: Floats) -> None:
        if scores.ndim == 2:
            hot, scores = (labels == 1)[:, None], scores[:, :, None]
        else:
            hot = labels == 1 if labels.ndim == 2 else labels[:, None] == range(scores.shape[2])
        self._ranked = [
            [RankedScores(hot[:, k], one[:, k]) for k in range(scores.shape[2])] for one in scores
        ]

    def __call__(self, counts: NDArray[Any]) -> Floats:
        """`(models, resamples)` means over the classes.

        A class without an image is left out of the mean, which is NaN without any.

        Args:
            counts: `(images, resamples)`.
        """
        images, resamples = counts.shape
        values = np.empty((len(self._ranked), resamples, len(self._ranked[0])))
        for start, end in blocks(resamples, images):
            part = np.ascontiguousarray(counts[:, start:end].T)
            for model, row in enumerate(self._ranked):
                for k, one in enumerate(row):
                    values[model, start:end, k] = one.aucs(part)
        return mean_of_defined(values)


def weighted_aucs(labels: NDArray[np.int64], scores: Floats, counts: NDArray[Any]) -> Floats:
    """`(models, resamples)` of `MeanAucs`, which see."""
    return MeanAucs(labels, scores)(counts)


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
    """As many images of each stratum as it has, with replacement."""
    return np.concatenate(
        [stratum[rng.integers(len(stratum), size=len(stratum))] for stratum in strata]
    )


def _strata(labels: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    if labels.ndim == 2:
        return [np.arange(len(labels))]
    return [np.flatnonzero(labels == k) for k in np.unique(labels)]
