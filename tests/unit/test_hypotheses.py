"""McNemar, Holm, TOST and Hedges' g: published examples, hand-made steps, definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import (
    Measured,
    crossed_variance,
    hedges_g,
    holm,
    mcnemar,
    tost,
)


def test_mcnemar_by_a_published_example():
    """Airway hyper-responsiveness, 1 change against 7: Fagerland et al. (2013)."""
    right_a = np.repeat([True, True, False, False], [1, 1, 7, 12])
    right_b = np.repeat([True, False, True, False], [1, 1, 7, 12])
    found = mcnemar(right_a, right_b)
    assert (found.only_a, found.only_b) == (1, 7)
    assert found.p_exact == pytest.approx(0.070, abs=5e-4)
    assert found.p_mid == pytest.approx(0.039, abs=5e-4)
    assert found.odds_ratio == pytest.approx(1.5 / 7.5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_by_summing_the_binomial(only_a, only_b):
    right_a = np.repeat([True, False, True], [only_a, only_b, 3])
    found = mcnemar(right_a, np.repeat([False, True, True], [only_a, only_b, 3]))
    pairs = only_a + only_b
    chances = [math.comb(pairs, k) / 2**pairs for k in range(pairs + 1)]
    lower = sum(chances[: min(only_a, only_b) + 1])
    assert found.p_exact == pytest.approx(min(1, 2 * lower))
    mid = 2 * (lower - chances[only_a] / 2)
    assert found.p_mid == pytest.approx(min(1, mid))
    assert found.p_mid <= found.p_exact


def test_holm_by_hand():
    found = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_as_the_steps_do(p_values, alpha):
    p = np.array(p_values)
    rejected = set()
    for step, index in enumerate(np.argsort(p, kind="stable")):
        if p[index] * (len(p) - step) >= alpha:
            break
        rejected.add(int(index))
    assert set(np.flatnonzero(holm(p) < alpha).tolist()) == rejected


def pair(values_a, values_b, covariance, images):
    """Two models of these figures, with influences of the images that give the covariance."""
    seeds = len(values_a)
    sizes, vectors = np.linalg.eigh(covariance)
    influence = np.zeros((2 * seeds, images))
    influence[:, : 2 * seeds] = vectors * np.sqrt(np.maximum(sizes, 0))
    return (
        Measured(values_a[:, None], influence[:seeds]),
        Measured(values_b[:, None], influence[seeds:]),
    )


def both(differences, error, level, images):
    """Two models around `level`, B without error."""
    seeds = len(differences)
    covariance = np.zeros((2 * seeds, 2 * seeds))
    covariance[:seeds, :seeds] = error**2
    return pair(level + differences, np.full(seeds, level), covariance, images)


@settings(max_examples=50)
@given(
    st.floats(-0.003, 0.003),
    st.floats(0.0005, 0.003),
    st.floats(0.3, 0.7),
    st.integers(0, 2**32 - 1),
)
def test_equivalence_is_an_interval_within_a_small_margin(difference, error, level, seed):
    """Where the logit is nearly straight: the p value of the plain tests."""
    noise = np.random.default_rng(seed).normal(size=5)
    differences = difference + 0.002 * (noise - noise.mean())
    found = tost(*both(differences, error, level, 1000), margin=0.005)
    variance = crossed_variance(differences, np.full((5, 5), error**2))
    room = (0.005 - abs(differences.mean())) / variance.standard_error
    assert found == pytest.approx(t.sf(room, variance.degrees), abs=0.01)
    mirrored = both(-differences, error, level, 1000)
    assert tost(*mirrored, margin=0.005) == pytest.approx(found, abs=0.01)


def test_equivalence_near_one_by_hand():
    """A 0.97 with error 0.01 beside B 0.98 without: logit(0.97) against logit(0.98 - 0.02)."""
    found = tost(*both(np.array([-0.01]), 0.01, 0.98, 100), margin=0.02)
    gap = np.log(0.97 / 0.03) - np.log(0.96 / 0.04)
    assert found == pytest.approx(norm.sf(gap / (0.01 / (0.97 * 0.03))))
    a, b = both(np.array([-0.01]), 0.01, 0.98, 100)
    assert tost(b, a, margin=0.02) == pytest.approx(found)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0.02, 1), st.floats(0.02, 1), st.floats(0.005, 0.1), st.floats(0.005, 0.1), st.data()
)
def test_a_larger_margin_never_counts_against_equivalence(level_a, level_b, error_a, error_b, data):
    covariance = np.diag([error_a**2, error_b**2])
    margins = np.sort(data.draw(st.lists(st.floats(0.001, 1), min_size=2, max_size=8)))
    found = [
        tost(*pair(np.array([level_a]), np.array([level_b]), covariance, 100), margin=m)
        for m in margins
    ]
    assert (np.diff(np.minimum(found, 0.5)) <= 1e-12).all()  # above, neither margin is refuted


def test_a_margin_beyond_the_figure_itself():
    """At a margin of 0.84 and more p once was 0.2, at 0.80 nil."""
    a = np.array([0.83, 0.85, 0.84, 0.82, 0.86])
    b = np.array([0.84, 0.83, 0.85, 0.86, 0.82])
    covariance = 0.01**2 * (0.5 + 0.5 * np.eye(10))
    for margin in (0.4, 0.8, 0.83, 0.84, 0.9, 1.0):
        assert tost(*pair(a, b, covariance, 600), margin=margin) < 1e-3
    # Nothing is given away: no margin below 0.84 is refuted where the difference is 0.83.
    low = np.array([0.0, 0.02, 0.01, 0.0, 0.02])
    for margin in (0.8, 0.83, 0.84):
        assert tost(*pair(low, a, covariance, 600), margin=margin) > 0.1


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.5, math.nan, math.inf])
def test_equivalence_wants_a_margin(margin):
    with pytest.raises(InvalidValueError, match="margin above 0 and at most 1"):
        tost(*both(np.zeros(2), 0.01, 0.9, 100), margin=margin)


@pytest.mark.parametrize(("pairs", "factor"), [(3, 0.5642), (4, 0.7236), (5, 0.7979)])
def test_hedges_correction(pairs, factor):
    """Known factors of Hedges (1981) for 2, 3 and 4 degrees of freedom."""
    differences = np.arange(pairs) + 1.0
    plain = differences.mean() / differences.std(ddof=1)
    assert hedges_g(differences) == pytest.approx(factor * plain, rel=1e-4)
    assert math.isnan(hedges_g(differences[:2]))
    assert math.isnan(hedges_g(np.full(5, 0.1) + np.arange(5) * 1e-17))  # rounding
