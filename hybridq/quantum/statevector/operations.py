"""Apply the blocks of a circuit to a batch of states.

Amplitudes are the rows and samples the columns, `(2**n, 1 or batch)`, so that permutations and
products with matrices that the batch shares move whole rows. One column stands for all samples as
long as no input has entered. Angles are `(num_angles, batch)`, in radians.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from hybridq.quantum.statevector.gate_grouping import (
    DenseBlock,
    DiagonalBlock,
    MonomialBlock,
    PauliBlock,
)
from hybridq.quantum.statevector.local_gates import Group, Matrices
from hybridq.quantum.statevector.matrices import multiply_each, multiply_shared
from hybridq.quantum.statevector.permute import permute
from hybridq.quantum.statevector.signs import signs


class Operation(Protocol):
    """The operation of a block on states.

    Attributes:
        stored: The memory that autograd keeps for it, in states, approximately.
    """

    stored: int

    def __call__(self, states: Tensor, phi: Tensor, matrices: Matrices) -> Tensor:
        """The states afterwards."""


class Local:
    """Products of single-qubit gates, applied as their joint matrices."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._all_shared = all(group.shared for group in groups)
        self.stored = len(groups) + (0 if self._all_shared else 2)

    def __call__(self, states: Tensor, phi: Tensor, matrices: Matrices) -> Tensor:
        """The states afterwards."""
        if self._all_shared:
            for group in self._groups:
                matrix = matrices.of(group)
                if matrix is not None:
                    states = multiply_shared(matrix[0], states, group.low)
            return states
        rows = states.expand(-1, phi.shape[1]).T.contiguous()
        for group in self._groups:
            rows = multiply_each(matrices.of(group), rows, 2**group.size)
        return rows.T.contiguous()


class Diagonal:
    """The operation exp(-i/2 sum_k phi_k Z_k), which is one factor for each basis state.

    The sign of each Z_k is that of the upper qubits times that of the lower ones.
    """

    stored = 4

    def __init__(self, block: DiagonalBlock, num_qubits: int, shared: Sequence[bool]) -> None:
        num_low = num_qubits // 2
        self._parts = []
        for kind in (True, False):
            terms = [term for term in block.terms if shared[term[1]] == kind]
            if terms:
                masks = [mask for mask, _ in terms]
                high = signs(num_qubits - num_low, [mask >> num_low for mask in masks])
                low = signs(num_low, [mask & (1 << num_low) - 1 for mask in masks])
                self._parts.append((kind, [angle for _, angle in terms], high.T, low))

    def __call__(self, states: Tensor, phi: Tensor, matrices: Matrices) -> Tensor:
        """The states afterwards."""
        for shared, angles, high, low in self._parts:
            chosen = (phi[angles, :1] if shared else phi[angles]) / 2
            lows = (low.to(phi)[:, :, None] * chosen[:, None]).flatten(1)
            theta = (high.to(phi) @ lows).view(-1, chosen.shape[1])
            states = states * torch.complex(theta.cos(), -theta.sin()).to(states.dtype)
        return states


class Monomial:
    """A permutation of the amplitudes, and a factor for each."""

    stored = 2

    def __init__(self, block: MonomialBlock) -> None:
        source = torch.from_numpy(block.source).int()
        self._permutation = None
        if (block.source != range(len(source))).any():
            self._permutation = (source, source.argsort().int())
        self._factor = None
        if (block.factor != 1).any():
            self._factor = torch.from_numpy(block.factor)[:, None]

    def __call__(self, states: Tensor, phi: Tensor, matrices: Matrices) -> Tensor:
        """The states afterwards."""
        if self._permutation is not None:
            source, inverse = self._permutation
            states = permute(states, source.to(states.device), inverse.to(states.device))
        if self._factor is not None:
            states = states * _like(self._factor, states)
        return states


class PauliRotation:
    """The operation exp(-i phi P / 2) = cos(phi/2) - i sin(phi/2) P for a Pauli string P."""

    stored = 3

    def __init__(self, block: PauliBlock, num_qubits: int, shared: Sequence[bool]) -> None:
        self._shared = shared[block.angle]
        self._angle = block.angle
        self._index = torch.arange(2**num_qubits, dtype=torch.int32) ^ block.x
        turn = -1j * 1j ** (block.x & block.z).bit_count()
        self._factor = (turn * signs(num_qubits, [block.z])[0, self._index])[:, None]

    def __call__(self, states: Tensor, phi: Tensor, matrices: Matrices) -> Tensor:
        """The states afterwards."""
        half = phi[self._angle, : 1 if self._shared else None] / 2
        index = self._index.to(states.device)
        turned = permute(states, index, index) * _like(self._factor, states)
        return half.cos().to(states.dtype) * states + half.sin().to(states.dtype) * turned


class Dense:
    """A constant matrix on some qubits."""

    stored = 3

    def __init__(self, block: DenseBlock, num_qubits: int) -> None:
        self._axes = [num_qubits - 1 - qubit for qubit in reversed(block.targets)]
        self._first = list(range(len(self._axes)))
        self._shape = [2] * num_qubits
        self._matrix = torch.from_numpy(block.matrix)

    def __call__(self, states: Tensor, phi: Tensor, matrices: Matrices) -> Tensor:
        """The states afterwards."""
        matrix = _like(self._matrix, states)
        moved = states.reshape(*self._shape, -1).movedim(self._axes, self._first)
        turned = (matrix @ moved.reshape(len(matrix), -1)).view(moved.shape)
        return turned.movedim(self._first, self._axes).reshape(states.shape)


def _like(values: Tensor, states: Tensor) -> Tensor:
    """Convert constants to the states' dtype and device; real dtypes need real constants."""
    values = values if states.is_complex() or not values.is_complex() else values.real
    return values.to(states)
