"""The entry of a head that can be chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import nn

if TYPE_CHECKING:
    from hybridq.config import HeadConfig

HeadBuilder = Callable[..., nn.Module]
"""The builder of a head, called as `build(in_shape, num_classes, config, *, backend, generator)`.

`in_shape` is the number of features for `input="vector"`, and `(channels, height, width)` for
`input="map"`. `backend` is an open executable, which heads without a circuit ignore, and
`generator` the source of all initial weights; the global random state is never touched.
"""


@dataclass(frozen=True)
class HeadEntry:
    """A head that can be chosen by name.

    Attributes:
        config: The class of its config, a subclass of `HeadConfig`.
        build: The builder of the module, from features `(batch, num_features)` or maps
            `(batch, channels, height, width)` to logits `(batch, num_classes)`.
        label: The name in cards and reports.
        control: Name of the classical head of its size that is reported beside it; None for a
            classical head.
        input: Whether it takes the encoder's pooled features or its feature maps.
        fitted: Whether it is fitted in closed form, so that no study can train it by gradient.
    """

    config: type[HeadConfig]
    build: HeadBuilder
    label: str
    control: str | None = None
    input: Literal["vector", "map"] = "vector"
    fitted: bool = False
