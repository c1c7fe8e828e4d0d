"""Generate speckled, ultrasound-like images with and without a lesion.

Each image is the log-compressed envelope of a complex Gaussian scatterer field that is scaled by
tissue echogenicity and blurred by a point spread function, which gives fully developed (Rayleigh)
speckle: Wagner et al., "Statistics of speckle in ultrasound B-scans", IEEE Trans. Sonics
Ultrasonics 30, 156 (1983). It is a test object, not a model of any organ.

An image with a lesion holds a dark region, taller than wide, with an irregular margin and a
shadow below it. One without holds, in most cases, a dark region just as large and just as faint,
but smooth and wider than tall. Both hold layers, bright interfaces, shadows from poor contact and
fat lobules, so that dark pixels alone tell little. Another finding is the texture of the tissue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import SPLITS, ImageData, ImageSplit
from hybridq.data.sources.entry import Asked
from hybridq.errors import InvalidValueError
from hybridq.utils.limits import check_memory

_SHARES = {"train": 0.60, "val": 0.15, "test": 0.25}
_CHUNK = 64  # images made at once; part of what a seed means
_DYNAMIC_RANGE = 52.0  # decibel from black to white
_LOOKS = 2  # speckle patterns averaged
_MIN_COUNT = 20
_GRAINS = ((0.02, 0.03), (0.05, 0.08))  # standard deviation of a grain, of the image's side
_STRENGTH = (3.0, 6.0)  # decibel, of a texture

CLASSES = {
    "lesion": ("no lesion", "lesion"),
    "texture": ("fine texture", "coarse texture"),
}
"""Names of the classes, by what class 1 has."""

Array = NDArray[np.float64]


def load(asked: Asked) -> ImageData:
    """Answer a request by `make_phantom`."""
    return make_phantom(**asked.fields, splits=asked.splits)


def make_phantom(
    *,
    count: int = 600,
    size: int = 32,
    balance: float = 0.5,
    seed: int = 0,
    finding: str = "lesion",
    splits: Sequence[str] = SPLITS,
) -> ImageData:
    """Make a binary data set of grey images, by default `no lesion` (0) and `lesion` (1).

    With `finding="texture"` it is `fine texture` (0) and `coarse texture` (1): tissue whose echo
    pattern is the same everywhere, as strong in both classes, but of larger grains in one. The
    mean image of both classes is the same, so that no weighted sum of pixels tells them apart.

    The splits are train 60 %, val 15 % and test 25 %, each from its own random stream. The same
    arguments give the same images, up to rounding in the platform's arithmetic.

    Args:
        count: Number of images in all, at least 20.
        size: Width and height in pixels, from 16 to 512.
        balance: Share of images of class 1, in (0, 1); every split has both classes.
        seed: Seed of all randomness, from 0 to 2**64 - 1.
        finding: What class 1 has: `lesion` or `texture`.
        splits: Which of train, val and test to make; each is the same whatever the others.

    Raises:
        InvalidValueError: If an argument is out of range, or the images do not fit in memory.
    """
    _check("count", count, _MIN_COUNT <= count <= 1_000_000, f"from {_MIN_COUNT} to 1000000")
    _check("size", size, 16 <= size <= 512, "from 16 to 512 pixels")
    _check("balance", balance, 0 < balance < 1, "in (0, 1)")
    _check("seed", seed, 0 <= seed < 2**64, "from 0 to 2**64 - 1")
    if finding not in CLASSES:
        raise InvalidValueError(
            f"Expected `finding` one of {', '.join(CLASSES)} for phantom, got {finding!r}: write "
            "phantom,finding=texture."
        )
    check_memory(
        count * size**2,
        f"{count} phantom images of {size} pixels",
        "write a smaller count or size in phantom,count=600,size=32",
    )
    counts = {name: round(share * count) for name, share in _SHARES.items()}
    counts["train"] = count - counts["val"] - counts["test"]
    made = {
        name: _make_split(
            name, counts[name], size, balance, (seed, list(_SHARES).index(name)), RENDERERS[finding]
        )
        for name in splits
    }
    return ImageData(
        name="phantom",
        task="binary",
        class_names=CLASSES[finding],
        splits=made,
        licence="made by this program, free of rights",
        positive=1,
        notes=("phantom: synthetic images, which say nothing about any patient.",),
    )


def _check(name: str, value: float, good: bool, wanted: str) -> None:
    if not good:
        raise InvalidValueError(
            f"Expected `{name}` {wanted} for phantom, got {value}: write phantom,{name}=VALUE."
        )


def _make_split(
    name: str,
    count: int,
    size: int,
    balance: float,
    entropy: tuple[int, int],
    render: Renderer,
) -> ImageSplit:
    rng = np.random.default_rng([*entropy, 0])
    lesions = min(max(round(balance * count), 1), count - 1)
    labels = rng.permutation((np.arange(count) < lesions).astype(np.int64))
    images = np.empty((count, size, size, 1), dtype=np.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        stream = np.random.default_rng([*entropy, 1 + start // _CHUNK])
        images[part, ..., 0] = render(labels[part].astype(bool), size, stream)
    return ImageSplit(
        images=images, labels=labels, ids=tuple(f"{name}_{index}" for index in range(count))
    )


def _render_lesions(
    lesion: NDArray[np.bool_], size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Render images `(count, size, size)`, with a lesion where `lesion` is true."""
    count = len(lesion)
    axis = (np.arange(size) + 0.5) / size
    depth, across = axis[:, None], axis[None, :]
    level = _tissue(count, depth, across, size, rng)
    level += _interfaces(count, depth, across, rng)
    for _ in range(2):  # fat lobules, as dark as many a lesion
        there = rng.random(count) < 0.6
        level += (
            _region(count, depth, across, rng, irregular=np.zeros(count)) * there[:, None, None]
        )
    plain = rng.random(count) < 0.9
    level += (
        _region(count, depth, across, rng, irregular=lesion.astype(float))
        * (lesion | plain)[:, None, None]
    )
    level -= _contact_shadows(count, across, rng)
    level -= _uniform(rng, count, 4.0, 14.0) * depth  # attenuation left after gain compensation
    return _shown(level, size, rng, gain=5.0)


def _render_textures(
    coarse: NDArray[np.bool_], size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Render images `(count, size, size)` of even tissue, coarse where `coarse` is true.

    Grains have a standard deviation of 2 % to 3 % of the image's side, or of 5 % to 8 %.
    """
    level = np.empty((len(coarse), size, size))
    for image, is_coarse in zip(level, coarse, strict=True):
        grain = size * rng.uniform(*_GRAINS[int(is_coarse)])
        pattern = _smooth(rng.standard_normal((1, size, size)), (grain, grain))[0]
        image[:] = rng.uniform(*_STRENGTH) * pattern / pattern.std()
    axis = (np.arange(size) + 0.5) / size
    level -= _uniform(rng, len(coarse), 4.0, 14.0) * axis[:, None]
    return _shown(level, size, rng, gain=2.0)


def _shown(level: Array, size: int, rng: np.random.Generator, *, gain: float) -> NDArray[np.uint8]:
    """Show tissue of echogenicity `level`, in decibel, at a gain of up to `gain` off the usual."""
    count = len(level)
    echo = _speckle(count, size, rng, 10 ** (level / 20))
    loudness = 20 * np.log10(echo + 1e-4) + _uniform(rng, count, -gain, gain)
    grey = (loudness + 0.68 * _DYNAMIC_RANGE) / _DYNAMIC_RANGE
    return np.rint(255 * np.clip(grey, 0.0, 1.0)).astype(np.uint8)


Renderer = Callable[[NDArray[np.bool_], int, np.random.Generator], NDArray[np.uint8]]
"""Renders images from which of them are of class 1, their side in pixels, and a generator."""

RENDERERS: dict[str, Renderer] = {"lesion": _render_lesions, "texture": _render_textures}
"""What is rendered, by what class 1 has."""


def _uniform(rng: np.random.Generator, count: int, low: float, high: float) -> Array:
    """Draw one number for each image, `(count, 1, 1)`."""
    return rng.uniform(low, high, (count, 1, 1))


def _smooth(field: NDArray[Any], sigma: tuple[float, float]) -> NDArray[Any]:
    from scipy.ndimage import gaussian_filter

    smooth: NDArray[Any] = gaussian_filter(field, (0.0, *sigma), mode="reflect")
    return smooth


def _tissue(count: int, depth: Array, across: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw layers with wavy borders and a slow texture, in decibel."""
    level: Array = np.zeros((count, depth.size, across.size))
    border = _uniform(rng, count, 0.04, 0.10)
    for thickness in ((0.10, 0.30), (0.25, 0.60), (0.10, 0.30)):
        wave = _uniform(rng, count, 0.0, 0.04) * np.sin(
            2 * np.pi * (_uniform(rng, count, 0.4, 1.6) * across + _uniform(rng, count, 0.0, 1.0))
        )
        below = 1 / (1 + np.exp(-(depth - border - wave) / 0.01))
        level += _uniform(rng, count, -7.0, 7.0) * below
        level += 10.0 * np.exp(-(((depth - border - wave) / 0.02) ** 2))  # the border itself
        border = border + _uniform(rng, count, *thickness)
    texture = _smooth(rng.standard_normal(level.shape), (0.03 * size, 0.08 * size))
    level += 3.0 * texture / texture.std()
    return level


def _interfaces(count: int, depth: Array, across: Array, rng: np.random.Generator) -> Array:
    """Draw a few short, bright, slanted lines (connective tissue), in decibel."""
    level: Array = np.zeros((count, depth.size, across.size))
    for _ in range(3):
        x = across - _uniform(rng, count, 0.0, 1.0)
        y = depth - _uniform(rng, count, 0.1, 0.95) - _uniform(rng, count, -0.4, 0.4) * x
        length = _uniform(rng, count, 0.08, 0.22)
        level += _uniform(rng, count, 0.0, 12.0) * np.exp(-((y / 0.018) ** 2) - (x / length) ** 2)
    return level


def _contact_shadows(count: int, across: Array, rng: np.random.Generator) -> Array:
    """Draw vertical dark bands where the probe touches badly, in decibel."""
    bands: Array = np.zeros((count, 1, across.size))
    for _ in range(2):
        x = (across - _uniform(rng, count, 0.0, 1.0)) / _uniform(rng, count, 0.04, 0.14)
        strength = _uniform(rng, count, -8.0, 12.0).clip(0.0, None)
        bands += strength * np.exp(-(x**2))
    return bands


def _region(
    count: int, depth: Array, across: Array, rng: np.random.Generator, *, irregular: Array
) -> Array:
    """Draw a dark region at a random place, in decibel.

    Args:
        count: Number of images.
        depth: rows, `(height, 1)`, from 0 to 1.
        across: columns, `(1, width)`, from 0 to 1.
        rng: Generator of place, size and form.
        irregular: `(count,)`; 1 for a lesion (tall, irregular, shadowing), 0 for a smooth, wide
            lobule, with slight enhancement below it.
    """
    rough = irregular[:, None, None]
    x = across - _uniform(rng, count, 0.2, 0.8)
    y = depth - _uniform(rng, count, 0.25, 0.75)
    stretch = np.exp(0.32 * (2 * rough - 1) + _uniform(rng, count, -0.1, 0.1))  # height / width
    tilt = _uniform(rng, count, -0.3, 0.3)
    u = (x * np.cos(tilt) + y * np.sin(tilt)) * np.sqrt(stretch)
    v = (y * np.cos(tilt) - x * np.sin(tilt)) / np.sqrt(stretch)
    angle = np.arctan2(v, u)
    radius = _uniform(rng, count, 0.11, 0.20) * np.ones_like(angle)
    waves = np.zeros_like(angle)
    for order in range(3, 8):
        amplitude = _uniform(rng, count, 0.05, 0.16)
        waves += amplitude * np.cos(order * angle + _uniform(rng, count, 0.0, 2 * np.pi))
    distance = np.hypot(u, v) - radius * (1 + (0.1 + 0.9 * rough) * waves)
    inside = 1 / (1 + np.exp((distance / 0.015).clip(-40, 40)))
    below = 1 / (1 + np.exp(-((y - 0.05) / 0.04).clip(-40, 40)))
    column = np.exp(-((x / (0.8 * radius)) ** 2)) * below * (1 - inside)
    shadow = -6.0 * rough + 3.0 * (1 - rough)
    level: Array = shadow * column - _uniform(rng, count, 10.0, 18.0) * inside
    return level


def _speckle(count: int, size: int, rng: np.random.Generator, amplitude: Array) -> Array:
    """Draw the envelope of blurred scatterers, `(count, size, size)`, mean square 1 at amplitude 1.

    Several looks with independent speckle are averaged, as a scanner's spatial compounding does.
    """
    width = max(0.55, 0.010 * size)
    blur = (width, 1.4 * width)  # axial, lateral; standard deviations in pixels
    gain = _smooth(rng.standard_normal((8, size, size)), blur).std()
    power = np.zeros_like(amplitude)
    for _ in range(2 * _LOOKS):  # real and imaginary part of each look
        power += _smooth(rng.standard_normal(amplitude.shape) * amplitude, blur) ** 2
    envelope: Array = np.sqrt(power / (2 * _LOOKS)) / gain
    return envelope
