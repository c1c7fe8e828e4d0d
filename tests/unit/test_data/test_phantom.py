"""The generator of ultrasound-like images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hybridq.data import load_data, make_phantom
from hybridq.data.sources.phantom import _speckle
from hybridq.errors import InvalidValueError


def test_counts_and_form():
    data = load_data("phantom,size=24,count=200,balance=0.25,seed=3")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 120,
        "val": 30,
        "test": 50,
    }
    for split in data.splits.values():
        assert split.images.shape[1:] == (24, 24, 1)
        assert split.images.dtype == np.uint8
        assert split.labels.mean() == pytest.approx(0.25, abs=0.02)
        assert len(set(split.ids)) == len(split)
    assert (data.task, data.positive) == ("binary", 1)
    assert data.class_names == ("no lesion", "lesion")


def test_seeds():
    one, again, other = (make_phantom(count=40, seed=seed) for seed in (5, 5, 6))
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(one.splits[name].images, again.splits[name].images)
        assert (one.splits[name].images != other.splits[name].images).mean() > 0.9
    everything = np.concatenate([split.images for split in one.splits.values()])
    assert len({image.tobytes() for image in everything}) == 40


def test_splits_do_not_depend_on_each_other():
    whole = make_phantom(count=40, seed=1)
    part = make_phantom(count=40, seed=1, splits=("test",))
    assert list(part.splits) == ["test"]
    np.testing.assert_array_equal(part.splits["test"].images, whole.splits["test"].images)


def test_both_classes_even_when_one_is_rare():
    for balance in (0.001, 0.999):
        for split in make_phantom(count=20, balance=balance).splits.values():
            assert set(split.labels.tolist()) == {0, 1}


def test_speckle_of_one_look_is_nearly_rayleigh(monkeypatch):
    """The envelope of one look has mean / std = sqrt(pi / (4 - pi)) = 1.91 (Wagner 1983)."""
    monkeypatch.setattr("hybridq.data.sources.phantom._LOOKS", 1)
    echo = _speckle(64, 64, np.random.default_rng(0), np.ones((64, 64, 64)))
    assert echo.mean() / echo.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.03)
    assert (echo**2).mean() == pytest.approx(1, rel=0.05)


def test_images_use_the_grey_scale():
    images = make_phantom(count=100).splits["train"].images
    assert 80 < images.mean() < 180
    assert (images == 0).mean() < 0.1
    assert (images == 255).mean() < 0.1
    smooth = ndimage.gaussian_filter(images[..., 0].astype(float), (0, 1.5, 1.5))
    assert (images[..., 0] - smooth).std() > 10  # speckle is there


@pytest.mark.parametrize(("size", "seeds"), [(32, 5), (64, 2)])
def test_raw_pixels_do_not_give_it_away(size, seeds):
    """A linear probe on raw pixels stays below 0.85 AUC, whatever the seed."""
    for seed in range(seeds):
        data = make_phantom(size=size, seed=seed, splits=("train", "test"))
        train, test = (
            (split.images.reshape(len(split), -1) / 255, split.labels)
            for split in data.splits.values()
        )
        for strength in (0.1, 0.001):
            probe = LogisticRegression(C=strength, max_iter=500).fit(*train)
            auc = roc_auc_score(test[1], probe.decision_function(test[0]))
            assert auc < 0.85
        brightness = roc_auc_score(test[1], -test[0].mean(axis=1))
        assert brightness < 0.75


@pytest.mark.parametrize(
    "wrong",
    [{"count": 19}, {"size": 8}, {"size": 1024}, {"balance": 0}, {"balance": 1}, {"seed": -1}],
)
def test_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(InvalidValueError, match=name):
        make_phantom(**wrong)


def test_textures_differ_in_their_grain_alone():
    """Mean and spread of the grey values say nothing of the class; neighbouring pixels do."""
    data = make_phantom(count=600, finding="texture")
    assert data.class_names == ("fine texture", "coarse texture")
    split = data.splits["train"]
    images = split.images[..., 0].astype(float)
    for figure in (images.mean(axis=(1, 2)), images.std(axis=(1, 2))):
        assert abs(roc_auc_score(split.labels, figure) - 0.5) < 0.12
    smooth = ndimage.gaussian_filter(images, (0, 1.5, 1.5))
    share = smooth.std(axis=(1, 2)) / images.std(axis=(1, 2))
    assert roc_auc_score(split.labels, share) > 0.9


def test_raw_pixels_say_nothing_of_textures():
    data = make_phantom(count=1000, finding="texture", splits=("train", "test"))
    train, test = (
        (split.images.reshape(len(split), -1) / 255, split.labels) for split in data.splits.values()
    )
    model = LogisticRegression(C=0.001, max_iter=500).fit(*train)
    assert abs(roc_auc_score(test[1], model.decision_function(test[0])) - 0.5) < 0.1


def test_a_finding_that_is_none():
    with pytest.raises(InvalidValueError, match=r"one of lesion, texture .* got 'tumour'"):
        load_data("phantom,finding=tumour")
