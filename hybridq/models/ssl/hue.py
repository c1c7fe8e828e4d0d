"""Shift the hue of images without leaving RGB."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def shift_hue(images: Tensor, angles: Tensor) -> Tensor:
    """Shift the hue; the largest and the smallest channel of a pixel keep their values.

    This is the conversion to hue, saturation and value and back (Smith, SIGGRAPH 1978) in one step:
    with the hue h in sixths of a turn, a channel is the smallest plus the spread times
    `|h - 3| - 1` for red, `2 - |h - 2|` for green and `2 - |h - 4|` for blue, each cut to [0, 1].

    Args:
        images: Images as floats, `(batch, 3, height, width)`.
        angles: Shift of each image in radians, `(batch,)`.

    Returns:
        Images of the same shape.
    """
    red, green, blue = images.unbind(dim=1)
    largest, smallest = images.amax(dim=1), images.amin(dim=1)
    spread = largest - smallest
    # The two channels that are not the largest say how far the hue is from that of the largest.
    # Products with 0 and 1 choose among the channels: torch.where takes many times as long on CPUs.
    is_red = (largest == red).to(images)
    is_green = (largest == green).to(images) * (1 - is_red)
    is_blue = 1 - is_red - is_green
    gap = is_red * (green - blue) + is_green * (blue - red) + is_blue * (red - green)
    gap /= spread.clamp_min(torch.finfo(spread.dtype).tiny)
    centre = 2 * is_green + 4 * is_blue
    hue = gap.add_(centre).add_((angles * 3 / math.pi).to(images).view(-1, 1, 1)).remainder_(6)
    weights = ((hue - 3).abs_() - 1, 2 - (hue - 2).abs_(), 2 - (hue - 4).abs_())
    channels = [torch.addcmul(smallest, spread, weight.clamp_(0, 1)) for weight in weights]
    return torch.stack(channels, dim=1)
