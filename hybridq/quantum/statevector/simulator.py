"""Simulate parametrised circuits exactly, batched and differentiable, in torch.

A circuit is sorted into blocks once (`blocks`); for each batch the matrices of all single-qubit
gates are made together (`local_gates`), the first of them make a product state, and each further
block is one or a few operations on all states of the batch. A circuit of real gates keeps its
states real. Gradients are torch's own, of any order. A batch whose intermediate states would take
more than the memory allowed is cut into chunks, which the backward pass computes again; the graph
of a second derivative is not bounded in this way.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum.split_circuit import SplitCircuit
from hybridq.quantum.statevector.batch_chunks import MEMORY, in_chunks
from hybridq.quantum.statevector.gate_grouping import (
    DenseBlock,
    DiagonalBlock,
    LocalBlock,
    MonomialBlock,
    PauliBlock,
    is_real,
    make_blocks,
)
from hybridq.quantum.statevector.local_gates import LocalGates
from hybridq.quantum.statevector.operations import (
    Dense,
    Diagonal,
    Local,
    Monomial,
    Operation,
    PauliRotation,
)
from hybridq.quantum.statevector.pauli_sums import PauliSums


class StatevectorEngine:
    """A torch function from angles to the exact expectation values of a circuit.

    Args:
        split: The circuit, and which of its angles depend on inputs.
        observables: Pauli sums with real coefficients.
        same_weights: Whether angles that no input enters are the same in all rows; then the
            parts that depend on them alone are computed once.
        dtype: Precision, `torch.float64` or `torch.float32`.
        memory: Bytes that the intermediate states of one chunk may take; a single sample may
            take more.

    Raises:
        InvalidValueError: If an instruction is not unitary, a coefficient is not real, the dtype
            is another, or the observables are missing or have another number of qubits.
    """

    def __init__(
        self,
        split: SplitCircuit,
        observables: Sequence[SparsePauliOp],
        *,
        same_weights: bool = True,
        dtype: torch.dtype = torch.float64,
        memory: int = MEMORY,
    ) -> None:
        if dtype not in (torch.float64, torch.float32):
            raise InvalidValueError(
                f"Expected dtype torch.float64 or torch.float32, got {dtype}: take one of them."
            )
        self.num_observables = len(observables)
        num_qubits: int = split.circuit.num_qubits
        widths = sorted({observable.num_qubits for observable in observables})
        if widths != [num_qubits]:
            raise InvalidValueError(
                f"Expected at least one observable, each on {num_qubits} qubits, got widths "
                f"{widths}: build them for the circuit, for instance with `z_observables`."
            )
        shared = [same_weights and not varies for varies in split.phases.on_inputs.tolist()]
        blocks = make_blocks(split.circuit, split.params)
        local = [block for block in blocks if isinstance(block, LocalBlock)]
        self._dtype = dtype if is_real(blocks) else _complex(dtype)
        self._gates = LocalGates(local, num_qubits, shared)
        groups = iter(self._gates.groups)
        self._steps: list[Operation] = []
        for block in blocks[1:]:
            if isinstance(block, LocalBlock):
                self._steps.append(Local(next(groups)))
            elif isinstance(block, DiagonalBlock):
                self._steps.append(Diagonal(block, num_qubits, shared))
            elif isinstance(block, MonomialBlock):
                self._steps.append(Monomial(block))
            elif isinstance(block, PauliBlock):
                self._steps.append(PauliRotation(block, num_qubits, shared))
            elif isinstance(block, DenseBlock):
                self._steps.append(Dense(block, num_qubits))
        self._sums = PauliSums(observables)
        stored = 1 + self._sums.stored + sum(step.stored for step in self._steps)
        numbers = stored * 2**num_qubits + self._gates.stored
        self._chunk = max(1, memory // (numbers * self._dtype.itemsize))

    def __call__(self, phi: Tensor) -> Tensor:
        """Compute the expectation values of a batch of angles.

        Args:
            phi: Angles of the gates in radians, `(batch, num_phases)`, double; with
                `same_weights`, those that no input enters are the same in all rows.

        Returns:
            `(batch, num_observables)`, double.
        """
        return in_chunks(self._expvals, phi, self._chunk)

    def states(self, phi: Tensor) -> Tensor:
        """Compute amplitudes `(2**n, 1 or batch)`, up to a global phase; qubit 0 is the lowest bit.

        There is one column if no input enters the circuit.
        """
        columns = phi.T.contiguous()
        matrices = self._gates(columns, self._dtype)
        states = matrices.state()
        for step in self._steps:
            states = step(states, columns, matrices)
        return states

    def _expvals(self, phi: Tensor) -> Tensor:
        linked = phi[:, :0].sum()  # 0, so that there is a gradient where no angle matters
        if phi.shape[0] == 0:
            return phi.new_zeros(0, self.num_observables) + linked
        return self._sums(self.states(phi)).double().expand(phi.shape[0], -1) + linked


def _complex(dtype: torch.dtype) -> torch.dtype:
    return torch.complex128 if dtype == torch.float64 else torch.complex64
