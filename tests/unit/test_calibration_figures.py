"""Brier score, Cox's line, operating points and recalibration against independent oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.calibration import _sigmoid_calibration
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_curve

from hybridq.errors import InvalidValueError
from hybridq.evaluation.metrics.calibration import (
    calibration_line,
    predictive_values,
    sensitivity_at,
    squared_errors,
)
from hybridq.evaluation.metrics.recalibration import fit_recalibration
from hybridq.evaluation.metrics.reported import ReportedMetrics, apart_from_shares
from hybridq.evaluation.statistics import stratified_bootstrap

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, count, *, slope=0.5, intercept=-0.4):
    """Outcomes whose logit is a line of the logit of the probability."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, count)
    return rng.random(count) < expit(slope * logits + intercept), expit(logits)


def pairs(scores):
    return np.stack([1 - scores, scores], axis=1)


def test_brier_of_two_classes_is_that_of_scikit_learn():
    actual, scores = drawn(0, 60)
    errors = squared_errors(actual.astype(np.int64), pairs(scores))
    assert errors.mean() == pytest.approx(brier_score_loss(actual, scores))
    labels = np.array([0, 2, 1])
    perfect, worst = np.eye(3)[labels], np.eye(3)[(labels + 1) % 3]
    assert squared_errors(labels, perfect).tolist() == [0, 0, 0]
    assert squared_errors(labels, worst).tolist() == [1, 1, 1]
    several = np.array([[1, 0], [1, 1]])
    assert squared_errors(several, np.array([[0.5, 0.5], [1.0, 0.0]])).tolist() == [0.25, 0.5]


@settings(max_examples=15)
@given(SEEDS, st.integers(15, 60))
def test_the_line_is_a_logistic_regression_without_penalty(seed, count):
    actual, scores = drawn(seed, count)
    rng = np.random.default_rng(seed)
    counts = np.stack([np.bincount(rng.integers(count, size=count), minlength=count) for _ in "ab"])
    counts = np.vstack([np.ones(count, int), counts])
    slopes, intercepts = calibration_line(actual, scores, counts)
    x = logit(scores)[:, None]
    for slope, intercept, weights in zip(slopes, intercepts, counts, strict=True):
        inside = weights > 0
        up, down = scores[inside & actual], scores[inside & ~actual]
        overlaps = len(up) and len(down) and up.min() < down.max() and down.min() < up.max()
        assert np.isnan(slope) == (not overlaps)
        if overlaps:
            share = expit(slope * x[:, 0] + intercept)  # the score equations hold
            assert weights @ (actual - share) == pytest.approx(0, abs=1e-5)
            assert weights @ ((actual - share) * x[:, 0]) == pytest.approx(0, abs=1e-5)


def test_the_line_of_many_images_is_the_one_they_were_drawn_by():
    actual, scores = drawn(1, 20_000)
    slopes, intercepts = calibration_line(actual, scores, np.ones((1, 20_000)))
    assert (slopes[0], intercepts[0]) == pytest.approx((0.5, -0.4), abs=0.05)
    oracle = LogisticRegression(C=1e10, tol=1e-10).fit(logit(scores)[:, None], actual)
    expected = (oracle.coef_[0, 0], oracle.intercept_[0])
    assert (slopes[0], intercepts[0]) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=25)
@given(SEEDS, st.integers(2, 40), st.sampled_from([None, 4]), st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_sensitivity_at_a_specificity_is_the_best_on_the_roc_curve(seed, count, grid, least):
    actual, scores = drawn(seed, count)
    actual[0], actual[1] = True, False
    scores = scores if grid is None else np.round(scores * grid) / grid
    fpr, tpr, _ = roc_curve(actual, scores, drop_intermediate=False)
    found = sensitivity_at(actual, scores, np.ones((1, count)), least)
    assert found[0] == pytest.approx(tpr[1 - fpr >= least - 1e-12].max())


def test_predictive_values_follow_bayes():
    """Of 1000, 100 are ill: 80 of them and 90 of the others are found."""
    ppv, npv = predictive_values(np.array([0.8]), np.array([0.9]), 0.1)
    assert (ppv[0], npv[0]) == pytest.approx((80 / 170, 810 / 830))
    nobody = predictive_values(np.array([0.0]), np.array([1.0]), 0.1)
    assert np.isnan(nobody[0][0])
    assert nobody[1][0] == pytest.approx(0.9)


def test_reported_figures_are_those_of_the_task_and_more():
    actual, scores = drawn(2, 80)
    metrics = ReportedMetrics(False, 1, 0.4, 2, at_specificity=0.8, prevalence=0.2)
    labels = actual.astype(np.int64)
    found = stratified_bootstrap(metrics, labels, pairs(scores), resamples=200, seed=0)
    for name, one in found.items():
        assert one["low"] <= one["value"] <= one["high"], name
    row = apart_from_shares({"figures": found})
    assert list(row["calibration"]) == ["slope", "intercept"]
    assert {"brier", "sensitivity_at_specificity", "ppv", "npv", "auc"} <= row["figures"].keys()
    chosen = np.random.default_rng(0).integers(80, size=80)
    counts = np.bincount(chosen, minlength=80)[None].astype(np.int32)
    whole = metrics(labels[chosen], pairs(scores)[chosen])
    for name, values in metrics.counted(labels, pairs(scores))(counts).items():
        assert values[0] == pytest.approx(whole[name], abs=1e-6), name
    three = ReportedMetrics(False, None, 0.5, 3)(np.array([0, 1, 2]), np.eye(3))
    assert three["brier"] == 0
    assert "calibration_slope" not in three


def test_platt_is_that_of_scikit_learn():
    actual, scores = drawn(3, 70)
    found = fit_recalibration("platt", actual.astype(np.int64), pairs(scores), "ab")
    a, b = _sigmoid_calibration(logit(scores), actual)
    np.testing.assert_allclose(
        found(pairs(scores))[:, 1], expit(-(a * logit(scores) + b)), atol=1e-4
    )


def test_temperature_is_the_best_of_all():
    rng = np.random.default_rng(4)
    true = rng.dirichlet(np.ones(3), 4000)
    labels = np.array([rng.choice(3, p=row) for row in true])
    sharp = true**3 / (true**3).sum(axis=1, keepdims=True)
    found = fit_recalibration("temperature", labels, sharp, "abc")
    assert found.scale == pytest.approx(1 / 3, abs=0.03)

    def loss(scale):
        powered = sharp**scale
        return log_loss(labels, powered / powered.sum(axis=1, keepdims=True))

    assert found.scale == pytest.approx(minimize_scalar(loss, bounds=(0.1, 1)).x, abs=0.01)
    np.testing.assert_array_equal(found(sharp).argmax(axis=1), sharp.argmax(axis=1))


def test_prior_moves_the_odds_of_another_share_of_the_classes():
    """Trained where both are equal, used where one of ten is positive: odds are a ninth."""
    rng = np.random.default_rng(5)
    labels = (rng.random(20_000) < 0.1).astype(np.int64)
    scores = expit(2 * rng.normal(np.where(labels, 1.0, -1.0), 1))  # exact for equal shares
    found = fit_recalibration("prior", labels, pairs(scores), "ab")
    assert found.scale == 1
    assert found.offsets[1] - found.offsets[0] == pytest.approx(np.log(1 / 9), abs=0.1)


@pytest.mark.parametrize("method", ["temperature", "platt", "prior"])
def test_decisions_stay_at_the_threshold_that_is_carried_along(method):
    actual, scores = drawn(6, 50)
    found = fit_recalibration(method, actual.astype(np.int64), pairs(scores), "ab")
    for threshold in (0.2, float(scores[3]), 0.8):
        moved = found.threshold(threshold, 1)
        said = found(pairs(scores))[:, 1] >= moved
        np.testing.assert_array_equal(said, scores >= threshold)
    several = np.stack([actual, ~actual, actual], axis=1).astype(np.int64)
    many = fit_recalibration(method, several, np.stack([scores] * 3, axis=1), "abc")
    assert many(np.stack([scores] * 3, axis=1)).shape == (50, 3)


def test_classes_that_do_not_overlap_and_classes_without_an_image():
    labels = np.array([0, 0, 1, 1])
    apart = fit_recalibration("platt", labels, pairs(np.array([0.1, 0.2, 0.8, 0.9])), "ab")
    assert np.isfinite(apart.scale)
    backwards = fit_recalibration("platt", 1 - labels, pairs(np.array([0.1, 0.2, 0.8, 0.9])), "ab")
    assert backwards.scale > 0  # the order of the images stays
    with pytest.raises(InvalidValueError, match="got none of c: take temperature"):
        fit_recalibration("platt", labels, np.full((4, 3), 1 / 3), "abc")
    assert fit_recalibration("temperature", labels, np.full((4, 3), 1 / 3), "abc").scale > 0
