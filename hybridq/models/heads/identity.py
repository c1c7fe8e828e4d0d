"""The head without a trained block: each value is the cosine of its angle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridq.models.heads.base import seeded
from hybridq.models.heads.pqc import BottleneckHead

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable


class CosineBlock(nn.Module):
    """The block `z = cos(angle)`, without parameters.

    It is what a circuit without a trainable part computes: RY by the angle on each qubit, and Z
    measured. The circuit of `pqc` with `angle` encoding is near it where its weights are near 0.

    Shape: angles `(batch, num_qubits)` in radians to `(batch, num_qubits)`.
    """

    def forward(self, angles: Tensor) -> Tensor:
        """Map angles in radians to values in [-1, 1]."""
        return angles.cos()


def _cosines(generator: torch.Generator) -> CosineBlock:
    """Make the block; nothing in it is drawn."""
    return CosineBlock()


def build_identity(
    in_features: int,
    num_classes: int,
    config: CircuitHeadConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> BottleneckHead:
    """Build `pqc` with the bare cosine of each angle in place of the circuit.

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
        _cosines,
        seeded(generator),
        config.reducer,
    )
