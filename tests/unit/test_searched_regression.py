"""The penalised regression whose penalty is searched: folds, axes, and the choice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from hybridq.models.searched_regression import (
    NEWTON,
    PENALTIES,
    balanced_log_loss,
    folds_of,
    logistic_regression,
    searched_regression,
)


@pytest.fixture
def few():
    """Thirty images of three classes on 200 inputs, with a little signal."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [14, 10, 6])
    inputs = rng.normal(size=(30, 200))
    inputs[:, :3] += 1.5 * np.eye(3)[labels]
    return inputs, labels


def test_folds_hold_each_image_once_by_class_and_group():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [20, 12])
    groups = np.concatenate([np.arange(20) // 2, 10 + np.arange(12) // 3])
    order = rng.permutation(32)
    labels, groups = labels[order], groups[order]
    folds = folds_of(labels, groups, seed=3)
    assert len(folds) == 4  # the rarer class has four groups
    held = np.concatenate([own for _, own in folds])
    assert sorted(held.tolist()) == list(range(32))
    for train, own in folds:
        assert not set(groups[train]) & set(groups[own])
        assert sorted([*train, *own]) == list(range(32))
        assert set(labels[own]) == {0, 1}
    again = folds_of(labels, groups, seed=3)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))
    assert len(folds_of(np.array([0, 0, 0, 1]), seed=0)) == 2
    assert folds_of(np.array([0]), seed=0) == []
    assert folds_of(np.array([0, 1, 2]), seed=0) == []  # one image of each class


def test_the_fit_is_that_of_all_inputs(few):
    """In the span of the images the regression is scikit-learn's on all inputs."""
    inputs, labels = few
    found = searched_regression(inputs, labels, 3, folds_of(labels, seed=0))
    own = LogisticRegression(C=found.penalty, max_iter=5000, class_weight="balanced", tol=1e-10)
    new = np.random.default_rng(2).normal(size=(50, 200))
    expected = own.fit(inputs, labels).predict_proba(new)
    assert found.probs(new) == pytest.approx(expected, abs=1e-5)
    weight, bias = found.linear()
    assert softmax(new @ weight.T + bias, axis=1) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_many_weights_are_fitted_in_another_way(classes):
    """Above `NEWTON` weights by L-BFGS, which with a strong penalty ends near the same optimum."""
    rng = np.random.default_rng(5)
    labels = np.arange(360) % classes
    inputs = rng.normal(size=(360, 400)) + 0.5 * (labels[:, None] == np.arange(400) % 9)
    folds = folds_of(labels, seed=0, most=2)
    found = searched_regression(inputs, labels, classes, folds, penalties=PENALTIES[:2])
    assert found.axes.shape[1] > NEWTON
    assert found.model.solver == "lbfgs"
    exact = logistic_regression(found.penalty, several=False, newton=True)
    new = rng.normal(size=(50, 400))
    expected = exact.fit(inputs @ found.axes, labels).predict_proba(new @ found.axes)
    assert found.probs(new) == pytest.approx(expected, abs=5e-3)
    few = searched_regression(inputs[:60], labels[:60], classes, folds_of(labels[:60], seed=0))
    assert few.model.solver == "newton-cholesky"


def test_the_penalty_has_the_lowest_held_out_loss(few):
    inputs, labels = few
    folds = folds_of(labels, seed=0)
    found = searched_regression(inputs, labels, 3, folds)
    losses = []
    for penalty in PENALTIES:
        probs = np.empty((30, 3))
        for train, held in folds:
            model = logistic_regression(penalty, several=False).set_params(tol=1e-8)
            model.fit(inputs[train], labels[train])
            probs[held] = model.predict_proba(inputs[held])
        own = -np.log(probs[np.arange(30), labels])
        losses.append(np.mean([own[labels == k].mean() for k in range(3)]))
    assert found.losses == pytest.approx(losses, rel=1e-4)
    assert found.penalty == PENALTIES[int(np.argmin(losses))]


def test_a_class_that_a_part_lacks_has_no_chance_there(few):
    inputs, labels = few
    labels = np.where(np.arange(30) == 29, 2, np.minimum(labels, 1))
    found = searched_regression(inputs, labels, 3, folds_of(labels, seed=0))
    assert np.isfinite(found.losses).all()
    assert found.held_out[29, 2] == 0
    assert found.probs(inputs).sum(axis=1) == pytest.approx(np.ones(30))


def test_several_labels_and_the_loss():
    rng = np.random.default_rng(4)
    labels = (rng.random((40, 2)) < 0.4).astype(int)
    inputs = rng.normal(size=(40, 60)) + labels @ rng.normal(size=(2, 60))
    found = searched_regression(inputs, labels, 2, folds_of(labels, seed=0))
    assert found.probs(inputs).shape == (40, 2)
    assert found.losses[-1] < np.log(2)
    assert balanced_log_loss(np.array([0, 0, 1]), np.full((3, 2), 0.5)) == pytest.approx(np.log(2))
    skewed = np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2]])
    expected = (-np.log(0.9) - np.log(0.2)) / 2
    assert balanced_log_loss(np.array([0, 0, 1]), skewed) == pytest.approx(expected)
