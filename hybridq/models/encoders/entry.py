"""What an encoder has to say of itself to be chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class EncoderEntry:
    """A network that can be chosen by name.

    Attributes:
        build: From the stem, `stride1` or `stride2`, to the network, an `nn.Sequential` of blocks
            from images `(batch, 3, height, width)` to feature maps `(batch, channels, rows,
            columns)`. Its weights are drawn from torch's global generator.
        label: What it is called in cards and reports.
        imagenet: Gets torchvision's record of its ImageNet weights; None where there are none.
        state: From the state of the whole network with ImageNet weights to that of what `build`
            makes; None where they are the same.
    """

    build: Callable[[str], nn.Sequential]
    label: str
    imagenet: Callable[[], Any] | None = None
    state: Callable[[dict[str, Any]], dict[str, Any]] | None = None
