"""Classical embeddings beside that of the reservoir, of as many values, with the same readouts."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import combinations_with_replacement

import torch
from pydantic import Field
from torch import Tensor, nn

from hybridq.models.heads.entry import HeadEntry
from hybridq.models.heads.fitted.embedded import EmbeddedBuilder, EmbeddedConfig, Embedding

SCALES = (0.5, 1.0, 2.0, 4.0)
"""Factors of the components, which are searched."""


class RandomFeaturesConfig(EmbeddedConfig):
    """An embedding of as many values as that of a reservoir with the same qubits and times."""

    times: int = Field(4, ge=1, le=32)
    """Values of the embedding per component and per pair of components."""
    scale: float | None = Field(None, gt=0, le=100)
    """Factor of the components; searched where it is not given."""


class RandomFeatures(Embedding):
    """Random features `function(W x + b)`, with W normal.

    Args:
        config: The config of the head.
        generator: Source of W and b.
        function: What is applied to each value.
        uniform: Whether b is uniform from 0 to 2 pi, else normal.

    Shape: components `(rows, num_qubits)` to `(rows, num_values)`.
    """

    weight: Tensor
    offset: Tensor

    def __init__(
        self,
        config: RandomFeaturesConfig,
        generator: torch.Generator,
        *,
        function: Callable[[Tensor], Tensor],
        uniform: bool,
    ) -> None:
        super().__init__()
        width = config.num_qubits
        self.num_values = config.times * (width * (width + 1) // 2)
        self.scales = SCALES if config.scale is None else (config.scale,)
        self.function = function
        device = generator.device
        draw = torch.rand if uniform else torch.randn
        weight = torch.randn(self.num_values, width, generator=generator, device=device)
        offset = draw(self.num_values, generator=generator, device=device)
        self.register_buffer("weight", weight.cpu())
        self.register_buffer("offset", (2 * math.pi if uniform else 1.0) * offset.cpu())

    def forward(self, components: Tensor, scale: Tensor) -> Tensor:
        """Embed components times a scale."""
        weight, offset = self.weight.to(components), self.offset.to(components)
        return self.function(nn.functional.linear(scale * components, weight, offset))


class Polynomial(Embedding):
    """All products of one, two and three components; their number follows from `num_qubits`.

    Args:
        config: The config of the head.
        generator: Unused, since nothing is drawn.

    Shape: components `(rows, num_qubits)` to `(rows, num_values)`.
    """

    factors: Tensor

    def __init__(self, config: EmbeddedConfig, generator: torch.Generator) -> None:
        super().__init__()
        one = config.num_qubits  # stands for the factor 1
        factors = list(combinations_with_replacement(range(config.num_qubits + 1), 3))
        self.num_values = len(factors) - 1
        self.scales = (1.0,)
        self.register_buffer(
            "factors", torch.tensor([own for own in factors if own != (one, one, one)])
        )

    def forward(self, components: Tensor, scale: Tensor) -> Tensor:
        """Compute the products."""
        padded = torch.cat([components, torch.ones_like(components[:, :1])], dim=1)
        first, second, third = self.factors.to(components.device).unbind(1)
        return padded[:, first] * padded[:, second] * padded[:, third]


class Components(Embedding):
    """The components themselves.

    Args:
        config: The config of the head.
        generator: Unused, since nothing is drawn.

    Shape: components `(rows, num_qubits)` to the same.
    """

    def __init__(self, config: EmbeddedConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.num_values = config.num_qubits
        self.scales = (1.0,)

    def forward(self, components: Tensor, scale: Tensor) -> Tensor:
        """Leave them as they are."""
        return components


RANDOM_FOURIER = HeadEntry(
    RandomFeaturesConfig,
    EmbeddedBuilder(partial(RandomFeatures, function=torch.cos, uniform=True)),
    "random Fourier embedding",
    fitted=True,
)
"""Rahimi & Recht, "Random Features for Large-Scale Kernel Machines", 2007, algorithm 1."""
RANDOM_TANH = HeadEntry(
    RandomFeaturesConfig,
    EmbeddedBuilder(partial(RandomFeatures, function=torch.tanh, uniform=False)),
    "random tanh embedding (ELM)",
    fitted=True,
)
"""An extreme learning machine, Huang et al. 2006: a hidden layer that stays as it is drawn."""
CUBIC = HeadEntry(EmbeddedConfig, EmbeddedBuilder(Polynomial), "cubic polynomial", fitted=True)
COMPONENTS = HeadEntry(
    EmbeddedConfig, EmbeddedBuilder(Components), "principal components", fitted=True
)
