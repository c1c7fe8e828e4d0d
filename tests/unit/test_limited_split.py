"""`--limit N` is N images, of every class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.data.dataset import ImageData, ImageSplit
from hybridq.evaluation.evaluate import limited_split


def data_of(labels):
    labels = np.asarray(labels)
    count = len(labels)
    split = ImageSplit(
        np.zeros((count, 1, 1, 1), dtype=np.uint8), labels, tuple(map(str, range(count)))
    )
    return ImageData("some", "multiclass", ("a", "b", "c"), {"test": split})


@settings(deadline=None, max_examples=80)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=5),
    limit=st.integers(1, 200),
    seed=st.integers(0, 3),
)
def test_exactly_so_many_of_every_class(sizes, limit, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    data = data_of(labels)
    found = limited_split(data, "test", limit, seed=seed)
    assert len(found) == len(set(found.ids)) == min(limit, len(labels))
    counts = np.bincount(found.labels, minlength=len(sizes))
    assert (counts <= sizes).all()
    if limit >= len(sizes):
        assert (counts >= 1).all()
    if limit < len(labels):
        shares = np.array(sizes) * limit / len(labels)
        assert (abs(counts - shares) <= len(sizes)).all()
    again = limited_split(data, "test", limit, seed=seed)
    assert found.ids == again.ids


@pytest.mark.parametrize("limit", [1, 7])
def test_several_labels(limit):
    labels = np.random.default_rng(0).integers(0, 2, (20, 3))
    assert len(limited_split(data_of(labels), "test", limit, seed=0)) == limit
