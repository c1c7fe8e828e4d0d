"""Linear maps: trained ones, and those whose matrix is a buffer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def make_linear(
    in_features: int, out_features: int, generator: torch.Generator, *, bias: bool = True
) -> nn.Linear:
    """Make a linear layer with torch's usual initialisation, drawn from `generator`.

    Weight and bias are uniform within 1 / sqrt(in_features); the global random state is untouched.

    Args:
        in_features: The number of inputs.
        out_features: The number of outputs.
        generator: Source of the initial weights.
        bias: Whether it has a bias.
    """
    linear = nn.Linear(in_features, out_features, bias=bias, device="meta").to_empty(device="cpu")
    bound = 1 / math.sqrt(in_features)
    with torch.no_grad():
        for param in linear.parameters():
            values = torch.rand(param.shape, generator=generator, device=generator.device)
            param.copy_((2 * values - 1) * bound)
    return linear


class FixedLinear(nn.Module):
    """The map `y = W x` with a matrix that is not trained.

    Args:
        weight: W, `(out_features, in_features)`.

    Attributes:
        weight: W, a buffer.

    Shape: `(..., in_features)` to `(..., out_features)`.
    """

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(..., in_features)` to `(..., out_features)`."""
        return inputs @ self.weight.mT
