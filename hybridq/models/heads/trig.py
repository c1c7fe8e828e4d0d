"""The classical polynomial of a circuit, with free coefficients in place of the circuit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridq.errors import InvalidValueError
from hybridq.models.heads.base import BlockBuilder, MakeBlock, quantum_block
from hybridq.models.heads.pqc import BottleneckHead
from hybridq.quantum import QuantumLayer
from hybridq.quantum.trigonometric import trigonometric_coefficients, trigonometric_values
from hybridq_backends import opened_backend

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable


class TrigonometricBlock(nn.Module):
    """A trigonometric polynomial of the angles whose coefficients are trained one by one.

    The circuit of the same encoding is such a polynomial for all of its weights (Schuld, Sweke &
    Meyer, arXiv:2008.08605), so that this block contains it, and is more: its values may leave
    [-1, 1], and it has `num_qubits * 3**num_qubits` parameters where each angle enters once.

    Args:
        coefficients: The first ones, as `trigonometric_coefficients` returns them.

    Attributes:
        coefficients: `(num_qubits, 2 d_1 + 1, ..., 2 d_n + 1)`.

    Shape: angles `(batch, num_qubits)` in radians to `(batch, num_qubits)`.
    """

    def __init__(self, coefficients: Tensor) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(coefficients)

    def forward(self, angles: Tensor) -> Tensor:
        """Map angles in radians `(batch, num_qubits)` to values `(batch, num_qubits)`."""
        return trigonometric_values(self.coefficients.to(angles.dtype), angles)


def polynomial_block(config: CircuitHeadConfig, backend: Executable | None = None) -> MakeBlock:
    """Return a function that makes the polynomial of the untrained circuit of the config.

    Raises:
        InvalidValueError: If the circuit is no trigonometric polynomial, or is one of too many
            coefficients.
    """

    def make(generator: torch.Generator) -> TrigonometricBlock:
        with opened_backend("statevector") as exact:
            layer = quantum_block(config, exact)(generator)
            if not isinstance(layer, QuantumLayer):
                raise InvalidValueError(
                    f"Expected one register for head {config.name!r}, got {config.registers}: "
                    "each is a polynomial of its own; set `registers` to 1."
                )
            (circuit,) = layer.circuits()
            coefficients = trigonometric_coefficients(circuit, layer.weight)
        return TrigonometricBlock(coefficients.to(layer.weight.dtype))

    return make


build_trig = BlockBuilder(BottleneckHead, polynomial_block)
"""The builder of the head whose block begins as the circuit of `pqc` of that config and seed."""
