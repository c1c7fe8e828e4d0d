"""The entry of an encoder that can be chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class EncoderEntry:
    """A network that can be chosen by name.

    Attributes:
        build: A function from the stem, `stride1` or `stride2`, to the network, an `nn.Sequential`
            of blocks from images `(batch, 3, height, width)` to feature maps `(batch, channels,
            rows, columns)`. Its weights are drawn from torch's global generator.
        label: The name in cards and reports.
        imagenet: A function that returns torchvision's record of its ImageNet weights; None if
            there are none.
        state: A function from the state of the whole network with ImageNet weights to that of the
            network that `build` makes; None if they are the same.
    """

    build: Callable[[str], nn.Sequential]
    label: str
    imagenet: Callable[[], Any] | None = None
    state: Callable[[dict[str, Any]], dict[str, Any]] | None = None
