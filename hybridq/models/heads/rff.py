"""The head with random Fourier features of the angles in place of the circuit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridq.models.heads.base import MakeBlock, seeded
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


def fourier_block(num_qubits: int) -> MakeBlock:
    """Return a function that makes the features of so many angles."""

    def make(generator: torch.Generator) -> FourierBlock:
        return FourierBlock(num_qubits, generator)

    return make


def build_rff(
    in_features: int,
    num_classes: int,
    config: CircuitHeadConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> BottleneckHead:
    """Build `pqc` with as many random Fourier features in place of the circuit.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head, of which it takes the number of qubits and the reducer.
        backend: The backend of the circuit; heads without a circuit ignore it.
        generator: Source of the initial weights; one seeded with 0 if None.
    """
    return BottleneckHead(
        in_features,
        num_classes,
        config.num_qubits,
        fourier_block(config.num_qubits),
        seeded(generator),
        config.reducer,
    )
