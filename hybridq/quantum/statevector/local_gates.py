"""Make the matrices of all single-qubit gates of a circuit together for a batch of angles.

A rotation is `cos(phi/2) I + sin(phi/2) G`, with G = -iX, -iY or -iZ. Gates on one qubit that
follow one another are multiplied, and the products on neighbouring qubits joined by Kronecker
products into matrices of up to 16 x 16. Matrices without inputs are made once, not for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from hybridq.quantum.statevector.gate_grouping import Factor, LocalBlock, Rotation
from hybridq.quantum.statevector.matrices import join_runs, multiply_runs

_MOST_JOINED = {True: 4, False: 3}  # qubits of a matrix that the batch shares, and of others
_GENERATORS = {
    "rx": ((0, -1j), (-1j, 0)),
    "ry": ((0, -1), (1, 0)),
    "rz": ((-1j, 0), (0, 1j)),
}
_IDENTITY = (1 + 0j, 0j, 0j, 1 + 0j)


@dataclass(frozen=True)
class Group:
    """Neighbouring qubits whose gates are applied as one matrix.

    Attributes:
        low: The lowest qubit.
        size: The number of qubits.
        shared: Whether the matrix is the same for the whole batch.
        index: Index among the matrices of this size and kind; None for the identity.
    """

    low: int
    size: int
    shared: bool
    index: int | None


class LocalGates:
    """The matrices of all local blocks of a circuit.

    Args:
        blocks: The local blocks; the first acts on the ground state.
        num_qubits: The number of qubits of the circuit.
        shared_angles: Whether each angle is the same for the whole batch.

    Attributes:
        groups: The groups of each block but the first, from qubit 0 upwards.
        stored: The approximate count of numbers that autograd keeps for a sample.
    """

    def __init__(
        self, blocks: Sequence[LocalBlock], num_qubits: int, shared_angles: Sequence[bool]
    ) -> None:
        self._shared_angles = shared_angles
        self._rotations: dict[bool, list[Rotation]] = {True: [], False: []}
        self._constants: list[Factor] = [_IDENTITY]
        self._runs: dict[bool, list[list[Factor]]] = {True: [], False: []}
        self._members: dict[tuple[bool, int], list[list[int]]] = {}
        self._first = [
            self._add_run(blocks[0].runs.get(qubit, [])) for qubit in reversed(range(num_qubits))
        ]
        self.groups = [self._grouped(block, num_qubits) for block in blocks[1:]]
        factors = [factor for runs in self._runs.values() for run in runs for factor in run]
        for factor in dict.fromkeys(factors):
            if isinstance(factor, Rotation):
                self._rotations[shared_angles[factor.angle]].append(factor)
            elif factor not in self._constants:
                self._constants.append(factor)
        # where each factor is in the bank: constants, shared rotations, rotations of each sample
        bank = [*self._constants, *self._rotations[True], *self._rotations[False]]
        place = {factor: index for index, factor in enumerate(bank)}
        self._places = {
            shared: [[place[factor] for factor in run] for run in runs]
            for shared, runs in self._runs.items()
            if runs
        }
        longest = max((len(run) for run in self._runs[False]), default=0)
        self.stored = 8 * (len(self._rotations[False]) + longest * len(self._runs[False])) + sum(
            2 * len(members) * 4**size
            for (shared, size), members in self._members.items()
            if not shared
        )

    def _is_shared(self, run: Sequence[Factor]) -> bool:
        return all(not isinstance(f, Rotation) or self._shared_angles[f.angle] for f in run)

    def _add_run(self, run: list[Factor]) -> tuple[bool, int]:
        """Add a run, and return the list and the index of its product."""
        shared = self._is_shared(run)
        self._runs[shared].append(run or [_IDENTITY])
        return shared, len(self._runs[shared]) - 1

    def _grouped(self, block: LocalBlock, num_qubits: int) -> list[Group]:
        """Cut all qubits into stretches of one kind, and those into groups."""
        kinds = [
            self._is_shared(block.runs[qubit]) if qubit in block.runs else None
            for qubit in range(num_qubits)
        ]
        groups = []
        start = 0
        while start < num_qubits:
            kind = kinds[start]
            stop = start
            while stop < num_qubits and kinds[stop] == kind:
                stop += 1
            if kind is None:
                groups.append(Group(start, stop - start, True, None))
            else:
                count = -(-(stop - start) // _MOST_JOINED[kind])
                cuts = [start + (stop - start) * part // count for part in range(count + 1)]
                for low, high in pairwise(cuts):
                    rows = [self._add_run(block.runs[q])[1] for q in reversed(range(low, high))]
                    members = self._members.setdefault((kind, high - low), [])
                    members.append(rows)
                    groups.append(Group(low, high - low, kind, len(members) - 1))
            start = stop
        return groups

    def __call__(self, phi: Tensor, dtype: torch.dtype) -> Matrices:
        """Compute the matrices for a batch of angles.

        Args:
            phi: Angles in radians, `(num_angles, batch)`, double.
            dtype: Type of the matrices; it may be real only if all of them are.
        """
        constants = torch.tensor(self._constants, dtype=torch.complex128, device=phi.device)
        bank = {True: _as(constants.view(1, -1, 2, 2), dtype)}
        for shared, rotations in self._rotations.items():
            before = bank[True]
            if not shared:
                before = before.expand(phi.shape[1], -1, -1, -1)
            made = _rotate(phi[:, :1] if shared else phi, rotations, dtype)
            bank[shared] = torch.cat([before, made], dim=1) if rotations else before
        runs = {
            shared: multiply_runs(bank[shared], found) for shared, found in self._places.items()
        }
        joined = {
            (shared, size): join_runs(runs[shared], members)
            for (shared, size), members in self._members.items()
        }
        return Matrices([runs[shared][:, index] for shared, index in self._first], joined)


@dataclass(frozen=True)
class Matrices:
    """The matrices of a batch; a leading dimension of 1 stands for the whole batch.

    Attributes:
        first: The first product on each qubit, `(1 or batch, 2, 2)`, the highest qubit first.
        joined: The joined matrices by kind and size, `(1 or batch, groups, 2**size, 2**size)`.
    """

    first: list[Tensor]
    joined: dict[tuple[bool, int], Tensor]

    def state(self) -> Tensor:
        """The product state that the first gates make of the ground state, `(2**n, 1 or batch)`."""
        columns = [matrix[:, :, 0].T.contiguous() for matrix in self.first]
        state = columns[0]
        for column in columns[1:]:
            state = (state[:, None] * column).flatten(0, 1)
        return state

    def of(self, group: Group) -> Tensor | None:
        """Return a group's matrices, `(1 or batch, 2**size, 2**size)`; None for the identity."""
        if group.index is None:
            return None
        return self.joined[group.shared, group.size][:, group.index]


def _as(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert to a dtype; complex numbers must be real if it is real."""
    return (values if dtype.is_complex else values.real).to(dtype)


def _rotate(phi: Tensor, rotations: Sequence[Rotation], dtype: torch.dtype) -> Tensor:
    """Compute the matrices of rotations, `(batch, rotations, 2, 2)`."""
    half = phi.T[:, [rotation.angle for rotation in rotations], None, None] / 2
    axes = [_GENERATORS[rotation.axis] for rotation in rotations]
    generators = torch.tensor(axes, device=phi.device, dtype=torch.complex128).view(-1, 2, 2)
    identity = torch.eye(2, dtype=dtype, device=phi.device)
    return half.cos().to(dtype) * identity + half.sin().to(dtype) * _as(generators, dtype)
