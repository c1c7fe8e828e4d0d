"""The test that two models are the same but for a margin."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t

from hybridq.evaluation.statistics.checks import check_margin
from hybridq.evaluation.statistics.crossed import crossed_variance
from hybridq.evaluation.statistics.measured import Measured


def tost(a: Measured, b: Measured, *, margin: float) -> float:
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
        a: A share, such as AUC or accuracy, of the first model; a mean of 1 counts as a quarter of
            an image below it.
        b: The same share of the second, in the same cells.
        margin: Largest difference that does not matter.

    Raises:
        InvalidValueError: If the margin is not above 0, or is above 1.
    """
    check_margin(margin)
    return max(_not_below(a, b, margin), _not_below(b, a, margin))


def _not_below(one: Measured, other: Measured, margin: float) -> float:
    """P value of `one` being below `other` by the margin or more."""
    edge = 1 / (4 * one.influence.shape[1])
    mean = np.clip(one.values.mean(), edge, 1 - edge)
    lowest = max(edge, min(0.5, expit(logit(mean) - 1)))
    means = np.array([mean, np.clip(other.values.mean() - margin, lowest, 1 - edge)])
    slopes = 1 / (means * (1 - means))
    influence = slopes[0] * one.influence - slopes[1] * other.influence
    variance = crossed_variance(
        slopes[0] * one.values - slopes[1] * other.values, influence @ influence.T
    )
    if not variance.varies:
        return 1.0
    gap = logit(means[0]) - logit(means[1])
    return float(t.sf(gap / variance.standard_error, variance.degrees))
