"""Simulate noisy circuits exactly, batched and differentiable, in torch.

States are vectors of Pauli expectation values (see `channels`), and the circuit is fused once into
few steps (see `fusion`). The state is propagated forward to the last step that an input enters, and
the observables backward to the same step, once for the whole batch. All numbers are real, and
gradients are torch's own, of any order. A batch whose intermediate states
would take more than the memory allowed is cut into chunks, which the backward pass computes again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum.density.channels import Channel
from hybridq.quantum.density.fusion import fuse
from hybridq.quantum.density.pauli_transfer import TransferMatrices
from hybridq.quantum.statevector.batch_chunks import MEMORY, in_chunks

MOST_QUBITS = 8
ROWS = -1


class DensityEngine:
    """A torch function from angles to the exact expectation values of a noisy circuit.

    Args:
        channels: The circuit, from `circuit_channels`.
        num_qubits: The number n of qubits, at most `MOST_QUBITS`.
        on_inputs: For each angle whether it differs between the rows; the others are the same.
        memory: Bytes that the intermediate states of one chunk may take; a single sample may
            take more.

    Raises:
        InvalidValueError: On too many qubits.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        num_qubits: int,
        on_inputs: Sequence[bool],
        *,
        memory: int = MEMORY,
    ) -> None:
        check_width(num_qubits)
        self.num_qubits = num_qubits
        fused = fuse(channels, on_inputs)
        varies = [any(on_inputs[angle] for angle in channel.angles) for channel in fused]
        end = max((place + 1 for place, one in enumerate(varies) if one), default=0)
        self._forward = list(zip(fused[:end], varies[:end], strict=True))
        self._backward = fused[end:]
        own = [channel for channel, one in self._forward if one]
        self._own = TransferMatrices(own)
        self._shared = TransferMatrices(
            [c for c, one in zip(fused, varies, strict=True) if not one]
        )
        numbers = 3 * (1 + len(self._forward)) * 4**num_qubits + self._own.stored
        self._chunk = max(1, memory // (8 * numbers))

    def __call__(self, phi: Tensor, observables: Tensor) -> Tensor:
        """Compute the expectation values of a batch of angles.

        Args:
            phi: Angles of the gates in radians, `(batch, num_angles)`, double; those that do not
                differ between the rows are the same in all of them.
            observables: Pauli coefficients of the observables, `(num_observables, 4**n)`, double.

        Returns:
            `(batch, num_observables)`, double.
        """
        linked = phi[:, :0].sum()  # 0, so that there is a gradient where no angle matters
        if phi.shape[0] == 0:
            return phi.new_zeros(0, len(observables)) + linked
        return in_chunks(lambda rows: self._expvals(rows, observables), phi, self._chunk) + linked

    def _expvals(self, phi: Tensor, observables: Tensor) -> Tensor:
        own, shared = iter(self._own(phi)), iter(self._shared(phi[:1]))
        states = _PauliVectors.of_rows(ground_state(self.num_qubits).to(phi)[None])
        for channel, varies in self._forward:
            states = states.turned(next(own if varies else shared), channel.qubits, each=varies)
        seen = _PauliVectors.of_rows(observables)
        for matrix, channel in reversed(list(zip(shared, self._backward, strict=True))):
            seen = seen.turned(matrix.mT, channel.qubits)
        return states.products(seen).expand(phi.shape[0], -1)


@dataclass(frozen=True)
class _PauliVectors:
    """Rows of vectors of 4**n numbers, with an axis for each qubit in any order.

    Attributes:
        tensor: The numbers, with an axis of size 4 for each qubit and one for the rows.
        axes: The meaning of each axis: a qubit, or `ROWS`.
    """

    tensor: Tensor
    axes: tuple[int, ...]

    @classmethod
    def of_rows(cls, rows: Tensor) -> _PauliVectors:
        """Make them from a tensor `(rows, 4**n)`."""
        tensor = rows.view(rows.shape[0], *(4,) * round(math.log(rows.shape[1], 4)))
        return cls(tensor, (ROWS, *reversed(range(tensor.dim() - 1))))

    def turned(
        self, matrices: Tensor, qubits: Sequence[int], *, each: bool = False
    ) -> _PauliVectors:
        """Apply matrices to some qubits, the lowest digit first.

        Args:
            matrices: `(rows, 4**k, 4**k)` where each row has its own, else `(1, 4**k, 4**k)`.
            qubits: The k qubits.
            each: Whether each row has its own.
        """
        count, size = matrices.shape[:2]
        own = (ROWS,) if each else ()
        axes = (*own, *reversed(qubits))
        axes += tuple(axis for axis in self.axes if axis not in axes)
        moved = self._moved(axes)
        if own:
            turned = matrices @ moved.reshape(moved.shape[0], size, -1)
            return _PauliVectors(turned.view(count, *moved.shape[1:]), axes)
        return _PauliVectors((matrices[0] @ moved.reshape(size, -1)).view(moved.shape), axes)

    def products(self, others: _PauliVectors) -> Tensor:
        """Compute the scalar products of all rows with other rows, `(rows, other rows)`."""
        qubits = tuple(axis for axis in others.axes if axis != ROWS)
        ours = self._moved((ROWS, *qubits))
        theirs = others._moved((*qubits, ROWS))
        return ours.reshape(ours.shape[0], -1) @ theirs.reshape(-1, theirs.shape[-1])

    def _moved(self, axes: Sequence[int]) -> Tensor:
        return self.tensor.permute([self.axes.index(axis) for axis in axes])


def check_width(num_qubits: int) -> None:
    """Refuse a circuit too wide for a density matrix in memory.

    Raises:
        InvalidValueError: On more than `MOST_QUBITS` qubits.
    """
    if num_qubits > MOST_QUBITS:
        raise InvalidValueError(
            f"Expected at most {MOST_QUBITS} qubits, compiled for the device, with `engine=torch` "
            f"and noise, got {num_qubits}: take fewer qubits or --head.entanglement linear, which "
            "needs none beside its own, or give `engine=aer`, where shots are trajectories."
        )


def ground_state(num_qubits: int) -> Tensor:
    """Return the Pauli expectation values of |0...0>, `(4**n,)`, double."""
    state = torch.ones(1, dtype=torch.float64)
    for _ in range(num_qubits):
        state = torch.kron(torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64), state)
    return state
