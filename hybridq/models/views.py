"""Views of an image whose probabilities are averaged: test-time augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import Tensor
from torch.nn import functional

Views = Literal["one", "flip", "shift", "zoom"]

VIEWS: dict[str, str] = {
    "one": "the image as it is",
    "flip": "mean over 2 views, the image and its mirror image",
    "shift": "mean over 10 views, moved and mirrored",
    "zoom": "mean over 12 views, moved, mirrored and enlarged",
}
"""What the choices of views are called in words."""

PART = 28
"""A view is moved by this part of the side, and enlarged by cutting twice as much off each edge."""


def views_of(images: Tensor, views: Views) -> Iterator[Tensor]:
    """Yield the images as they are, and then the other views, each contains those before it.

    `flip` adds the mirror image (2 views), `shift` moves both by 1/28 of the side in four
    directions, the edge mirrored (10 views), `zoom` adds both with 1/14 cut off each edge and
    enlarged again (12 views).

    Args:
        images: `(batch, channels, size, size)`, as the encoder takes them.
        views: `one`, `flip`, `shift` or `zoom`.

    Shape: each view is like `images`.
    """
    plain = [images]
    size = images.shape[-1]
    if views in ("shift", "zoom"):
        step = max(1, round(size / PART))
        padded = functional.pad(images, (step,) * 4, mode="reflect")
        for top, left in ((0, step), (2 * step, step), (step, 0), (step, 2 * step)):
            plain.append(padded[..., top : top + size, left : left + size])
    if views == "zoom":
        edge = max(1, round(2 * size / PART))
        inner = images[..., edge:-edge, edge:-edge]
        plain.append(
            functional.interpolate(inner, size=(size, size), mode="bilinear", align_corners=False)
        )
    for view in plain:
        yield view
        if views != "one":
            yield view.flip(-1)
