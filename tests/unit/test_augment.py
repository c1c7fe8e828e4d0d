"""Random views: their shape and range, what repeats them, and what must never happen to them."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch

from hybridq.config import AugmentConfig
from hybridq.models.ssl.augment import Augment
from hybridq.models.ssl.hue import shift_hue
from hybridq.training.seeding import derive_seed, step_generator

IDENTITY = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
EVERYTHING = AugmentConfig(
    vertical_flip=True, rotation=30.0, jitter=0.4, blur=1.0, noise=0.05, erase=0.5
)
NOTHING = AugmentConfig(
    crop_min=1.0, horizontal_flip=False, rotation=0.0, jitter=0.0, blur=0.0, noise=0.0, erase=0.0
)


def grey(count: int = 6, size: int = 24) -> torch.Tensor:
    drawn = np.random.default_rng(0).integers(0, 256, (count, 1, size, size), dtype=np.uint8)
    return torch.from_numpy(drawn)


def colour(count: int = 6, size: int = 24) -> torch.Tensor:
    drawn = np.random.default_rng(1).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    return torch.from_numpy(drawn)


@pytest.mark.parametrize("size", [16, 24, 64])
@pytest.mark.parametrize("images", [grey(), colour()], ids=["grey", "colour"])
@pytest.mark.parametrize("config", [AugmentConfig(), EVERYTHING], ids=["default", "everything"])
def test_shape_and_type(config, images, size):
    augment = Augment(config, image_size=size, colour=images.shape[1] == 3, **IDENTITY)
    views = augment(images)
    assert views.shape == (6, 3, size, size)
    assert views.dtype == torch.float32
    assert torch.isfinite(views).all()
    assert not views.requires_grad


@pytest.mark.parametrize("crop_min", [0.5, 0.7, 0.9])
def test_mean_side_is_how_much_training_enlarges(crop_min):
    """On a ramp a crop is seen by its slope: the part of the width that it keeps.

    A little less than drawn: sides are whole pixels, rounded down, and crops that are wider than
    the image are drawn again.
    """
    config = NOTHING.model_copy(update={"crop_min": crop_min})
    ramp = torch.arange(0, 256, 4, dtype=torch.uint8).expand(2000, 1, 64, 64)
    across, down = (
        Augment(config, image_size=64, colour=False, **IDENTITY)(images)[:, 0]
        for images in (ramp, ramp.transpose(2, 3))
    )
    whole = 63 * 4 / 255
    width = (across[:, :, -1] - across[:, :, 0]).mean() / whole
    height = (down[:, -1] - down[:, 0]).mean() / whole
    assert float(width + height) / 2 == pytest.approx(config.mean_side, abs=0.04)


def test_range_without_noise_is_that_of_an_image():
    config = EVERYTHING.model_copy(update={"noise": 0.0})
    augment = Augment(config, image_size=24, colour=True, **IDENTITY)
    for _ in range(5):
        views = augment(colour())
        assert views.min() >= -1e-5
        assert views.max() <= 1 + 1e-5


def test_images_are_normalised():
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)
    with step_generator(1):
        plain = Augment(AugmentConfig(), image_size=24, colour=True, **IDENTITY)(colour())
    with step_generator(1):
        views = Augment(AugmentConfig(), image_size=24, colour=True, mean=mean, std=std)(colour())
    expected = (plain - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(views, expected)


def test_an_augmentation_of_nothing_but_a_full_crop_keeps_grey_levels():
    """A crop of the whole area may still stretch, which a constant image does not show."""
    images = torch.full((4, 1, 16, 16), 51, dtype=torch.uint8)
    views = Augment(NOTHING, image_size=16, colour=False, **IDENTITY)(images)
    torch.testing.assert_close(views, torch.full_like(views, 0.2))


def test_repeatable_inside_step_generator():
    augment = Augment(EVERYTHING, image_size=24, colour=True, **IDENTITY)

    def view(*position):
        with step_generator(*position):
            return augment(colour())

    assert torch.equal(view(0, 3, 1), view(0, 3, 1))
    assert not torch.equal(view(0, 3, 1), view(0, 3, 2))
    assert not torch.equal(view(0, 3, 1), view(1, 3, 1))


@pytest.mark.parametrize("count", [1, 2, 4, 32])  # 4 is also the length of the order of jitters
@pytest.mark.parametrize("images", [grey, colour])
def test_views_are_those_of_kornia(images, count):
    """The steps work on the drawn images alone; Kornia works on all and takes the rest back."""
    config = EVERYTHING.model_copy(update={"blur": 0.3})
    batch = images(count, 64)
    augment = Augment(config, image_size=64, colour=batch.shape[1] == 3, **IDENTITY)
    for seed in range(5):
        with step_generator(seed):
            plain = augment.steps(batch / 255)
        with step_generator(seed):
            views = augment(batch)
        torch.testing.assert_close(views, plain.expand_as(views), rtol=0, atol=1e-6)


def test_two_views_differ_for_every_image():
    augment = Augment(AugmentConfig(), image_size=24, colour=False, **IDENTITY)
    with step_generator(0):
        first, second = augment(grey()), augment(grey())
    assert ((first - second).abs().amax(dim=(1, 2, 3)) > 1e-3).all()


def test_each_image_is_changed_on_its_own():
    images = grey(1).expand(8, -1, -1, -1)
    with step_generator(0):
        views = Augment(AugmentConfig(), image_size=24, colour=False, **IDENTITY)(images)
    gaps = torch.cdist(views.flatten(1), views.flatten(1)) + torch.eye(8)
    assert gaps.min() > 1e-3


def test_the_global_generator_is_restored():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    augment = Augment(EVERYTHING, image_size=24, colour=True, **IDENTITY)
    assert torch.equal(torch.get_rng_state(), before)
    with step_generator(1, 2):
        augment(colour())
        assert not torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_is_restored_after_a_failure():
    torch.manual_seed(5)
    before = torch.get_rng_state()

    def fail():
        with step_generator(1):
            torch.rand(3)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_derived_seeds_do_not_collide():
    seeds = {
        derive_seed(s, p, e, b)
        for s in range(4)
        for p in range(4)
        for e in range(20)
        for b in range(20)
    }
    assert len(seeds) == 4 * 4 * 20 * 20
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(1, 2) != derive_seed(2, 1)


@pytest.mark.parametrize(
    "config",
    [AugmentConfig(), EVERYTHING, AugmentConfig(noise=0.2), AugmentConfig(erase=1.0)],
    ids=["default", "everything", "noise", "erase"],
)
@pytest.mark.parametrize("size", [24, 64])
def test_grey_images_stay_grey(config, size):
    views = Augment(config, image_size=size, colour=False, **IDENTITY)(grey(16, size))
    torch.testing.assert_close(views[:, 0], views[:, 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(views[:, 0], views[:, 2], rtol=0, atol=1e-5)


def test_noise_has_the_strength_it_is_told():
    images = torch.full((400, 1, 16, 16), 128, dtype=torch.uint8)
    config = NOTHING.model_copy(update={"noise": 0.1})
    with step_generator(0):
        views = Augment(config, image_size=16, colour=False, **IDENTITY)(images)
    spread = views[:, 0].flatten(1).std(dim=1)
    noisy = spread > 0.01
    assert 0.4 < noisy.float().mean() < 0.6
    assert spread[noisy].mean().item() == pytest.approx(0.1, rel=0.05)


def test_uncovered_corners_are_not_black():
    """A rotated white image stays white: what a rotation uncovers is the mirrored image."""
    images = torch.full((32, 1, 24, 24), 255, dtype=torch.uint8)
    config = NOTHING.model_copy(update={"rotation": 180.0})
    views = Augment(config, image_size=24, colour=False, **IDENTITY)(images)
    torch.testing.assert_close(views, torch.ones_like(views), rtol=0, atol=1e-4)


def test_rotation_does_rotate():
    images = torch.zeros(32, 1, 24, 24, dtype=torch.uint8)
    images[:, :, :, 12:] = 255
    config = NOTHING.model_copy(update={"rotation": 90.0})
    with step_generator(0):
        views = Augment(config, image_size=24, colour=False, **IDENTITY)(images)
    assert views.std(dim=0).max() > 0.1


@pytest.mark.parametrize("flip", ["horizontal_flip", "vertical_flip"])
def test_half_of_the_images_are_mirrored(flip):
    axis = 3 if flip == "horizontal_flip" else 2
    images = torch.zeros(400, 1, 16, 16, dtype=torch.uint8)
    images.narrow(axis, 0, 4).fill_(255)
    config = NOTHING.model_copy(update={flip: True})
    with step_generator(0):
        views = Augment(config, image_size=16, colour=False, **IDENTITY)(images)
    mirrored = views.narrow(axis, 12, 4).mean(dim=(1, 2, 3)) > 0.5
    assert 0.4 < mirrored.float().mean() < 0.6


@pytest.mark.parametrize(("side", "blurred"), [(28, False), (63, False), (64, True)])
def test_small_images_are_never_blurred(side, blurred):
    """What counts is the size of the image, not that to which the encoder's input enlarges it."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4, 1, side, side), dtype=torch.uint8, generator=generator)
    with_blur = NOTHING.model_copy(update={"blur": 1.0})

    def views(config):
        with step_generator(0):
            return Augment(config, image_size=2 * side, colour=False, **IDENTITY)(images)

    assert torch.equal(views(with_blur), views(NOTHING)) is not blurred


@pytest.mark.parametrize("size", [24, 64])
@pytest.mark.parametrize(
    "config",
    [AugmentConfig(), EVERYTHING.model_copy(update={"noise": 0.0})],
    ids=["default", "everything"],
)
def test_a_grey_image_has_the_same_views_as_one_channel_and_as_three(config, size):
    """Hue and saturation of a grey image with three channels change nothing."""
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)
    images = grey(16, size)
    views = []
    for stored in (images, images.expand(-1, 3, -1, -1)):
        augment = Augment(config, image_size=size, mean=mean, std=std, colour=False)
        with step_generator(3):
            views.append(augment(stored))
    torch.testing.assert_close(views[0], views[1])
    by_channel = Augment(
        config.model_copy(update={"jitter": 0.0}), image_size=size, colour=True, **IDENTITY
    )
    as_one = Augment(
        config.model_copy(update={"jitter": 0.0}), image_size=size, colour=False, **IDENTITY
    )
    with step_generator(4):
        expected = by_channel(images)
    with step_generator(4):
        torch.testing.assert_close(as_one(images), expected, rtol=0, atol=1e-5)


def test_hue_is_shifted_as_by_the_standard_library():
    angles = torch.tensor([-3.0, -1.0, -0.1, 0.0, 0.2, 1.5, math.pi])
    values = torch.linspace(0, 1, 5)
    pixels = torch.cartesian_prod(values, values, values)  # greys, black, white and ties too
    images = pixels.T.reshape(1, 3, 5, 25).expand(len(angles), -1, -1, -1)
    found = shift_hue(images, angles).flatten(2)
    for angle, shifted in zip(angles.tolist(), found, strict=True):
        expected = []
        for pixel in pixels.tolist():
            hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
            turned = (hue + angle / (2 * math.pi)) % 1
            expected.append(colorsys.hsv_to_rgb(turned, saturation, value))
        torch.testing.assert_close(shifted.T, torch.tensor(expected), rtol=0, atol=2e-6)


def test_colour_views_are_those_of_kornia(monkeypatch):
    """The faster shift of hue is in use, and draws and results are Kornia's."""
    import kornia.enhance

    from hybridq.models.ssl import augment as module

    calls = []

    def views(shift):
        monkeypatch.setattr(module, "shift_hue", shift)
        augment = Augment(EVERYTHING, image_size=24, colour=True, **IDENTITY)
        with step_generator(5):
            return augment(colour())

    def counted(images, angles):
        calls.append(len(images))
        return shift_hue(images, angles)

    torch.testing.assert_close(views(counted), views(kornia.enhance.adjust_hue), rtol=0, atol=1e-5)
    assert len(calls) == 1
