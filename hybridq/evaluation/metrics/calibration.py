"""How far probabilities are from shares: Brier score, and Cox's calibration slope and intercept.

All are computed of many draws of the same images at once, given by how often each is drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SMALLEST = 1e-12
"""Probabilities nearer to 0 or 1 than this are taken as this far away."""
STEPS = 100
"""Steps of Newton's method, those that are halved counted."""
ENOUGH = 1e-8
"""Change of slope and intercept from which on they have converged."""


def squared_errors(labels: Ints, probs: Floats) -> Floats:
    """Half the squared distance of probabilities from the true class, of each image, 0 to 1.

    Its mean is the Brier score (Brier, Mon. Weather Rev. 78 (1950) 1) on a scale that is that of
    `(p - y)^2` for two classes. With several labels it is the mean of `(p - y)^2` over them.

    Args:
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1 for several labels.
        probs: `(..., images, classes)`, of any number of models.

    Returns:
        `(..., images)`.
    """
    if labels.ndim == 2:
        errors: Floats = ((probs - labels) ** 2).mean(axis=-1)
        return errors
    hot = labels[:, None] == np.arange(probs.shape[-1])
    halved: Floats = ((probs - hot) ** 2).sum(axis=-1) / 2
    return halved


def logits_of(probs: Floats) -> Floats:
    """The logarithm of the odds of probabilities."""
    kept = np.clip(probs, SMALLEST, 1 - SMALLEST)
    logits: Floats = np.log(kept) - np.log1p(-kept)
    return logits


def calibration_line(actual: Bools, scores: Floats, counts: NDArray[Any]) -> tuple[Floats, Floats]:
    """Slope and intercept of a logistic regression of the outcome on the logit of its probability.

    Cox, Biometrika 45 (1958) 562: with slope 1 and intercept 0 the probabilities are the shares; a
    slope below 1 says that they are too extreme.

    Args:
        actual: `(images,)`, whether the positive class is the true one.
        scores: `(images,)` probabilities of it.
        counts: `(draws, images)` times that each image is drawn.

    Returns:
        `(draws,)` slopes and `(draws,)` intercepts; NaN where a draw has one class alone, or the
        scores of the classes do not overlap, so that no slope is the best.
    """
    logits = logits_of(scores)
    weights = np.asarray(counts, dtype=np.float64)
    overlaps = _overlaps(actual, logits, weights > 0)
    line = np.full((len(weights), 2), np.nan)
    if overlaps.any():
        spread, middle = logits.std(), logits.mean()
        x = (logits - middle) / spread
        whole = _fitted(np.zeros((1, 2)), actual, x, weights[overlaps].sum(axis=0, keepdims=True))
        start = np.repeat(whole, overlaps.sum(), axis=0)
        own = _fitted(start, actual, x, weights[overlaps])
        slope = own[:, 1] / spread
        line[overlaps] = np.stack([own[:, 0] - slope * middle, slope], axis=1)
    return line[:, 1], line[:, 0]


def _overlaps(actual: Bools, logits: Floats, drawn: Bools) -> Bools:
    """Whether some positive image of a draw scores below a negative one, and another above one."""
    ends = {}
    for name, own in (("positive", actual), ("negative", ~actual)):
        low = np.where(drawn & own, logits, np.inf).min(axis=1)
        high = np.where(drawn & own, logits, -np.inf).max(axis=1)
        ends[name] = (low, high)
    (low, high), (low_negative, high_negative) = ends["positive"], ends["negative"]
    found: Bools = (low < high_negative) & (low_negative < high)
    return found


def _fitted(start: Floats, actual: Bools, x: Floats, weights: Floats) -> Floats:
    """Intercept and slope `(draws, 2)` by Newton's method; a step that is too long is halved."""
    line, scale = start.copy(), np.ones(len(weights))
    best, move = _likelihood_and_step(line, actual, x, weights)
    left = np.arange(len(weights))
    for _ in range(STEPS):
        change = scale[left, None] * move[left]
        tried = line[left] + change
        likelihood, step = _likelihood_and_step(tried, actual, x, weights[left])
        better = likelihood >= best[left] - 1e-12 * np.abs(best[left])
        taken = left[better]
        line[taken], best[taken], move[taken] = tried[better], likelihood[better], step[better]
        scale[left] = np.where(better, 1.0, scale[left] / 2)
        left = left[np.abs(change).max(axis=1) >= ENOUGH]
        if not len(left):
            break
    return line


def _likelihood_and_step(
    line: Floats, actual: Bools, x: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Log likelihood `(draws,)` and Newton's step `(draws, 2)` at intercepts and slopes."""
    value = line[:, :1] + line[:, 1:] * x
    likelihood = -(weights * np.logaddexp(0, np.where(actual, -value, value))).sum(axis=1)
    share = 1 / (1 + np.exp(-np.clip(value, -700, 700)))
    rest = weights * (actual - share)
    curve = weights * share * (1 - share)
    a, b, c = curve.sum(axis=1), curve @ x, curve @ x**2
    first, second = rest.sum(axis=1), rest @ x
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = 1 / (a * c - b * b)
        step = np.stack([c * first - b * second, a * second - b * first], axis=1)
        step *= inverse[:, None]
    return likelihood, np.nan_to_num(step, nan=0.0, posinf=0.0, neginf=0.0)


def sensitivity_at(
    actual: Bools, scores: Floats, counts: NDArray[Any], specificity: float
) -> Floats:
    """The largest sensitivity of any threshold with at least a specificity, of each draw.

    It is read off the ROC curve of these very images, at a threshold of theirs.

    Args:
        actual: `(images,)`, whether the positive class is the true one.
        scores: `(images,)` probabilities of it.
        counts: `(draws, images)` times that each image is drawn.
        specificity: The specificity, from 0 to 1.

    Returns:
        `(draws,)`; NaN without an image of either kind.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    drawn = np.asarray(counts, dtype=np.float64)[:, order]
    true = np.cumsum(drawn * actual[order], axis=1)[:, ends]
    false = np.cumsum(drawn * ~actual[order], axis=1)[:, ends]
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = 1 - false / false[:, -1:] >= specificity - 1e-12
        found: Floats = np.where(reached, true, 0.0).max(axis=1) / true[:, -1]
    found[(true[:, -1] == 0) | (false[:, -1] == 0)] = np.nan
    return found


def predictive_values(
    sensitivity: Floats, specificity: Floats, prevalence: float
) -> tuple[Floats, Floats]:
    """Positive and negative predictive value at a stated prevalence, by Bayes' rule.

    Args:
        sensitivity: `(draws,)`.
        specificity: `(draws,)`.
        prevalence: Share of the positive class where the model is to be used.

    Returns:
        `(draws,)` of each; NaN where nothing is predicted so.
    """
    hits, alarms = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    misses, clear = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / (hits + alarms), clear / (clear + misses)
