"""The head without a trained block: each value is the cosine of its angle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from hybridq.models.heads.base import BlockBuilder, MakeBlock
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


def cosine_block(config: CircuitHeadConfig, backend: Executable | None = None) -> MakeBlock:
    """Return a function that makes the block, in which nothing is drawn."""
    return lambda generator: CosineBlock()


build_identity = BlockBuilder(BottleneckHead, cosine_block)
"""The builder of `pqc` with the bare cosine of each angle in place of the circuit."""
