"""Intervals of draws that are counted are those of draws that are evaluated one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.evaluation.metrics import ranked
from hybridq.evaluation.metrics import scores as metrics
from hybridq.evaluation.statistics import bootstrap, stratified_bootstrap
from hybridq.utils import auc as area

SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(["binary", "no positive", "multiclass", "multilabel", "missing class"])


def one_by_one(compute, labels, probs, *, resamples, seed, level):
    """The bootstrap as its definition reads: draw images, evaluate them, take quantiles."""
    rng = np.random.default_rng(seed)
    strata = [np.arange(len(labels))]
    if labels.ndim == 1:
        strata = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    point = compute(labels, probs)
    draws = {name: [] for name in point}
    for _ in range(resamples):
        chosen = np.concatenate([rng.choice(stratum, len(stratum)) for stratum in strata])
        for name, value in compute(labels[chosen], probs[chosen]).items():
            draws[name].append(value)
    tail = (1 - level) / 2
    result = {}
    for name, value in point.items():
        defined = np.asarray(draws[name])
        defined = defined[~np.isnan(defined)]
        low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (np.nan, np.nan)
        result[name] = {"value": value, "low": float(low), "high": float(high)}
    return result


def case(kind, seed, count, grid):
    """Labels, probabilities with ties on a grid, and the figures of the task."""
    rng = np.random.default_rng(seed)
    classes = 2 if kind in ("binary", "no positive") else 4
    probs = rng.dirichlet(np.ones(classes), count)
    if kind == "multilabel":
        labels = (rng.random((count, classes)) < [0.5, 0.1, 0.9, 0.0]).astype(np.int64)
        probs = rng.random((count, classes))
    else:
        labels = rng.integers(0, classes - (kind == "missing class"), count)
    if grid is not None:
        probs = np.round(probs * grid) / grid
    return (
        labels,
        probs,
        metrics.all_metrics(
            multilabel=kind == "multilabel",
            positive=int(rng.integers(2)) if kind == "binary" else None,
            threshold=float(rng.choice([0.3, 0.5])),
            num_classes=classes,
            by_class=kind != "binary",
        ),
    )


@settings(max_examples=60)
@given(KINDS, SEEDS, st.integers(1, 40), st.sampled_from([None, 4, 1]))
def test_the_same_intervals(kind, seed, count, grid):
    labels, probs, compute = case(kind, seed, count, grid)
    options = {"resamples": 30, "seed": seed, "level": 0.9}
    found = stratified_bootstrap(compute, labels, probs, **options)
    expected = one_by_one(compute, labels, probs, **options)
    assert found.keys() == expected.keys()
    for name, interval in expected.items():
        assert found[name] == pytest.approx(interval, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_sensitivity_and_specificity_of_each_class(kind):
    """Counted image by image; they stand apart from the figures of all classes."""
    labels, probs, compute = case(kind, 3, 40, None)
    several = kind == "multilabel"
    figures = {name: {"value": value} for name, value in compute(labels, probs).items()}
    found = metrics.apart_by_class(figures, "abcd")
    assert list(found["by_class"]) == list("abcd")
    assert "sensitivity_0" not in found["figures"]
    assert "auc" in found["figures"]
    for k, name in enumerate("abcd"):
        said = probs[:, k] >= compute.threshold if several else probs.argmax(axis=1) == k
        actual = labels[:, k] == 1 if several else labels == k
        for figure, value, chosen in (
            ("sensitivity", said, actual),
            ("specificity", ~said, ~actual),
        ):
            expected = value[chosen].mean() if chosen.any() else np.nan
            assert found["by_class"][name][figure]["value"] == pytest.approx(expected, nan_ok=True)


def test_draws_are_counted_in_blocks(monkeypatch):
    """And the length of a block changes nothing."""
    labels, probs, compute = case("multiclass", 1, 30, 4)
    whole = stratified_bootstrap(compute, labels, probs, resamples=50, seed=2)
    monkeypatch.setattr(ranked, "BLOCK", 100)
    sizes = []
    counted = bootstrap.CountedFigures.__call__
    monkeypatch.setattr(
        bootstrap.CountedFigures,
        "__call__",
        lambda self, counts: sizes.append(counts.shape) or counted(self, counts),
    )
    assert stratified_bootstrap(compute, labels, probs, resamples=50, seed=2) == whole
    assert sizes == 16 * [(3, 30)] + [(2, 30)]


def test_scores_are_sorted_once_for_all_draws(monkeypatch):
    """Two classes have one order, and the two tables of sums one each, whatever the draws."""
    labels, probs, compute = case("binary", 3, 40, None)
    sorts = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *a, **k: sorts.append(1) or argsort(*a, **k))
    monkeypatch.setattr(area, "rankdata", lambda scores: sorts.append(1) or scores)
    for resamples in (1, 500):
        sorts.clear()
        stratified_bootstrap(compute, labels, probs, resamples=resamples, seed=0)
        assert len(sorts) == 4  # one of them by the figures of the images themselves


def test_large_counts_do_not_overflow():
    """Squares of the number of images are above what 32 bits hold."""
    count = 100_000
    positive = np.arange(count) % 2 == 0
    counts = np.ones((1, count), dtype=np.int32)
    scores = np.arange(count, dtype=float)
    found = ranked.RankedScores(positive, scores).aucs(counts)
    assert found == pytest.approx([metrics.binary_auc(positive, scores)], abs=1e-15)
