"""Comparisons of two models: textbook forms, published examples, and studies of known truth."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, t
from sklearn.metrics import roc_auc_score

from hybridq.errors import InvalidValueError
from hybridq.evaluation.metrics.ranked import RankedScores
from hybridq.evaluation.metrics.scores import all_metrics, auc
from hybridq.evaluation.statistics import (
    auc_covariance,
    compare,
    crossed_variance,
    family,
    mcnemar,
    stratified_bootstrap,
)
from hybridq.evaluation.statistics.hoeffding import auc_units, half_width, largest_chance

SEEDS = st.integers(0, 2**32 - 1)
GRIDS = st.sampled_from([None, 3, 20])  # scores rounded to a grid have ties


def draw(seed, models, images=30, classes=2, grid=None):
    """Labels with three images of each class at least, and `(models, images, classes)` scores."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(
        np.concatenate([np.repeat(np.arange(classes), 3), rng.integers(0, classes, images)])
    )
    hot = labels[:, None] == np.arange(classes)
    scores = rng.random((models, 1, 1)) * hot + rng.normal(size=(models, *hot.shape))
    return labels, scores if grid is None else np.round(scores * grid) / grid


def study(rng, images, aucs, *, seeds=5, spread=0.06, share=0.7):
    """Binormal scores of models with these expected AUCs: effects of images, models and seeds."""
    labels = (np.arange(images) < share * images).astype(np.int64)
    models = len(aucs)
    shift = norm.ppf(aucs) * np.sqrt(2 + 2 * spread**2)
    own_shift = shift[:, None] + spread * np.sqrt(2) * rng.normal(size=(models, seeds))
    hardness = (
        np.sqrt(0.5) * rng.normal(size=images)
        + np.sqrt(0.2) * rng.normal(size=(models, 1, images))
        + np.sqrt(0.3) * rng.normal(size=(models, seeds, images))
    )
    return labels, own_shift[:, :, None] * labels + hardness


# DeLong.


def textbook_delong(labels, scores):
    """The structural components of DeLong et al. (1988), over all pairs in plain loops."""
    models = len(scores)
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    psi = np.zeros((models, len(positive), len(negative)))
    for r in range(models):
        for i, x in enumerate(positive):
            for j, y in enumerate(negative):
                psi[r, i, j] = (
                    1.0 if scores[r, x] > scores[r, y] else 0.5 * (scores[r, x] == scores[r, y])
                )
    theta = psi.mean(axis=(1, 2))
    v10, v01 = psi.mean(axis=2) - theta[:, None], psi.mean(axis=1) - theta[:, None]
    s10, s01 = v10 @ v10.T / (len(positive) - 1), v01 @ v01.T / (len(negative) - 1)
    return theta, s10 / len(positive) + s01 / len(negative)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 4), GRIDS)
def test_delong_is_that_of_the_textbook(seed, models, grid):
    labels, scores = draw(seed, models, grid=grid)
    scores = scores[:, :, 1]
    aucs, covariance = auc_covariance(labels, scores)
    expected, expected_covariance = textbook_delong(labels, scores)
    assert aucs == pytest.approx([roc_auc_score(labels, row) for row in scores], abs=1e-12)
    assert aucs == pytest.approx(expected, abs=1e-12)
    assert covariance == pytest.approx(expected_covariance, abs=1e-12)


def test_delong_wants_two_images_of_each_class():
    with pytest.raises(InvalidValueError, match="two images of each class, got 1 and 3"):
        auc_covariance(np.array([1, 0, 0, 0]), np.zeros((1, 4)))


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.booleans(), GRIDS)
def test_several_classes_by_the_derivative_of_the_weights(seed, several_labels, grid):
    """An image's component is by how much the mean AUC moves with the image's weight."""
    labels, scores = draw(seed, 3, classes=4, grid=grid)
    strata = [np.flatnonzero(labels == k) for k in range(4)]
    given_labels = labels
    if several_labels:
        given_labels = (np.random.default_rng(seed).random((len(labels), 4)) < 0.5).astype(int)
        given_labels[:2], given_labels[2:4] = 0, 1
        strata = [np.arange(len(labels))]
    aucs, covariance = auc_covariance(given_labels, scores)
    assert aucs == pytest.approx([auc(given_labels, rows) for rows in scores], abs=1e-12)
    step = 1e-5
    weights = 1 + step * np.hstack([np.eye(len(labels)), -np.eye(len(labels))])
    hot = given_labels == 1 if several_labels else labels[:, None] == np.arange(4)
    moved = np.stack([weighted_mean(hot, rows, weights) for rows in scores])
    slopes = (moved[:, : len(labels)] - moved[:, len(labels) :]) / (2 * step)
    expected = sum(len(stratum) * np.cov(slopes[:, stratum]) for stratum in strata)
    assert covariance == pytest.approx(expected, abs=1e-8)


def test_two_classes_as_columns_are_one_score():
    labels, scores = draw(3, 4)
    columns = np.stack([-scores[:, :, 1], scores[:, :, 1]], axis=2)
    for by_column, by_score in zip(
        auc_covariance(labels, columns), auc_covariance(labels, scores[:, :, 1]), strict=True
    ):
        assert by_column == pytest.approx(by_score, abs=1e-12)


# The bootstrap.


def weighted_mean(hot, probs, weights):
    """`(draws,)` means over the classes of the AUCs of weighted images, `(images, draws)`."""
    columns = zip(hot.T, probs.T, strict=True)
    return np.mean([RankedScores(one, own).aucs(weights.T) for one, own in columns], axis=0)


@settings(max_examples=15, deadline=None)
@given(SEEDS, GRIDS)
def test_weighted_auc_is_that_of_scikit_learn(seed, grid):
    labels, scores = draw(seed, 2, grid=grid)
    counts = 1 + np.random.default_rng(seed).poisson(1, (5, len(labels)))
    for one in scores[:, :, 1]:
        found = RankedScores(labels == 1, one).aucs(counts)
        expected = [roc_auc_score(labels, one, sample_weight=row) for row in counts]
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 4])
def test_bootstrap_and_delong_agree(classes):
    labels, scores = draw(5, 1, images=400, classes=classes)
    metrics = all_metrics(multilabel=False, positive=None, threshold=0.5, num_classes=classes)
    probs = 1 / (1 + np.exp(-scores[0]))
    found = stratified_bootstrap(metrics, labels, probs, resamples=4000, seed=1)["auc"]
    (value,), covariance = auc_covariance(labels, scores if classes > 2 else scores[:, :, 1])
    assert found["value"] == pytest.approx(value)
    # 4,000 draws know a standard error to about 1%, and the ends of the interval to about 2%.
    width = (found["high"] - found["low"]) / (2 * 1.96 * np.sqrt(covariance[0, 0]))
    assert width == pytest.approx(1, abs=0.06)


# Seeds and images together.

# AUCs of five readers with two modalities, and their covariances over cases: Van Dyke et al. (1993)
# as worked through in Chakraborty, "Observer Performance Methods for Diagnostic Imaging".
READERS = np.array(
    [[0.9196, 0.8588, 0.9039, 0.9731, 0.8298], [0.9478, 0.9053, 0.9217, 0.9994, 0.9300]]
)
VARIANCE, COV1, COV2, COV3 = 8.0229e-4, 3.4661e-4, 3.4407e-4, 2.3903e-4


def test_crossed_variance_by_a_published_example():
    differences = READERS[0] - READERS[1]
    covariance = np.full((5, 5), 2 * (COV2 - COV3))
    np.fill_diagonal(covariance, 2 * (VARIANCE - COV1))
    found = crossed_variance(differences, covariance)
    mean = differences.mean()
    assert (mean / found.standard_error) ** 2 == pytest.approx(4.456, abs=5e-3)
    assert found.degrees == pytest.approx(15.26, abs=0.03)  # AUCs to 4 digits
    assert 2 * t.sf(abs(mean) / found.standard_error, found.degrees) == pytest.approx(
        0.05167, abs=1e-4
    )
    half = t.isf(0.025, found.degrees) * found.standard_error
    assert (mean - half, mean + half) == pytest.approx((-0.08796, 0.00036), abs=5e-5)
    # The images' share is the variance with these readers held fixed.
    assert np.sqrt(found.both + found.images) == pytest.approx(0.01872, abs=1e-5)


def test_crossed_variance_at_its_limits():
    differences = np.array([0.1, 0.3, 0.2])
    # No image noise: Student's t over the seeds.
    seeds_only = crossed_variance(differences, np.zeros((3, 3)))
    assert seeds_only.standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert seeds_only.degrees == pytest.approx(2)
    # Seeds that agree: the images' variance, known to a normal.
    images_only = crossed_variance(np.full(3, 0.125), np.full((3, 3), 0.01))
    assert images_only.standard_error == pytest.approx(0.1)
    assert images_only.degrees == math.inf
    # One seed: the images' variance alone.
    alone = crossed_variance(differences[:1], np.array([[0.04]]))
    assert (alone.standard_error, alone.degrees) == (pytest.approx(0.2), math.inf)
    # Four times the images halve their part and leave that of the seeds.
    error, degrees = seeds_only.scaled(images=np.array([1.0, 4.0]))
    assert error == pytest.approx([0.1 / np.sqrt(3)] * 2)
    assert degrees == pytest.approx([2, 2])
    assert images_only.scaled(images=4.0)[0] == pytest.approx(0.05)


# Comparisons.


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_one_seed_is_delong(seed):
    labels, scores = study(np.random.default_rng(seed), 100, (0.9, 0.85), seeds=1)
    found = compare(labels, scores[0], scores[1], margin=0.02)
    aucs, covariance = textbook_delong(labels, scores[:, 0])
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    gap = aucs[0] - aucs[1]
    assert (found.value_a, found.value_b) == pytest.approx(tuple(aucs))
    assert found.p_value == pytest.approx(2 * norm.sf(abs(gap) / error))
    reach = norm.ppf(0.975) * error
    assert (found.low, found.high) == pytest.approx((gap - reach, gap + reach), abs=1e-9)
    assert "one training seed" in found.words


def test_one_seed_of_accuracy_is_mcnemar():
    labels, scores = study(np.random.default_rng(0), 200, (0.9, 0.8), seeds=1)
    predicted = (scores > 0.5).astype(np.int64)
    found = compare(labels, predicted[0], predicted[1], margin=0.02, figure="accuracy")
    pairs = mcnemar(predicted[0, 0] == labels, predicted[1, 0] == labels)
    assert found.p_value == pairs.p_mid
    assert found.odds_ratio == pairs.odds_ratio
    assert found.difference == pytest.approx((pairs.only_a - pairs.only_b) / 200)
    assert found.variance.images == pytest.approx(
        (pairs.only_a + pairs.only_b - (pairs.only_a - pairs.only_b) ** 2 / 200) / (200 * 199)
    )


def test_the_other_way_round_is_the_mirror():
    labels, scores = study(np.random.default_rng(1), 600, (0.93, 0.85))
    better = compare(labels, scores[0], scores[1], margin=0.02)
    worse = compare(labels, scores[1], scores[0], margin=0.02)
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert (worse.low, worse.high) == pytest.approx((-better.high, -better.low))
    assert worse.p_value == pytest.approx(better.p_value)
    assert worse.hedges_g == pytest.approx(-better.hedges_g)


def test_words():
    rng = np.random.default_rng(2)
    labels, scores = study(rng, 4000, (0.9, 0.9), spread=0.0)
    same = compare(labels, scores[0], scores[1], margin=0.05, name="a vs b")
    assert same.verdict == "equivalent"
    assert same.words.startswith("equivalent within 0.05 (AUC ")
    nearly = compare(labels, scores[0] + 0.1 * labels, scores[1], margin=0.05)
    assert nearly.words.startswith("better, by less than 0.05 (AUC +0.0")
    copy = compare(labels, scores[0], scores[0], margin=0.001)
    assert (copy.verdict, copy.difference, copy.p_equivalence) == ("equivalent", 0, 0)
    flat = compare(np.array([0, 0, 1, 1]), np.eye(4)[2:].sum(0)[None], np.zeros((1, 4)), margin=0.1)
    assert flat.words.startswith("undecided, nothing varies")
    # Perfect on 99 images: rounding is no spread.
    ones = (np.arange(99) % 3 == 0).astype(int)
    perfect = compare(ones, ones[None] + 0.1, ones[None] - np.arange(99) / 99**2, margin=0.1)
    assert (perfect.verdict, perfect.images_needed) == ("undecided", None)
    for item in (same, nearly, copy, flat, perfect):
        read = json.loads(json.dumps(item.as_dict(), allow_nan=False))
        assert read["words"] == item.words
        assert read["standard_error"] == item.variance.standard_error
    assert copy.as_dict()["degrees"] is None


def test_models_that_tell_no_images_apart_are_told():
    labels, constant = np.arange(40) % 2, np.full((2, 40), 0.5)
    varied = np.random.default_rng(0).random((2, 40))
    both = compare(labels, constant, constant, margin=0.1)
    assert both.verdict == "equivalent"
    assert both.words.endswith("beware: both give all images one score, which is no model of them")
    varied[0] = 0.5
    assert (
        "beware: B gives all images one score"
        in compare(labels, 1 - np.eye(40)[:2], varied, margin=0.1).words
    )
    classes = compare(labels, labels[None], np.zeros((1, 40)), margin=0.1, figure="accuracy")
    assert "beware: B gives all images one class" in classes.words
    assert "beware" not in compare(labels, labels[None], 1 - labels[None], margin=0.1).words


def test_images_that_would_decide():
    """Textbook sample size for a difference: `n ((z_0.975 + z_0.8) se / d)^2`."""
    labels, scores = study(np.random.default_rng(5), 60, (0.9, 0.85), seeds=1)
    found = compare(labels, scores[0], scores[1], margin=1e-6)
    error = found.variance.standard_error
    expected = 60 * ((norm.ppf(0.975) + norm.ppf(0.8)) * error / found.difference) ** 2
    assert found.verdict == "undecided"
    assert expected * 0.99 <= found.images_needed <= expected * 1.13
    assert f"about {found.images_needed:,} test images" in found.words
    # So many images do decide, most times.
    wide = replace(found, difference=0.0, margin=0.01, p_equivalence=norm.sf(0.01 / error))
    (equal,) = family([wide])
    expected = 60 * ((norm.ppf(0.95) + norm.ppf(0.9)) * error / 0.01) ** 2
    assert expected * 0.99 <= equal.images_needed <= expected * 1.13


def test_seeds_where_images_cannot_decide():
    differences = np.array([0.09, -0.03, 0.06, -0.01, 0.04])
    variance = crossed_variance(differences, np.full((5, 5), 1e-6))
    labels, scores = study(np.random.default_rng(0), 60, (0.9, 0.9))
    item = compare(labels, scores[0], scores[1], margin=0.01)
    open_case = replace(item, difference=0.03, variance=variance, p_value=0.3, p_equivalence=0.8)
    (found,) = family([open_case])
    assert found.images_needed is None
    assert 20 <= found.seeds_needed <= 30  # ((1.96 + 0.84) * 0.049 / 0.03)^2 = 21, and Student
    assert f"about {found.seeds_needed} training seeds" in found.words


def test_a_family_is_judged_together():
    labels, scores = study(np.random.default_rng(3), 300, (0.9, 0.9))
    base = compare(labels, scores[0], scores[1], margin=0.02)
    items = [
        replace(base, difference=0.03, p_value=p, p_equivalence=q)
        for p, q in ((0.03, 0.9), (0.001, 0.9), (0.5, 0.04))
    ]
    assert [family([item])[0].verdict for item in items] == ["better", "better", "equivalent"]
    together = family(items)
    assert [item.verdict for item in together] == ["undecided", "better", "undecided"]
    assert [item.p_holm for item in together] == pytest.approx([0.06, 0.003, 0.5])
    assert "after Holm over 3" in together[1].words
    assert family(together) == together
    assert family([]) == []
    with pytest.raises(InvalidValueError, match="one level"):
        family([base, replace(base, level=0.9)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores_b": np.zeros((2, 9))}, "as many seeds of both models, got 3 and 2"),
        ({"scores_b": np.zeros((3, 8))}, r"\(seeds, 9\[, classes\]\), got \(3, 9\) and \(3, 8\)"),
        ({"scores_a": np.zeros((3, 8)), "scores_b": np.zeros((3, 8))}, "same images"),
        ({"scores_a": np.zeros((0, 9)), "scores_b": np.zeros((0, 9))}, "same images"),
        ({"scores_a": np.full((3, 9), np.nan)}, "finite"),
        ({"scores_a": [[0.1] * 9, [0.2] * 8]}, "array of numbers"),
        ({"scores_a": [["cat"] * 9] * 3}, "array of numbers"),
        ({"labels": np.arange(9) % 3}, "labels from 0 to 1, got 2"),
        ({"labels": np.arange(9) % 2 + 1}, "labels from 0 to 1, got 2"),
        ({"labels": np.arange(9) % 2 - 1}, "got -1"),
        ({"labels": np.arange(9) % 2 / 2}, "got 0.5"),
        ({"labels": 1}, "at least two images"),
        ({"labels": np.zeros((9, 2), int)}, "probabilities of 2 labels"),
        ({"margin": 0.0}, "margin above 0"),
        ({"margin": 2}, "at most 1, got 2"),
        ({"margin": math.nan}, "got nan"),
        ({"level": 95}, "write 95% as 0.95"),
        ({"level": 0}, "got 0"),
        ({"level": math.nan}, "got nan"),
        ({"figure": "AUC"}, "'auc' or 'accuracy', got 'AUC'"),
        ({"figure": "accuracy", "scores_a": np.full((3, 9), 0.7)}, "whole numbers from 0, got 0.7"),
        ({"figure": "accuracy", "scores_b": np.full((3, 9), -1)}, "got -1"),
        ({"figure": "accuracy", "labels": np.full(9, -1)}, "got -1"),
        ({"figure": "accuracy", "labels": np.zeros((9, 2))}, "compare several labels by AUC"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given_values = {
        "labels": np.arange(9) % 2,
        "scores_a": np.zeros((3, 9)),
        "scores_b": np.zeros((3, 9)),
        "margin": 0.02,
    }
    refused_by(compare, message, **{**given_values, **change})


@pytest.mark.parametrize("labels", [np.repeat([1, 2], 9), np.repeat([-1, 1], 9)])
def test_probabilities_of_two_columns_want_the_classes_0_and_1(labels):
    """The classes 1 and 2 once turned the sign of the difference."""
    probs = np.stack([np.linspace(1, 0, 18), np.linspace(0, 1, 18)], axis=1)[None]
    refused_by(compare, "labels from 0 to 1", labels, probs, probs[:, ::-1], margin=0.02)
    refused_by(auc_covariance, "labels from 0 to 1", labels, probs)


def test_several_labels_are_0_and_1():
    refused_by(auc_covariance, "from 0 to 1, got 2", np.full((9, 2), 2), np.zeros((1, 9, 2)))


def test_what_the_bootstrap_refuses():
    metrics = all_metrics(multilabel=False, positive=1, threshold=0.5, num_classes=2)
    arguments = (metrics, np.arange(9) % 2, np.full((9, 2), 0.5))
    refused_by(stratified_bootstrap, "0.95", *arguments, resamples=10, seed=0, level=95)


def refused_by(function, message, *arguments, **settings):
    """In one line that says what was expected, what was given, and the remedy."""
    with pytest.raises(InvalidValueError, match=message) as caught:
        function(*arguments, **settings)
    assert re.fullmatch(r"Expected .*, got .*: .*\.", str(caught.value))


def test_lists_are_as_good_as_arrays():
    labels, scores = draw(4, 4)
    scores = scores[:, :, 1]
    plain = labels.tolist(), scores[:2].tolist(), scores[2:].tolist()
    assert compare(*plain, margin=0.1) == compare(labels, scores[:2], scores[2:], margin=0.1)
    for of_lists, of_arrays in zip(
        auc_covariance(*plain[:2]), auc_covariance(labels, scores[:2]), strict=True
    ):
        np.testing.assert_array_equal(of_lists, of_arrays)


# Without spread.


@settings(max_examples=20, deadline=None)
@given(SEEDS, GRIDS)
def test_scores_that_rank_the_images_alike_are_equal(seed, grid):
    labels, scores = draw(seed, 2, grid=grid)
    scores = scores[:, :, 1]
    for other in (2 * scores + 1, 1 / (1 + np.exp(-scores)), scores**3):
        found = compare(labels, scores, other, margin=0.02)
        assert (found.verdict, found.p_value, found.p_equivalence) == ("equivalent", 1, 0)
    # One pair of images of different classes that changes places is a difference.
    other = scores.copy()
    pair = [np.flatnonzero(labels == 1)[0], np.flatnonzero(labels == 0)[0]]
    other[0, pair] = other[0, pair[::-1]]
    if scores[0, pair[0]] != scores[0, pair[1]]:
        assert compare(labels, scores, other, margin=1e-9).verdict != "equivalent"


def test_equal_ranks_of_each_class_that_there_is():
    labels, scores = draw(1, 3, classes=4)
    by_class = np.array([0.5, 1, 2, 3]) * scores + np.arange(4)
    assert compare(labels, scores, by_class, margin=0.02).p_equivalence == 0
    hot = (labels[:, None] == np.arange(4)).astype(int)
    assert compare(hot, scores, by_class, margin=0.02).p_equivalence == 0
    # A column without images counts for nothing; that of class 0 does not with two classes.
    unseen = np.concatenate([scores, scores[:, :, :1]], axis=2)
    other = np.concatenate([by_class, -scores[:, :, :1]], axis=2)
    assert compare(labels, unseen, other, margin=0.02).p_equivalence == 0
    labels, scores = draw(1, 3)
    other = np.stack([scores[:, :, 1], 2 * scores[:, :, 1]], axis=2)
    assert compare(labels, scores, other, margin=0.02).verdict == "equivalent"


@pytest.mark.parametrize("seeds", [1, 3])
def test_right_on_the_same_images_is_equal(seeds):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    error = rng.random((seeds, 60)) < 0.3
    a, b = (labels + error) % 3, (labels + 2 * error) % 3
    found = compare(labels, a, b, margin=0.02, figure="accuracy")
    assert (a != b).any()
    assert (found.verdict, found.p_value, found.p_equivalence) == ("equivalent", 1, 0)
    assert found.value_a < 1


@pytest.mark.parametrize("seeds", [1, 5])
def test_a_perfect_model_beats_one_that_is_always_wrong(seeds):
    """Both ways, once there are images enough: `2 exp(-8 / 2) < 0.05 < 2 exp(-7 / 2)`."""
    for rarer, verdict in ((7, "undecided"), (8, "better")):
        labels = np.repeat([0, 1], [20, rarer])
        right = np.tile(labels, (seeds, 1)) + 0.1 * np.arange(seeds)[:, None]
        found = compare(labels, right, -right, margin=0.02)
        assert (found.difference, found.verdict) == (1, verdict)
        assert found.p_value == pytest.approx(2 * np.exp(-rarer / 2))
        assert found.p_equivalence == 1
        assert found.high == 1
        assert (found.low > 0) == (found.verdict == "better")
    assert compare(labels, -right, right, margin=0.02).verdict == "worse"


@settings(max_examples=50)
@given(st.integers(1, 40), st.floats(0.05, 0.95), st.floats(0, 1))
def test_the_bound_without_spread_is_never_too_small(units, chance, gap):
    """Against the binomial: differences of 1 and -1, whose mean lies `gap` above what it should."""
    wins = np.arange(units + 1)
    means = 2 * wins / units - 1
    exact = binom.pmf(wins, units, chance)[means - (2 * chance - 1) >= gap].sum()
    assert exact <= largest_chance(gap, units) + 1e-12
    # The interval leaves out what the test refutes.
    assert 2 * largest_chance(half_width(0.9, units), units) == pytest.approx(0.1)


def test_units_are_disjoint_pairs_of_images():
    assert auc_units(np.repeat([0, 1], [20, 7])) == 7
    assert auc_units(np.repeat([0, 1, 3], [30, 8, 5])) == 5
    assert auc_units(np.repeat([0, 2], [4, 30])) == 4
    assert auc_units(np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]])) == 2


def test_two_perfect_models_are_equivalent_on_many_images():
    labels = np.arange(1400) % 2
    rng = np.random.default_rng(0)
    a, b = labels + 0.5 * rng.random((2, 3, 1400))
    found = compare(labels, a, b, margin=0.1)
    assert found.p_equivalence == pytest.approx(np.exp(-700 * 0.1**2 / 2))
    assert found.verdict == "equivalent"
    few = compare(labels[:300], a[:, :300], b[:, :300], margin=0.1)
    assert few.words.startswith("undecided, nothing varies over these images, and they are too few")


# Calibration; `benchmarks/verdicts.py` does the same at length.


@pytest.mark.parametrize(("images", "spread"), [(156, 0.06), (400, 0.15)])
def test_verdicts_are_calibrated(images, spread):
    """200 studies: wrong verdicts within what a chance of 5% allows, one time in a thousand."""
    rng = np.random.default_rng(images)
    allowed = binom.isf(0.001, 200, 0.05)
    margin = 0.05
    same = [study(rng, images, (0.9, 0.9), spread=spread) for _ in range(200)]
    edge = [study(rng, images, (0.9, 0.9 - margin), spread=spread) for _ in range(200)]
    on_same = [compare(y, *scores, margin=margin) for y, scores in same]
    on_edge = [compare(y, *scores, margin=margin) for y, scores in edge]
    assert sum(item.verdict in ("better", "worse") for item in on_same) <= allowed
    assert sum(item.p_equivalence < 0.05 for item in on_edge) <= allowed
    held = sum(item.low <= 0 <= item.high for item in on_same)
    held += sum(item.low <= margin <= item.high for item in on_edge)
    assert held >= binom.isf(0.999, 400, 0.95)
