"""The test that two models are the same but for a margin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t

from hybridq.evaluation.statistics.checks import check_margin
from hybridq.evaluation.statistics.crossed import crossed_variance

Floats = NDArray[np.float64]


def tost(
    values_a: Floats, values_b: Floats, covariance: Floats, *, margin: float, images: int
) -> float:
    """P value of two one-sided tests: small when the means differ by less than the margin.

    Schuirmann, J. Pharmacokinet. Biopharm. 15:657 (1987). Each side tests on the logit scale that
    one mean is above the other less the margin, with the crossed variance of that contrast (delta
    method): near 1 a figure is skewed over seeds and images, its spread falls as it rises, and on
    the plain scale a margin's edge was taken for equivalence too often (docs/statistics.md). Away
    from 0 and 1 it says nearly that the `1 - 2 * alpha` interval of the difference lies within the
    margin.

    The edge tested goes no lower than 1/2, or than one logit below the first mean if that is less:
    further down the delta method fails, p would rise again with the margin, and who refutes a
    smaller difference has refuted the larger ones.

    Args:
        values_a: `(seeds,)` shares, AUCs or accuracies, of the first model.
        values_b: `(seeds,)` of the second.
        covariance: `(2 seeds, 2 seeds)` of both together over draws of the images.
        margin: Largest difference that does not matter.
        images: Test images; a mean of 1 counts as a quarter of an image below it.

    Raises:
        InvalidValueError: If the margin is not above 0, or is above 1.
    """
    check_margin(margin)
    swap = np.roll(np.arange(2 * len(values_a)), len(values_a))
    swapped = covariance[np.ix_(swap, swap)]
    return max(
        _not_below(values_a, values_b, covariance, margin, images),
        _not_below(values_b, values_a, swapped, margin, images),
    )


def _not_below(
    values: Floats, other: Floats, covariance: Floats, margin: float, images: int
) -> float:
    """P value of `values` being below `other` by the margin or more."""
    edge = 1 / (4 * images)
    mean = np.clip(values.mean(), edge, 1 - edge)
    lowest = max(edge, min(0.5, expit(logit(mean) - 1)))
    means = np.array([mean, np.clip(other.mean() - margin, lowest, 1 - edge)])
    slopes = 1 / (means * (1 - means))
    contrast = np.hstack([slopes[0] * np.eye(len(values)), -slopes[1] * np.eye(len(values))])
    variance = crossed_variance(
        slopes[0] * values - slopes[1] * other, contrast @ covariance @ contrast.T
    )
    if not variance.varies:
        return 1.0
    gap = logit(means[0]) - logit(means[1])
    return float(t.sf(gap / variance.standard_error, variance.degrees))
