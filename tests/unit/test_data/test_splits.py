"""Label fractions and splits: what holds for every data set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.data import UNLABELLED, ImageSplit, load_data, select_labels, split_by_group
from hybridq.errors import InvalidValueError

few = settings(max_examples=80, deadline=None)
fractions = st.floats(0.001, 1.0)


def make(labels, groups=None):
    labels = np.asarray(labels, dtype=np.int64)
    return ImageSplit(
        images=np.zeros((len(labels), 1, 1, 1), np.uint8),
        labels=labels,
        ids=tuple(map(str, range(len(labels)))),
        groups=None if groups is None else np.asarray(groups, dtype=np.str_),
    )


@st.composite
def labelled(draw, with_groups=False):
    """A split of 2 to 4 classes, each present, some images without a label."""
    classes = draw(st.integers(2, 4))
    labels = list(range(classes)) + draw(
        st.lists(st.integers(UNLABELLED, classes - 1), max_size=120)
    )
    labels = draw(st.permutations(labels))
    groups = None
    if with_groups:
        count = draw(st.integers(1, 40))
        groups = [str(draw(st.integers(0, count))) for _ in labels]
    return make(labels, groups), classes


@few
@given(labelled(), fractions, st.integers(0, 5))
def test_stratified(case, fraction, seed):
    split, classes = case
    chosen = select_labels(split, fraction, seed=seed, task="multiclass", num_classes=classes)
    assert chosen.dtype == np.intp
    assert np.all(np.diff(chosen) > 0)
    labels = split.labels[chosen]
    assert (labels != UNLABELLED).all()
    for index in range(classes):
        total = int((split.labels == index).sum())
        taken = int((labels == index).sum())
        assert taken >= 1
        assert abs(taken - fraction * total) <= 0.5 + 1e-9 or taken == 1


@few
@given(labelled(with_groups=True), fractions, st.integers(0, 5))
def test_groups_are_whole(case, fraction, seed):
    split, classes = case
    chosen = select_labels(split, fraction, seed=seed, task="multiclass", num_classes=classes)
    inside = np.zeros(len(split), dtype=bool)
    inside[chosen] = True
    known = split.labels != UNLABELLED
    assert not (inside & ~known).any()
    assert set(split.labels[chosen].tolist()) == set(range(classes))
    for group in set(split.groups.tolist()):
        members = (split.groups == group) & known
        assert inside[members].all() or not inside[members].any()


@few
@given(st.booleans().flatmap(lambda g: labelled(with_groups=g)), fractions, fractions)
def test_nested(case, one, other):
    split, classes = case
    small, large = (
        set(select_labels(split, f, seed=3, task="multiclass", num_classes=classes).tolist())
        for f in sorted((one, other))
    )
    assert small <= large


@few
@given(labelled(with_groups=True))
def test_fraction_one_is_everything_labelled(case):
    split, classes = case
    chosen = select_labels(split, 1.0, seed=0, task="multiclass", num_classes=classes)
    np.testing.assert_array_equal(chosen, np.flatnonzero(split.labels != UNLABELLED))


@few
@given(
    st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=60),
    fractions,
)
def test_multilabel_covers_every_label(rows, fraction):
    split = make(rows)
    chosen = select_labels(split, fraction, seed=1, task="multilabel", num_classes=3)
    there = split.labels.any(axis=0)
    assert (split.labels[chosen].any(axis=0) == there).all()
    if fraction == 1:
        assert len(chosen) == len(rows)


def test_multilabel_shares_are_near_the_fraction():
    rng = np.random.default_rng(0)
    labels = rng.random((3000, 6)) < np.array([0.4, 0.2, 0.1, 0.05, 0.02, 0.01])
    split = make(labels)
    chosen = select_labels(split, 0.1, seed=0, task="multilabel", num_classes=6)
    totals = split.labels.sum(axis=0)
    assert (np.abs(split.labels[chosen].sum(axis=0) - 0.1 * totals) < 3).all()
    assert len(chosen) == pytest.approx(300, rel=0.1)


def test_seeds_choose_differently():
    split = make(np.arange(200) % 2, [str(i // 4) for i in range(200)])
    chosen = {
        tuple(select_labels(split, 0.1, seed=seed, task="binary", num_classes=2).tolist())
        for seed in range(10)
    }
    assert len(chosen) == 10


def test_every_group_has_a_chance():
    """Over many seeds each group is drawn about as often as the fraction says."""
    split = make(np.arange(80) % 2, [str(i // 4) for i in range(80)])
    drawn = np.zeros(80)
    for seed in range(300):
        drawn[select_labels(split, 0.2, seed=seed, task="binary", num_classes=2)] += 1
    assert drawn.mean() == pytest.approx(60)
    assert drawn.min() > 30
    assert drawn.max() < 100


def test_groups_of_one_class_each_are_as_exact_as_images():
    labels = np.repeat([0, 1, 2], [300, 100, 20])
    split = make(labels, np.arange(420) // 2)
    for fraction in (0.05, 0.1, 0.3, 0.5):
        chosen = select_labels(split, fraction, seed=0, task="multiclass", num_classes=3)
        counts = np.bincount(labels[chosen], minlength=3)
        assert (np.abs(counts - fraction * np.array([300, 100, 20])) <= 2).all()


def test_bccd_fraction(real_data):
    data = load_data(str(real_data / "bccd_cells"), splits=("train",), image_size=8)
    train = data.splits["train"]
    totals = np.bincount(train.labels)
    for fraction in (0.05, 0.1, 0.2, 0.5):
        chosen = select_labels(train, fraction, seed=0, task="multiclass", num_classes=3)
        shares = np.bincount(train.labels[chosen]) / totals
        np.testing.assert_allclose(shares, fraction, atol=0.02)


@pytest.mark.parametrize("fraction", [0, 0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(InvalidValueError, match=r"labels must be in \(0, 1\]"):
        select_labels(make([0, 1]), fraction, seed=0, task="binary", num_classes=2)


@pytest.mark.parametrize(
    ("labels", "task", "words"),
    [
        ([0, 0, 0], "binary", "none of class 1"),
        ([UNLABELLED, UNLABELLED], "binary", "no labelled image"),
        ([0, 1, 7], "binary", "got 7"),
        ([0, 1, -2], "binary", "got -2"),
        ([[0, 1], [1, 0]], "binary", "shape"),
        ([0, 1], "multilabel", "shape"),
        ([[0, 2]], "multilabel", "0 or 1, got 2"),
    ],
)
def test_faulty_labels(labels, task, words):
    with pytest.raises(InvalidValueError, match=words):
        select_labels(make(labels), 0.5, seed=0, task=task, num_classes=2)


def test_negative_seed():
    with pytest.raises(InvalidValueError, match="seed"):
        select_labels(make([0, 1]), 0.5, seed=-1, task="binary", num_classes=2)


SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


@few
@given(labelled(with_groups=True), st.integers(0, 5))
def test_split_by_group_is_a_partition(case, seed):
    split, classes = case
    more = [f"more {index}" for index in range(30)]  # so that no split is left empty
    labels = np.concatenate([split.labels, np.arange(30) % classes])
    groups = np.concatenate([split.groups, more])
    dealt = split_by_group(labels, groups, SHARES, seed=seed, num_classes=classes)
    together = np.concatenate(list(dealt.values()))
    assert sorted(together.tolist()) == list(range(len(labels)))
    of = {name: set(groups[indices].tolist()) for name, indices in dealt.items()}
    assert len(set.union(*of.values())) == sum(map(len, of.values()))
    assert set(range(classes)) <= set(labels[dealt["train"]].tolist())


@pytest.mark.parametrize("size", [1, 5])
def test_split_by_group_is_stratified(size):
    labels = np.repeat([0, 1], [400, 100])
    groups = np.array([str(i // size) for i in range(500)])
    dealt = split_by_group(labels, groups, SHARES, seed=0, num_classes=2)
    for name, indices in dealt.items():
        expected = SHARES[name] * np.array([400, 100])
        assert (np.abs(np.bincount(labels[indices], minlength=2) - expected) <= size).all()
    other = split_by_group(labels, groups, SHARES, seed=1, num_classes=2)
    assert any((dealt[name] != other[name]).any() for name in dealt)
    none = split_by_group(labels, None, SHARES, seed=0, num_classes=2)
    assert [len(indices) for indices in none.values()] == [350, 50, 100]


def test_split_by_group_without_labels():
    with pytest.raises(InvalidValueError, match="got none"):
        split_by_group(np.array([UNLABELLED]), None, SHARES, seed=0, num_classes=2)
