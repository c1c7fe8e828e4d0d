"""Curves of a binary decision against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from hybridq.evaluation.metrics import curves
from hybridq.evaluation.metrics.curves import (
    GRID,
    THRESHOLDS,
    average_precision,
    net_benefit_band,
    net_benefit_of_all,
    precision_recall_band,
    reliability,
    roc_band,
    wilson,
)

HOW = {"resamples": 200, "seed": 0}


@pytest.fixture
def case():
    rng = np.random.default_rng(3)
    actual = rng.random(120) < 0.3
    scores = np.round(np.clip(0.3 * actual + rng.normal(0.4, 0.2, (2, 120)), 0, 1), 2)
    return actual, scores


def test_roc_is_that_of_scikit_learn_ties_included(case):
    actual, scores = case
    for row in scores:
        x, y, _ = roc_curve(actual, row, drop_intermediate=False)
        last = np.append(np.diff(x) > 0, True)
        expected = np.interp(GRID, x[last], y[last])
        found = roc_band(actual, row[None], **HOW)
        np.testing.assert_allclose(found.value, expected, atol=1e-12)


def test_the_area_under_the_mean_curve_is_the_mean_area(case):
    actual, scores = case
    found = roc_band(actual, scores, **HOW)
    area = trapezoid(found.value, found.x)
    assert area == pytest.approx(np.mean([roc_auc_score(actual, row) for row in scores]), abs=0.01)


def test_bands_hold_the_curve_and_are_narrower_with_more_images(case):
    actual, scores = case
    both = roc_band(actual, scores, **HOW)
    scores = scores[:1]  # of two seeds the difference between them does not shrink with images
    small = roc_band(actual, scores, **HOW)
    for band in (both, small):
        assert (band.low <= band.value + 0.02).all()
        assert (band.high >= band.value - 0.02).all()
    large = roc_band(np.tile(actual, 9), np.tile(scores, 9), **HOW)
    middle = slice(20, 80)
    assert (large.high - large.low)[middle].mean() < 0.6 * (small.high - small.low)[middle].mean()


def test_seeds_that_disagree_widen_the_band():
    rng = np.random.default_rng(0)
    actual = np.arange(400) % 2 == 0
    good, bad = actual + rng.normal(0, 0.5, 400), rng.normal(0, 1, 400)
    alone = roc_band(actual, good[None], **HOW)
    both = roc_band(actual, np.stack([good, bad]), **HOW)
    assert (both.high - both.low).mean() > 2 * (alone.high - alone.low).mean()


@pytest.mark.parametrize(
    "seeds", [2, *(pytest.param(seeds, marks=pytest.mark.slow) for seeds in (3, 5))]
)
def test_bands_hold_the_curve_of_new_seeds(seeds):
    """Binormal scores whose means differ by seed; the true value is the mean over many seeds."""
    rng = np.random.default_rng(seeds)
    actual = np.arange(300) % 2 == 0
    where = 20  # 1 - specificity of 0.2

    def scores(count):
        shift = rng.normal(1.2, 0.3, (count, 1))
        return shift * actual + rng.normal(0, 1, (count, len(actual)))

    truth = roc_band(actual, scores(2000), resamples=1, seed=0).value[where]
    bands = [roc_band(actual, scores(seeds), resamples=100, seed=study) for study in range(200)]
    held = np.mean([band.low[where] <= truth <= band.high[where] for band in bands])
    assert held >= 0.91
    assert all((band.low >= 0).all() and (band.high <= 1).all() for band in bands)


def test_precision_is_that_of_the_highest_threshold_that_reaches_a_recall(case):
    actual, scores = case
    precision, recall, _ = precision_recall_curve(actual, scores[0])
    expected = [precision[:-1][recall[:-1] >= r - 1e-12][-1] for r in GRID]
    found = precision_recall_band(actual, scores[:1], **HOW)
    np.testing.assert_allclose(found.value[1:], expected[1:], atol=1e-12)
    assert found.value[-1] == pytest.approx(actual.mean(), abs=0.1)
    assert 0 < average_precision(actual, scores) < 1


def test_net_benefit_of_a_worked_example():
    # 10 images, 4 positive; at a threshold of 0.2, 3 hits and 2 false alarms are treated.
    actual = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    scores = np.array([0.9, 0.8, 0.3, 0.1, 0.7, 0.25, 0.1, 0.1, 0.1, 0.1])
    found = net_benefit_band(actual, scores[None], **HOW)
    at = int(np.abs(THRESHOLDS - 0.2).argmin())
    assert found.value[at] == pytest.approx(3 / 10 - 2 / 10 * 0.2 / 0.8)


def test_who_treats_all_has_the_net_benefit_of_treating_all():
    actual = np.arange(50) % 5 == 0
    everybody = net_benefit_band(actual, np.ones((1, 50)), **HOW)
    np.testing.assert_allclose(everybody.value, net_benefit_of_all(0.2), atol=1e-12)
    nobody = net_benefit_band(actual, np.zeros((1, 50)), **HOW)
    np.testing.assert_allclose(nobody.value, 0)
    # Treating all is worth nothing where the threshold is the prevalence.
    assert np.interp(0.2, THRESHOLDS, net_benefit_of_all(0.2)) == pytest.approx(0, abs=1e-9)


def test_reliability_counts_each_image_once_however_many_seeds():
    actual = np.array([0, 1, 1, 1], dtype=bool)
    scores = np.array([[0.05, 0.95, 0.95, 1.0], [0.05, 0.95, 0.95, 1.0]])
    found = reliability(actual, scores)
    assert found.images.tolist() == [1, 3]
    np.testing.assert_allclose(found.observed, [0, 1])
    np.testing.assert_allclose(found.predicted, [0.05, 2.9 / 3])


def test_wilson_interval_of_published_example():
    # Newcombe, Statist. Med. 17 (1998) 857, table I: 81 of 263 and 0 of 20.
    low, high = wilson(np.array([81 / 263, 0.0]), np.array([263.0, 20.0]))
    np.testing.assert_allclose(low, [0.2553, 0.0], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1611], atol=5e-5)


def test_bands_of_many_images_are_drawn_in_parts(case, monkeypatch):
    actual, scores = case
    monkeypatch.setattr(curves, "NUMBERS", 120 * 30)  # 30 of 200 draws at a time
    parts = roc_band(actual, scores, **HOW)
    monkeypatch.undo()
    whole = roc_band(actual, scores, **HOW)
    np.testing.assert_array_equal(parts.value, whole.value)
    np.testing.assert_allclose(parts.low, whole.low, atol=0.12)
    np.testing.assert_allclose(parts.high, whole.high, atol=0.12)
