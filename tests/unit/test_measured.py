"""Figures in crossed cells: their covariance, and the crossed variance, against other ways."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, t
from sklearn.metrics import balanced_accuracy_score, brier_score_loss

from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import (
    Design,
    Measured,
    Question,
    answers,
    auc_covariance,
    chance_of_equivalence,
    compare,
    compare_measured,
    crossed_variance,
    mean_interval,
    measure_auc,
    measure_figures,
    measure_mean,
    smallest_difference,
)


def scores_of(rng, shape, labels, classes):
    """`(*shape, images, classes)` probabilities that know something of the labels."""
    hot = labels if labels.ndim == 2 else labels[:, None] == np.arange(classes)
    raw = np.exp(0.8 * hot + rng.normal(size=(*shape, *hot.shape)))
    return raw / raw.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_influence_gives_the_covariance_of_the_encoders_means(task):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2 if task == "binary" else 3, 60)
    if task == "multilabel":
        labels = rng.integers(0, 2, (60, 3))
    probs = scores_of(rng, (3, 4), labels, 2 if task == "binary" else 3)
    found = measure_auc(labels, probs)
    cells = probs.reshape(12, 60, -1)
    aucs, covariance = auc_covariance(labels, cells[:, :, 1] if task == "binary" else cells)
    means = np.kron(np.eye(3), np.full(4, 0.25))
    assert found.values == pytest.approx(aucs.reshape(3, 4))
    assert found.covariance == pytest.approx(means @ covariance @ means.T, abs=1e-14)
    strata = labels if labels.ndim == 1 else np.zeros(60, int)
    for k in np.unique(strata):
        assert found.influence[:, strata == k].sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-12)


def test_means_have_the_variances_of_textbooks():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    probs = scores_of(rng, (2, 3), labels, 3)
    decided = probs.argmax(axis=3)
    found = measure_figures(labels, probs, decided, positive=2)
    right = decided == labels
    assert found["accuracy"].covariance == pytest.approx(np.cov(right.mean(axis=1)) / 60)
    by_class = [
        np.cov(right[:, :, labels == k].mean(axis=1)) / (labels == k).sum() for k in (0, 1, 2)
    ]
    assert found["balanced_accuracy"].covariance == pytest.approx(sum(by_class) / 9)
    assert found["sensitivity"].covariance == pytest.approx(by_class[2])
    assert found["balanced_accuracy"].values[1, 2] == pytest.approx(
        balanced_accuracy_score(labels, decided[1, 2])
    )
    assert found["brier"].values[1, 2] == pytest.approx(
        brier_score_loss(labels, probs[1, 2], scale_by_half=True)
    )
    rest = labels != 2
    assert found["specificity"].values[0, 1] == pytest.approx(right[0, 1, rest].mean())
    for figure in found.values():
        mean, low, high = mean_interval(figure)
        assert 0 <= low < mean < high <= 1
    with pytest.raises(InvalidValueError, match="two images of each class, got 1"):
        measure_mean(right, figure="accuracy", strata=np.arange(60) // 59)


def test_a_file_keeps_what_intervals_are_made_of():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 400)
    one, other = (measure_auc(labels, scores_of(rng, (5, 6), labels, 2)) for _ in range(2))
    again, too = (Measured.from_arrays(item.arrays()) for item in (one, other))
    assert (again.figure, again.units) == ("auc", one.units)
    assert sum(array.nbytes for array in one.arrays().values()) < 2 * 5 * 400 + 600
    assert mean_interval(again) == pytest.approx(mean_interval(one), abs=1e-5)
    kept, read = (compare_measured(*two, margin=0.02) for two in ((one, other), (again, too)))
    assert (read.low, read.high) == pytest.approx((kept.low, kept.high), abs=1e-5)


# The crossed variance.


def test_crossed_variance_by_the_mean_squares_of_a_table():
    """Sums of squares of a two-way table written out, with degrees by Satterthwaite."""
    rng = np.random.default_rng(3)
    rows, columns = 4, 6
    values = (
        0.8
        + 0.03 * rng.normal(size=(rows, 1))
        + 0.02 * rng.normal(size=(1, columns))
        + 0.01 * rng.normal(size=(rows, columns))
    )
    covariance = 1e-4 * (0.4 + 0.6 * np.eye(rows))
    mean = values.mean()
    by_row = columns * sum((values[e].mean() - mean) ** 2 for e in range(rows)) / (rows - 1)
    by_column = rows * sum((values[:, s].mean() - mean) ** 2 for s in range(columns))
    by_column /= columns - 1
    rest = sum(
        (values[e, s] - values[e].mean() - values[:, s].mean() + mean) ** 2
        for e in range(rows)
        for s in range(columns)
    ) / ((rows - 1) * (columns - 1))
    found = crossed_variance(values, covariance)
    assert by_row > rest
    assert by_column > rest
    total = (by_row + by_column - rest) / (rows * columns) + 0.4e-4
    assert found.standard_error**2 == pytest.approx(total)
    squares = by_row**2 / (rows - 1) + by_column**2 / (columns - 1)
    squares += rest**2 / ((rows - 1) * (columns - 1))
    assert found.degrees == pytest.approx(total**2 * (rows * columns) ** 2 / squares)
    assert found.images == pytest.approx(0.4e-4)
    assert found.both == pytest.approx(0.6e-4 / rows)
    assert found.cells == pytest.approx(rest / (rows * columns))
    # Twice the subsets halve their part and that of the cells.
    error = found.scaled(subsets=2.0)[0]
    assert error**2 == pytest.approx(total - (found.subsets + found.cells) / 2)


def test_one_row_and_one_column():
    rng = np.random.default_rng(4)
    values = 0.8 + 0.02 * rng.normal(size=(5, 1))
    covariance = 1e-4 * (0.5 + 0.5 * np.eye(5))
    column = crossed_variance(values, covariance)
    assert column == crossed_variance(values[:, 0], covariance)
    assert column.standard_error**2 == pytest.approx(values.var(ddof=1) / 5 + 0.5e-4)
    row = crossed_variance(values.T, np.array([[1e-4]]))
    over_subsets = values.var(ddof=1) / 5
    assert row.standard_error**2 == pytest.approx(over_subsets + 1e-4)
    assert row.degrees == pytest.approx(4 * ((over_subsets + 1e-4) / over_subsets) ** 2)
    cell = crossed_variance(values[:1], np.array([[1e-4]]))
    assert (cell.standard_error, cell.degrees) == (pytest.approx(0.01), math.inf)


@pytest.mark.parametrize("spreads", [(0.03, 0.02, 0.02), (0.0, 0.03, 0.02), (0.0, 0.0, 0.03)])
def test_crossed_variance_is_that_of_means_drawn_anew(spreads):
    """Effects drawn again and again: the estimate is right on average, and never much too small."""
    rng = np.random.default_rng(5)
    rows, columns = 5, 12
    shapes = ((rows, 1), (1, columns), (rows, columns))
    means, estimates = [], []
    for _ in range(1000):
        values = sum(s * rng.normal(size=shape) for s, shape in zip(spreads, shapes, strict=True))
        means.append(values.mean())
        estimates.append(crossed_variance(values, np.zeros((rows, rows))).standard_error ** 2)
    assert 0.92 < np.mean(estimates) / np.var(means) < 1.7


def test_the_interval_of_a_mean_is_on_the_logit_scale():
    """Five encoders leave four degrees of freedom, of which three are counted."""
    values = np.array([0.90, 0.94, 0.92, 0.97, 0.91])[:, None]
    mean, low, high = mean_interval(Measured(values, np.zeros((5, 30))))
    error = values.std(ddof=1) / np.sqrt(5) / (mean * (1 - mean))
    assert np.log(low / (1 - low)) == pytest.approx(
        np.log(mean / (1 - mean)) - t.isf(0.025, 3) * error
    )
    assert high - mean < mean - low
    perfect = Measured(np.ones((5, 2)), np.zeros((5, 30)))
    assert mean_interval(perfect) == (1, 1, 1)


@pytest.mark.parametrize("effects", ["skewed", "collapsing"])
def test_means_are_covered_where_effects_are_skewed(effects):
    """Encoders by subsets, AUCs around 0.75 with an exponential tail downwards, or cells at 0.5."""
    rng = np.random.default_rng(12)
    held, draws = 0, 600
    for _ in range(draws):
        shapes = ((5, 1), (1, 50), (5, 50))
        spreads = (0.02, 0.04, 0.03)
        values = 0.75 + sum(
            spread * (1 - rng.exponential(size=shape))
            for spread, shape in zip(spreads, shapes, strict=True)
        )
        expected = 0.75
        if effects == "collapsing":
            values = np.where(rng.random((5, 50)) < 0.05, 0.5, values)
            expected = 0.95 * 0.75 + 0.05 * 0.5
        # The images move all cells alike, by 0.02.
        values = values + 0.02 * rng.normal()
        influence = np.tile(0.02 * np.repeat([1, -1], 50) / 10, (5, 1))
        _, low, high = mean_interval(Measured(values, influence))
        held += low <= expected <= high
    assert held >= binom.isf(0.999, draws, 0.95)


# Comparisons of cells.


def test_one_subset_is_a_plain_comparison():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, 90)
    a, b = (scores_of(rng, (5,), labels, 3) for _ in range(2))
    plain = compare(labels, a, b, margin=0.02)
    crossed = compare_measured(
        measure_auc(labels, a[:, None]), measure_auc(labels, b[:, None]), margin=0.02
    )
    assert crossed == plain
    assert plain.low == pytest.approx(
        plain.difference - t.isf(0.025, plain.variance.degrees) * plain.variance.standard_error
    )


def test_a_model_without_encoders_stands_beside_each():
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 80)
    ours = measure_auc(labels, scores_of(rng, (3, 4), labels, 2))
    pixels = measure_auc(labels, scores_of(rng, (1, 4), labels, 2))
    found = compare_measured(ours, pixels, margin=0.02)
    assert found == compare_measured(ours, pixels.repeated(3, 4), margin=0.02)
    assert (found.seeds, found.subsets, found.images) == (3, 4, 80)
    assert "over encoders, label subsets and test images" in found.words
    alone = compare_measured(pixels, pixels.repeated(1, 4), margin=0.02)
    assert alone.verdict == "equivalent"
    assert "label subsets and test images, one encoder" in alone.words
    with pytest.raises(InvalidValueError, match=r"values as \(3, 4\), got \(2, 4\)"):
        compare_measured(ours, ours.__class__(ours.values[:2], ours.influence[:2]), margin=0.02)
    with pytest.raises(InvalidValueError, match="got accuracy on 80"):
        compare_measured(ours, Measured(ours.values, ours.influence, "accuracy"), margin=0.02)


def test_a_lower_error_is_better():
    rng = np.random.default_rng(8)
    errors = rng.random((2, 3, 4, 200)) * np.array([0.1, 0.5])[:, None, None, None]
    low, high = (measure_mean(one, figure="brier") for one in errors)
    assert compare_measured(low, high, margin=0.02).verdict == "better"
    assert compare_measured(high, low, margin=0.02).verdict == "worse"


# Questions and plans.


def test_primary_questions_pay_for_each_other_alone():
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 2, 80)
    models = {
        (share, name): scores_of(rng, (3, 2), labels, 2) for share in (0.1, 1.0) for name in "ab"
    }
    measured = {key: measure_auc(labels, probs) for key, probs in models.items()}
    roles = [{"primary": True}, {"control": True}, {}, {}]
    questions = [Question("t", f"{i}?", "a", "b", "claims", **role) for i, role in enumerate(roles)]
    found = answers(measured, questions, margin=0.02, words="{:g}".format)
    assert [question.together for question in questions] == [
        *("claims, primary", "claims, controls", "claims", "claims")
    ]
    assert [item.family_size for _, _, item in found] == [2, 2, 4, 4] * 2
    assert Question("t", "?", "a", "b", primary=True).together == "primary"


@pytest.mark.parametrize("shape", [(5, 50), (5, 1), (3, 10)])
def test_a_plan_has_the_power_that_it_says(shape):
    """Cells and images drawn from the plan's own spreads: "better" in 80% of the studies."""
    design = Design(*shape, 400, (200, 200), 0.8, 0.01, 0.02, 0.02, alike=0.8)
    variance = design.variance()
    rng = np.random.default_rng(10)
    difference = smallest_difference(design)
    draws = 1000
    noise = rng.normal(size=(draws, *shape)) * design.spread_cells
    noise += rng.normal(size=(draws, shape[0], 1)) * design.spread_encoders
    # One subset is each seed's own.
    drawn = (draws, 1, shape[1]) if shape[1] > 1 else (draws, *shape)
    noise += rng.normal(size=drawn) * design.spread_subsets
    shared = rng.normal(size=draws) * np.sqrt(variance.images)
    covariance = np.full((shape[0],) * 2, variance.images)
    values = noise + shared[:, None, None]
    found = [crossed_variance(one, covariance) for one in values]
    errors = np.array([one.standard_error for one in found])
    degrees = np.array([one.degrees for one in found])
    means = values.mean(axis=(1, 2))
    decided = 2 * t.sf(np.abs(means + difference) / errors, degrees) < 0.05
    assert decided.mean() == pytest.approx(0.8, abs=0.05)
    wrong = 2 * t.sf(np.abs(means) / errors, degrees) < 0.05
    assert wrong.mean() < binom.isf(0.001, draws, 0.05) / draws
    margin = 2 * difference
    equal = t.sf((margin - np.abs(means)) / errors, degrees) < 0.05
    assert equal.mean() == pytest.approx(chance_of_equivalence(design, margin), abs=0.05)
    assert smallest_difference(design, primaries=4) > difference


def test_the_images_of_a_plan_are_those_of_delong():
    """Exponential scores, for which Hanley and McNeil's variance is exact."""
    rng = np.random.default_rng(11)
    labels = np.repeat([0, 1], [90, 90])
    ratio = 0.8 / (1 - 0.8)
    found = [
        measure_auc(labels, rng.exponential(np.where(labels, ratio, 1.0), (1, 1, 180)))
        for _ in range(200)
    ]
    expected = Design(1, 1, 180, (90, 90), 0.8, alike=0.5).variance().images
    assert np.mean([one.values for one in found]) == pytest.approx(0.8, abs=0.01)
    assert np.mean([one.covariance for one in found]) == pytest.approx(expected, rel=0.06)
