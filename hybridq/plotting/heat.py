"""Images beside themselves under a map of heat, as PNG."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHARE = 0.7
"""The share of the colour where the heat is greatest; the rest is the image in grey."""
GAP = 4
"""Pixels between both."""


def beside_heat(image: NDArray[np.uint8], heat: NDArray[Any], *, side: int) -> bytes:
    """Draw an image, and at its right the same in grey under its heat; return a PNG file.

    Args:
        image: `(height, width, channels)`, grey or in colour.
        heat: `(height, width)`, of any size, from 0, plain grey, to 1, yellow.
        side: Height and width of each of the two, in pixels.
    """
    from matplotlib import colormaps

    colour = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    size, method = (side, side), Image.Resampling.BILINEAR
    plain = np.asarray(Image.fromarray(colour).resize(size, method), dtype=np.float64)
    resized = Image.fromarray(heat.astype(np.float32)).resize(size, method)
    strength = np.asarray(resized).clip(0, 1)
    warm = colormaps["inferno"](strength)[..., :3] * 255
    share = SHARE * strength[..., None]
    mixed = (1 - share) * plain.mean(axis=2, keepdims=True) + share * warm
    both = np.concatenate([plain, np.full((side, GAP, 3), 128.0), mixed], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(both.round().astype(np.uint8)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def data_address(png: bytes) -> str:
    """Write a PNG file as a `data:` address, which a page holds in itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
