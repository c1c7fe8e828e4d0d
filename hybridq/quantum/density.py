"""An exact, batched, differentiable simulator of noisy circuits in torch.

States are vectors of Pauli expectation values (see `channels`), and the circuit is fused once into
few steps (see `fusion`). The state goes forward to the last step that an input enters, the
observables go backward to it from the end, once for the whole batch, and there the two meet.
Everything is real, and gradients are torch's own, of any order. A batch whose intermediate states
would take more than the memory allowed is cut into chunks, which the backward pass computes again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum.channels import Channel
from hybridq.quantum.chunks import MEMORY, in_chunks
from hybridq.quantum.fusion import StepMatrices, fuse

MOST_QUBITS = 8


class DensityEngine:
    """Exact expectation values of a noisy circuit as a torch function of its angles.

    Args:
        channels: The circuit, from `circuit_channels`.
        num_qubits: Its qubits n, at most `MOST_QUBITS`.
        on_inputs: For each angle whether it differs between the rows; the others are the same.
        memory: Bytes that the intermediate states of one chunk may take; a single sample is
            computed whatever it takes.

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
        steps = fuse(channels)
        varies = [any(on_inputs[angle] for angle in step.angles) for step in steps]
        last = max((place for place, one in enumerate(varies) if one), default=-1)
        self._varying = [step for step, one in zip(steps, varies, strict=True) if one]
        self._forward = [(step, one) for step, one in zip(steps, varies, strict=True)][: last + 1]
        self._backward = steps[last + 1 :]
        shared = [step for step, one in zip(steps, varies, strict=True) if not one]
        self._matrices = {False: StepMatrices(shared), True: StepMatrices(self._varying)}
        numbers = 3 * (1 + len(self._forward)) * 4**num_qubits + self._matrices[True].stored
        self._chunk = max(1, memory // (8 * numbers))

    def __call__(self, phi: Tensor, observables: Tensor) -> Tensor:
        """Expectation values of a batch of angles.

        Args:
            phi: Angles of the gates in radians, `(batch, num_angles)`, double; those that do not
                differ between the rows are the same in all of them.
            observables: Pauli coefficients of what is measured, `(num_observables, 4**n)`, double.

        Returns:
            `(batch, num_observables)`, double.
        """
        linked = phi[:, :0].sum()  # 0, so that there is a gradient where no angle matters
        if len(phi) == 0:
            return phi.new_zeros(0, len(observables)) + linked
        return in_chunks(lambda rows: self._expvals(rows, observables), phi, self._chunk) + linked

    def _expvals(self, phi: Tensor, observables: Tensor) -> Tensor:
        made = {False: self._matrices[False](phi[:1]), True: self._matrices[True](phi)}
        states = ground_state(self.num_qubits).to(phi)[None]
        for step, varies in self._forward:
            matrix = self._matrices[varies].of(step, made[varies])
            states = self._apply(matrix, states, step.qubits)
        for step in reversed(self._backward):
            matrix = self._matrices[False].of(step, made[False])
            observables = self._apply(matrix.mT, observables, step.qubits)
        return (states @ observables.T).expand(len(phi), -1)

    def _apply(self, matrix: Tensor, vectors: Tensor, qubits: tuple[int, ...]) -> Tensor:
        """A matrix `(1 or batch, 4**k, 4**k)` on some qubits of vectors `(1 or batch, 4**n)`."""
        size = matrix.shape[-1]
        axes = [self.num_qubits - qubit for qubit in reversed(qubits)]
        firsts = list(range(1, len(axes) + 1))
        moved = vectors.view(-1, *(4,) * self.num_qubits).movedim(axes, firsts)
        turned = matrix @ moved.reshape(len(vectors), size, -1)
        turned = turned.view(len(turned), *moved.shape[1:]).movedim(firsts, axes)
        return turned.reshape(len(turned), -1)


def check_width(num_qubits: int) -> None:
    """Refuse a circuit too wide for a density matrix in memory.

    Raises:
        InvalidValueError: On more than `MOST_QUBITS` qubits.
    """
    if num_qubits > MOST_QUBITS:
        raise InvalidValueError(
            f"Expected at most {MOST_QUBITS} qubits, compiled for the device, with `engine=torch` "
            f"and noise, got {num_qubits}: take fewer qubits or --head.entanglement linear, which "
            "needs none beside its own, or leave `engine` out and let Aer sample trajectories."
        )


def ground_state(num_qubits: int) -> Tensor:
    """Pauli expectation values of |0...0>, `(4**n,)`, double."""
    state = torch.ones(1, dtype=torch.float64)
    for _ in range(num_qubits):
        state = torch.kron(torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64), state)
    return state
