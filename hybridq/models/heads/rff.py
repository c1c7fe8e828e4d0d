"""The head with random Fourier features of the angles in place of the circuit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridq.models.heads.base import BlockBuilder, MakeBlock
from hybridq.models.heads.pqc import BottleneckHead

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable


class FourierBlock(nn.Module):
    """The block `z = cos(W u + b)` of angles u, with random W and b that are not trained.

    These are the random Fourier features of a Gaussian kernel of width 1 (Rahimi & Recht,
    "Random Features for Large-Scale Kernel Machines", 2007, algorithm 1), without the factor
    sqrt(2 / num_qubits), so that values lie in [-1, 1] as those of a circuit do.

    Args:
        num_qubits: The number of angles and of values z.
        generator: Source of W and b.

    Attributes:
        weight: W, normal with variance 1, `(num_qubits, num_qubits)`.
        offset: b, uniform from 0 to 2 pi, `(num_qubits,)`.

    Shape: angles `(batch, num_qubits)` in radians to `(batch, num_qubits)`.
    """

    weight: Tensor
    offset: Tensor

    def __init__(self, num_qubits: int, generator: torch.Generator) -> None:
        super().__init__()
        device = generator.device
        weight = torch.randn(num_qubits, num_qubits, generator=generator, device=device)
        turns = torch.rand(num_qubits, generator=generator, device=device)
        self.register_buffer("weight", weight.cpu())
        self.register_buffer("offset", 2 * math.pi * turns.cpu())

    def forward(self, angles: Tensor) -> Tensor:
        """Map angles in radians to values in [-1, 1]."""
        return nn.functional.linear(angles, self.weight, self.offset).cos()


def fourier_block(config: CircuitHeadConfig, backend: Executable | None = None) -> MakeBlock:
    """Return a function that makes the features of as many angles as the config has qubits."""

    def make(generator: torch.Generator) -> FourierBlock:
        return FourierBlock(config.num_qubits, generator)

    return make


build_rff = BlockBuilder(BottleneckHead, fourier_block)
"""The builder of `pqc` with as many random Fourier features in place of the circuit."""
