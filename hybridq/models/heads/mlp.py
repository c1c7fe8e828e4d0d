"""The control of `pqc`: a classical block of the same size in place of the circuit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridq.models.heads.base import BlockBuilder, MakeBlock, make_linear, num_circuit_weights
from hybridq.models.heads.pqc import BottleneckHead

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable


class ControlBlock(nn.Module):
    """The block `z = tanh(u + W2 tanh(W1 u + b1) + b2)` with `u = angles - pi/2`, in (-1, 1).

    The hidden width is the one, of at least 1, whose number of parameters,
    `width * (2 * num_qubits + 1) + num_qubits`, is nearest to that of the circuit.

    Args:
        num_qubits: The number of angles and of values z.
        num_circuit_weights: The number of trainable weights of the circuit it stands in for.
        generator: Source of the initial weights.

    Attributes:
        num_circuit_weights: The number of trainable weights of that circuit.

    Shape: `(batch, num_qubits)` to `(batch, num_qubits)`.
    """

    def __init__(
        self, num_qubits: int, num_circuit_weights: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.num_circuit_weights = num_circuit_weights
        width = max(1, round((num_circuit_weights - num_qubits) / (2 * num_qubits + 1)))
        self.hidden = make_linear(num_qubits, width, generator)
        self.out = make_linear(width, num_qubits, generator)

    def forward(self, angles: Tensor) -> Tensor:
        """Map angles in radians to values in (-1, 1)."""
        centred = angles - math.pi / 2
        return torch.tanh(centred + self.out(torch.tanh(self.hidden(centred))))


def control_block(config: CircuitHeadConfig, backend: Executable | None = None) -> MakeBlock:
    """Return a function that makes the control of the circuit of the config."""
    count = num_circuit_weights(config)

    def make(generator: torch.Generator) -> ControlBlock:
        return ControlBlock(config.num_qubits, count, generator)

    return make


build_mlp = BlockBuilder(BottleneckHead, control_block)
"""The builder of the control of `pqc`, with a matching number of parameters."""
