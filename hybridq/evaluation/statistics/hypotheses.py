"""Small tests and corrections, from numbers that are there already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import binom, binomtest

from hybridq.evaluation.statistics.crossed import ROUNDING

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class McNemar:
    """Images on which exactly one of two models is right.

    Attributes:
        only_a: Images that the first model alone has right.
        only_b: Images that the second model alone has right.
        p_exact: Two-sided exact p value; conservative.
        p_mid: Two-sided mid-p value, which counts half of the probability of what was seen.
    """

    only_a: int
    only_b: int
    p_exact: float
    p_mid: float

    @property
    def odds_ratio(self) -> float:
        """Odds ratio of the discordant pairs, a half added to each (Haldane, Anscombe)."""
        return (self.only_a + 0.5) / (self.only_b + 0.5)


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> McNemar:
    """McNemar's test of equal accuracy on the same images, exact and mid-p.

    McNemar, Psychometrika 12:153 (1947); the mid-p form keeps its level and loses less power than
    the exact one: Fagerland, Lydersen & Laake, BMC Med. Res. Methodol. 13:91 (2013).

    Args:
        right_a: `(images,)`, true where the first model is right.
        right_b: `(images,)`, of the second model on the same images.
    """
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    pairs = only_a + only_b
    if pairs == 0:
        return McNemar(0, 0, 1.0, 1.0)
    exact = float(binomtest(only_a, pairs).pvalue)
    fewer = min(only_a, only_b)
    mid = 2 * binom.cdf(fewer, pairs, 0.5) - binom.pmf(fewer, pairs, 0.5)
    return McNemar(only_a, only_b, exact, min(1.0, float(mid)))


def holm(p_values: Floats) -> Floats:
    """P values adjusted so that no error among all of them is likelier than their level.

    Holm, Scand. J. Statist. 6:65 (1979): the k-th smallest of m times m - k + 1, never falling,
    at most 1. It asks nothing of how the tests depend on each other.

    Args:
        p_values: `(tests,)`.

    Returns:
        `(tests,)` in the same order.
    """
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(count, 0, -1))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted


def hedges_g(differences: Floats) -> float:
    """Mean of paired differences in units of their own spread, corrected for few pairs.

    Cohen's d of paired differences (d_z) times the exact correction J of Hedges, J. Educ. Statist.
    6:107 (1981). NaN with fewer than three pairs or without spread.

    Args:
        differences: `(pairs,)`; here one for each training seed.
    """
    degrees = len(differences) - 1
    spread = float(np.std(differences, ddof=1)) if degrees > 0 else 0.0
    if spread < ROUNDING or degrees < 2:
        return float("nan")
    correction = np.exp(
        gammaln(degrees / 2) - gammaln((degrees - 1) / 2) - 0.5 * np.log(degrees / 2)
    )
    return float(correction * np.mean(differences) / spread)
