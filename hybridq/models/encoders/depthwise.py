"""Depthwise convolutions that are trained on maps of a few pixels without a slow gradient."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

MOST_PIXELS = 4
"""Up to so many pixels the product is faster than the convolution (`benchmarks/depthwise.py`)."""

Network = TypeVar("Network", bound=nn.Module)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that multiplies maps of a few pixels while it is trained on a CPU.

    A convolution is linear: on a map of a few pixels it is a small matrix for each channel, whose
    rows are the convolved maps that are 1 in one pixel and 0 elsewhere. The product of a batch with
    these equals the convolution up to rounding, without the gradient that takes a CPU up to half of
    a training step on such maps. In evaluation, on larger maps and on a GPU it is the convolution.

    Shape: like `torch.nn.Conv2d`.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve maps `(batch, channels, rows, columns)`."""
        rows, columns = maps.shape[-2:]
        pixels = rows * columns
        if not self.training or pixels > MOST_PIXELS or maps.device.type != "cpu":
            return super().forward(maps)
        lit = torch.eye(pixels, dtype=maps.dtype).view(pixels, 1, rows, columns)
        spread = self._conv_forward(lit.expand(-1, self.in_channels, -1, -1), self.weight, None)
        weights = spread.flatten(2).permute(2, 0, 1)  # (pixels out, pixels in, channels)
        found = (maps.flatten(2).mT[:, None] * weights).sum(dim=2)
        if self.bias is not None:
            found = found + self.bias
        convolved: Tensor = found.mT.unflatten(2, spread.shape[2:])
        return convolved


def with_small_maps(network: Network) -> Network:
    """Make each depthwise convolution of a network a `DepthwiseConv2d`.

    Args:
        network: A network, which is changed in place; its weights and their names stay.
    """
    for part in network.modules():
        if type(part) is nn.Conv2d and part.groups == part.in_channels == part.out_channels > 1:
            part.__class__ = DepthwiseConv2d
    return network
