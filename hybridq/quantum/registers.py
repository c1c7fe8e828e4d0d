"""Several circuits side by side, each of which takes its share of the angles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hybridq.quantum.layer import QuantumLayer


class Registers(nn.Module):
    """Independent circuits of equal width, which take the angles in turn.

    They are one circuit without a gate between its parts, but a device needs only the qubits of one
    part: the "distributed" circuits of Ovalle-Magallanes et al., Expert Syst. Appl. 189:116112
    (2022). Each has weights of its own.

    Args:
        layers: The circuits.

    Shape: angles `(batch, sum of inputs)` in radians to values `(batch, sum of observables)`.
    """

    def __init__(self, layers: Sequence[QuantumLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, angles: Tensor) -> Tensor:
        """Map angles in radians to expectation values, register by register."""
        parts = angles.chunk(len(self.layers), dim=-1)
        values = [layer(part) for layer, part in zip(self.layers, parts, strict=True)]
        return torch.cat(values, dim=-1)
