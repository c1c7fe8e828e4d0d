"""Curves of a binary decision with bands: ROC, precision-recall, calibration, net benefit.

A model may have been trained from several seeds: its curve is then the mean over them, and a band
draws images (within each class) and seeds again together. Scores are `(seeds, images)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Curve = Callable[[Bools, Floats, Floats], Floats]
"""A function of labels `(images,)`, scores `(images,)` and weights `(draws, images)` that gives
`(draws, grid)`."""

GRID: Floats = np.linspace(0, 1, 101)
"""Where curves are evaluated: false-positive rates, recalls."""
THRESHOLDS: Floats = np.linspace(0.01, 0.99, 99)
"""Threshold probabilities of a decision curve."""
RELIABILITY_BINS = 10
NUMBERS = 10_000_000
"""Weights of resamples that are held at a time."""


@dataclass(frozen=True)
class Band:
    """A curve with its pointwise percentile interval, all `(grid,)`.

    Attributes:
        x: where it is evaluated.
        value: the curve.
        low: lower end of the pointwise 95% interval.
        high: upper end.
        floor: what the true curve is nowhere below, with 95% confidence for all points together:
            the value less so many standard errors as the largest of them is above 0 by chance
            (one-sided sup-t; Montiel Olea & Plagborg-Moller, J. Appl. Econometrics 34 (2019) 1).
    """

    x: Floats
    value: Floats
    low: Floats
    high: Floats
    floor: Floats


@dataclass(frozen=True)
class Reliability:
    """Observed against predicted shares in bins of equal width, those with images only.

    Attributes:
        predicted: mean predicted probability in each bin.
        observed: share of positive images in it.
        low: lower end of Wilson's 95 % interval of that share.
        high: upper end.
        images: number of images in it, the mean over the seeds.
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    images: Floats


def roc_band(actual: Bools, scores: Floats, *, resamples: int, seed: int) -> Band:
    """Sensitivity against 1 - specificity on `GRID`; vertical averaging (Fawcett, 2006)."""
    return _band(_roc, GRID, actual, scores, resamples, seed)


def precision_recall_band(actual: Bools, scores: Floats, *, resamples: int, seed: int) -> Band:
    """Precision at the highest threshold that reaches each recall of `GRID`.

    Davis & Goadrich, ICML 2006: precision is not linear between two thresholds, so no value is
    interpolated.
    """
    return _band(_precision_recall, GRID, actual, scores, resamples, seed)


def net_benefit_band(actual: Bools, scores: Floats, *, resamples: int, seed: int) -> Band:
    """Net benefit of treating from each threshold probability of `THRESHOLDS` on.

    `TP/n - FP/n * p/(1-p)`; Vickers & Elkin, Med. Decis. Making 26 (2006) 565.
    """
    return _band(_net_benefit, THRESHOLDS, actual, scores, resamples, seed)


def net_benefit_of_all(prevalence: float) -> Floats:
    """Net benefit of treating everybody, at each of `THRESHOLDS`; of nobody it is 0."""
    return prevalence - (1 - prevalence) * THRESHOLDS / (1 - THRESHOLDS)


def reliability(actual: Bools, scores: Floats, *, num_bins: int = RELIABILITY_BINS) -> Reliability:
    """Observed against predicted probability of the positive class.

    Seeds are pooled, and an interval (Wilson, 1927) counts each image once: the images are what
    was sampled.
    """
    seeds = len(scores)
    bins = np.clip((scores.ravel() * num_bins).astype(int), 0, num_bins - 1)
    hits = np.broadcast_to(actual, scores.shape).ravel()
    count = np.bincount(bins, minlength=num_bins)
    kept = count > 0
    predicted = np.bincount(bins, scores.ravel(), num_bins)[kept] / count[kept]
    observed = np.bincount(bins, hits, num_bins)[kept] / count[kept]
    images = count[kept] / seeds
    low, high = wilson(observed, images)
    return Reliability(predicted, observed, low, high, images)


def wilson(share: Floats, count: Floats, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's interval of a share of `count`; J. Am. Stat. Assoc. 22 (1927) 209."""
    z = float(ndtri((1 + level) / 2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return middle - half, middle + half


def average_precision(actual: Bools, scores: Floats) -> float:
    """Mean over the seeds of the average precision: precision weighted by steps of recall."""
    from sklearn.metrics import average_precision_score

    return float(np.mean([average_precision_score(actual, row) for row in scores]))


def _band(
    curve: Curve, x: Floats, actual: Bools, scores: Floats, resamples: int, seed: int
) -> Band:
    rng = np.random.default_rng(seed)
    own = np.vstack([curve(actual, row, np.ones((1, len(actual)))) for row in scores])
    whole = own.mean(axis=0)
    rows = max(1, NUMBERS // len(actual))
    drawn = np.vstack(
        [
            _curves(curve, actual, scores, *_draw(actual, len(scores), count, rng))
            for count in (min(rows, resamples - start) for start in range(0, resamples, rows))
        ]
    )
    error = drawn.std(axis=0)
    stretch = _stretch(own, error)
    ends = whole + stretch * (np.quantile(drawn, [0.025, 0.975], axis=0) - whole)
    low, high = ends if curve is _net_benefit else np.clip(ends, 0, 1)
    above = np.divide(drawn - whole, error, out=np.zeros_like(drawn), where=error > 0)
    floor = whole - stretch * np.quantile(above.max(axis=1), 0.95) * error
    return Band(x, whole, low, high, floor)


def _stretch(own: Floats, error: Floats) -> Floats:
    """How much wider than the normal Student's t is that a point's interval needs.

    With few seeds their spread is known badly. The degrees of freedom are those of a sum of which
    one part is the variance of the mean over the seeds (Satterthwaite, Biometrics 2 (1946) 110)
    and the other, of the images, is known well.

    Args:
        own: curves of the seeds, `(seeds, grid)`.
        error: standard error of their mean over images and seeds, `(grid,)`.
    """
    seeds = len(own)
    if seeds == 1:
        return np.ones(len(error))
    of_seeds = own.var(axis=0, ddof=1) / seeds
    share = np.divide(of_seeds, error**2, out=np.zeros_like(error), where=error > 0)
    degrees = (seeds - 1) / np.clip(share, 1e-6, 1) ** 2
    found: Floats = stdtrit(degrees, 0.975) / ndtri(0.975)
    return found


def _curves(curve: Curve, actual: Bools, scores: Floats, weights: Floats, counts: Floats) -> Floats:
    """The mean curve of each draw, `(draws, grid)`; `counts` is `(draws, seeds)`."""
    total = 0.0
    for row, count in zip(scores, counts.T, strict=True):
        total = total + count[:, None] * curve(actual, row, weights)
    mean: Floats = np.asarray(total) / counts.sum(axis=1, keepdims=True)
    return mean


def _draw(actual: Bools, seeds: int, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """How often each image is drawn, `(draws, images)`, and each seed, `(draws, seeds)`.

    One seed less is drawn than there are, so that their mean scatters as one over new seeds does
    (Rao & Wu, J. Am. Stat. Assoc. 83 (1988) 231).
    """
    weights = np.zeros((draws, len(actual)))
    for stratum in (np.flatnonzero(actual), np.flatnonzero(~actual)):
        count = len(stratum)
        if count:
            weights[:, stratum] = rng.multinomial(count, np.full(count, 1 / count), draws)
    counts = rng.multinomial(max(1, seeds - 1), np.full(seeds, 1 / seeds), draws)
    return weights, counts.astype(np.float64)


def _counts(actual: Bools, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """True and false positives `(draws, thresholds + 1)` from the highest score downwards."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    start = np.zeros((len(weights), 1))
    sorted_weights = weights[:, order]
    true = np.cumsum(sorted_weights * actual[order], axis=1)[:, ends]
    false = np.cumsum(sorted_weights * ~actual[order], axis=1)[:, ends]
    return np.hstack([start, true]), np.hstack([start, false])


def _roc(actual: Bools, scores: Floats, weights: Floats) -> Floats:
    true, false = _counts(actual, scores, weights)
    pairs = zip(false / false[:, -1:], true / true[:, -1:], strict=True)
    return np.array([_upper(GRID, x, y) for x, y in pairs])


def _upper(grid: Floats, x: Floats, y: Floats) -> Floats:
    """Linear interpolation that takes the highest value where `x` stands still."""
    last = np.append(np.diff(x) > 0, True)
    values: Floats = np.interp(grid, x[last], y[last])
    return values


def _precision_recall(actual: Bools, scores: Floats, weights: Floats) -> Floats:
    true, false = _counts(actual, scores, weights)
    recall = true / true[:, -1:]
    found = (true + false)[:, 1:]
    precision = np.divide(true[:, 1:], found, out=np.ones_like(found), where=found > 0)
    curves = np.empty((len(weights), len(GRID)))
    for row in range(len(weights)):
        first = np.searchsorted(recall[row, 1:], GRID - 1e-12)
        curves[row] = precision[row, np.minimum(first, precision.shape[1] - 1)]
    return curves


def _net_benefit(actual: Bools, scores: Floats, weights: Floats) -> Floats:
    treated = (scores[:, None] >= THRESHOLDS).astype(float)
    count = weights.sum(axis=1, keepdims=True)
    true = weights @ (treated * actual[:, None]) / count
    false = weights @ (treated * ~actual[:, None]) / count
    benefit: Floats = true - false * THRESHOLDS / (1 - THRESHOLDS)
    return benefit
