"""Preparing batches for an encoder."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2.functional import center_crop

from hybridq.data import transforms
from hybridq.data.transforms import channel_statistics, prepare_images
from hybridq.errors import InvalidValueError

ZERO, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def batch(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_grey_is_repeated_and_normalised():
    images = batch(4, 8, 8, 1)
    out = prepare_images(images, image_size=8, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    assert out.shape == (4, 3, 8, 8)
    assert out.dtype == torch.float32
    grey = images[..., 0].astype(np.float64) / 255
    for channel, (mean, std) in enumerate(((0.1, 0.5), (0.2, 1.0), (0.3, 2.0))):
        np.testing.assert_allclose(out[:, channel], (grey - mean) / std, atol=1e-6)


def test_colours_stay_apart():
    images = batch(3, 6, 5, 3)
    out = prepare_images(torch.from_numpy(images), image_size=6, mean=ZERO, std=ONE)
    assert out.shape == (3, 3, 6, 6)
    same = prepare_images(batch(3, 6, 6, 3), image_size=6, mean=ZERO, std=ONE)
    np.testing.assert_allclose(same.permute(0, 2, 3, 1), batch(3, 6, 6, 3) / 255, atol=1e-6)


@pytest.mark.parametrize("target", [8, 20, 48])
def test_resize_agrees_with_pillow(target):
    images = batch(2, 24, 24, 1)
    out = prepare_images(images, image_size=target, mean=ZERO, std=ONE)
    for index in range(2):
        peer = Image.fromarray(images[index, ..., 0]).convert("F")
        peer = np.asarray(peer.resize((target, target), Image.Resampling.BILINEAR)) / 255
        np.testing.assert_allclose(out[index, 0], peer, atol=1e-5)


@pytest.mark.parametrize(("crop_pct", "whole"), [(0.5, 16), (0.8, 10), (0.92, 9)])
def test_the_centre_is_cut_from_the_resized_image(crop_pct, whole):
    images = batch(2, 24, 24, 1)
    out = prepare_images(images, image_size=8, mean=ZERO, std=ONE, crop_pct=crop_pct)
    full = prepare_images(images, image_size=whole, mean=ZERO, std=ONE)
    torch.testing.assert_close(out, center_crop(full, [8, 8]))


@pytest.mark.parametrize("crop_pct", [0.0, -0.5, 1.5])
def test_a_crop_that_is_no_part_is_refused(crop_pct):
    with pytest.raises(InvalidValueError, match="crop_pct"):
        prepare_images(batch(1, 8, 8, 1), image_size=8, mean=ZERO, std=ONE, crop_pct=crop_pct)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
def test_never_padded(height, width, target, channels):
    """A white image stays white to its edge, whatever the sizes."""
    images = np.full((2, height, width, channels), 255, np.uint8)
    out = prepare_images(images, image_size=target, mean=ZERO, std=ONE)
    np.testing.assert_allclose(out, 1.0, atol=1e-5)
    assert out.shape == (2, 3, target, target)


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_numpy(channels):
    images = batch(5000, 3, 4, channels)
    mean, std = channel_statistics(images)
    scaled = images.astype(np.float64).reshape(-1, channels) / 255
    np.testing.assert_allclose(mean, np.broadcast_to(scaled.mean(axis=0), 3))
    np.testing.assert_allclose(std, np.broadcast_to(scaled.std(axis=0), 3))
    out = prepare_images(images, image_size=4, mean=mean, std=std)
    assert torch.isfinite(out).all()


def test_normalised_images_have_mean_0_and_variance_1():
    images = batch(50, 16, 16, 3)
    mean, std = channel_statistics(images)
    out = prepare_images(images, image_size=16, mean=mean, std=std).double()
    torch.testing.assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim=(0, 2, 3)), torch.ones(3).double(), atol=1e-3, rtol=0)


def test_flat_images_can_be_normalised():
    mean, std = channel_statistics(np.zeros((2, 4, 4, 1), np.uint8))
    assert mean == ZERO
    assert std == (1 / 255,) * 3


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 4), np.uint8),
        np.zeros((2, 4, 4, 2), np.uint8),
        np.zeros((2, 4, 4, 1), np.float32),
    ],
)
def test_wrong_images(images):
    with pytest.raises(InvalidValueError, match="uint8 images"):
        prepare_images(images, image_size=4, mean=ZERO, std=ONE)
    with pytest.raises(InvalidValueError, match="uint8 images"):
        channel_statistics(images)


def test_wrong_options():
    images = batch(1, 4, 4, 1)
    with pytest.raises(InvalidValueError, match="image_size"):
        prepare_images(images, image_size=0, mean=ZERO, std=ONE)
    with pytest.raises(InvalidValueError, match="above 0"):
        prepare_images(images, image_size=4, mean=ZERO, std=ZERO)
    with pytest.raises(InvalidValueError, match="3 means"):
        prepare_images(images, image_size=4, mean=(0.0,), std=ONE)
    with pytest.raises(InvalidValueError, match="at least one image"):
        channel_statistics(images[:0])


@pytest.mark.parametrize("shape", [(300, 20, 30, 1), (7, 40, 50, 3), (1, 3000, 1200, 3)])
def test_statistics_count_in_parts_of_bytes(shape, monkeypatch):
    """Few large images are cut, and many small ones taken together: no copy is large."""
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    counted = []
    count = np.bincount

    def watch(part, minlength):
        counted.append(part.size)
        return count(part, minlength=minlength)

    expected = channel_statistics(images)
    monkeypatch.setattr(transforms, "PIXELS", 10_000)
    monkeypatch.setattr(np, "bincount", watch)
    assert channel_statistics(images) == expected
    assert max(counted) <= 10_000
    assert sum(counted) == images.size
    assert len(counted) <= images.size / 10_000 * 2 + 2 * shape[3]


def test_statistics_of_a_view_copy_no_more_than_a_part():
    whole = np.random.default_rng(1).integers(0, 256, (64, 256, 256, 4), dtype=np.uint8)
    view = whole[..., :3]  # not in one piece
    tracemalloc.start()
    channel_statistics(view)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * transforms.PIXELS
    assert channel_statistics(view) == channel_statistics(view.copy())
