"""Fuse the channels of a circuit into few steps, and make their matrices for a batch.

A step is a channel on two qubits (rarely one, or more than two) together with the single-qubit
channels before it, and with all that follows on the same qubits before another step touches one of
them. The matrices of all steps are made together, those that no input enters once for the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np
import torch
from torch import Tensor

from hybridq.quantum.channels import Channel
from hybridq.quantum.matrices import join_runs, multiply_runs

Factor = tuple[list[list[Channel]], Channel | None]
"""A run of single-qubit channels for each qubit, then a channel on all of them, or None."""


@dataclass(eq=False)
class Step:
    """Channels that act as one matrix.

    Attributes:
        qubits: Its qubits, ascending.
        factors: The first to act first.
    """

    qubits: tuple[int, ...]
    factors: list[Factor] = field(default_factory=list)

    @property
    def angles(self) -> set[int]:
        """Indices of the angles it depends on."""
        channels = [one for runs, _ in self.factors for run in runs for one in run]
        channels += [last for _, last in self.factors if last is not None]
        return {channel.angle for channel in channels if channel.angle is not None}


def fuse(channels: Sequence[Channel]) -> list[Step]:
    """Fuse channels into steps, in an order in which they can be applied."""
    waiting: dict[int, list[Channel]] = {}
    newest: dict[int, Step] = {}
    steps: list[Step] = []

    def step_on(qubits: tuple[int, ...]) -> Step:
        """The newest step, if it is on exactly these qubits, or else a new one."""
        found = newest.get(qubits[0])
        if found is None or found.qubits != qubits or any(newest[q] is not found for q in qubits):
            found = Step(qubits)
            steps.append(found)
            newest.update(dict.fromkeys(qubits, found))
        return found

    for channel in channels:
        if len(channel.qubits) == 1:
            waiting.setdefault(channel.qubits[0], []).append(channel)
        else:
            qubits = tuple(sorted(channel.qubits))
            runs = [waiting.pop(qubit, []) for qubit in qubits]
            step_on(qubits).factors.append((runs, _ascending(channel)))
    while waiting:  # what comes after the last step on a qubit
        qubit = next(iter(waiting))
        step = newest.get(qubit) or step_on((qubit,))
        ended = [one for one in step.qubits if newest[one] is step]
        runs = [waiting.pop(one, []) if one in ended else [] for one in step.qubits]
        step.factors.append((runs, None))
    return [Step(step.qubits, _folded(step)) for step in steps]


def _folded(step: Step) -> list[Factor]:
    """The factors of a step, with constant channels that follow one another multiplied."""
    identity = Channel(step.qubits, np.eye(4 ** len(step.qubits))[None])
    folded: list[Factor] = []
    for runs, last in step.factors:
        runs = [_joined(run) for run in runs]
        constant = all(one.angle is None for run in runs for one in run)
        before = folded[-1][1] if folded else identity
        if constant and (last is None or last.angle is None) and (folded or last is not None):
            matrix = np.eye(1)
            for run in runs:
                matrix = np.kron(run[0].matrices[0] if run else np.eye(4), matrix)
            if last is not None:
                matrix = last.matrices[0] @ matrix
            if before is None or before.angle is None:
                matrix = matrix if before is None else matrix @ before.matrices[0]
                done = folded.pop()[0] if folded else [[] for _ in runs]
                folded.append((done, Channel(step.qubits, matrix[None])))
                continue
        folded.append((runs, last))
    return folded


def _joined(run: Sequence[Channel]) -> list[Channel]:
    """A run with constant channels that follow one another multiplied."""
    joined: list[Channel] = []
    for channel in run:
        if joined and channel.angle is None and joined[-1].angle is None:
            product = channel.matrices @ joined.pop().matrices
            channel = Channel(channel.qubits, product)
        joined.append(channel)
    return joined


def _ascending(channel: Channel) -> Channel:
    """The channel with its qubits in ascending order."""
    order = list(np.argsort(channel.qubits))
    k = len(order)
    if order == list(range(k)):
        return channel
    # axis k - 1 - i of the rows, and of the columns, is the digit of qubit i
    axes = [k - 1 - order[k - 1 - axis] for axis in range(k)]
    tensor = channel.matrices.reshape(-1, *(4,) * (2 * k))
    turned = tensor.transpose(0, *(1 + a for a in axes), *(1 + k + a for a in axes))
    matrices = np.ascontiguousarray(turned.reshape(channel.matrices.shape))
    return Channel(tuple(sorted(channel.qubits)), matrices, channel.angle)


class StepMatrices:
    """The matrices of some steps as a function of the angles.

    Args:
        steps: The steps.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._singles = _Bank(1)
        self._runs: list[list[int]] = [[0]]
        self._sizes = [
            _Size(k, [step for step in steps if len(step.qubits) == k], self._add_run)
            for k in sorted({len(step.qubits) for step in steps})
        ]
        self._places = {
            id(step): (place, row)
            for place, size in enumerate(self._sizes)
            for row, step in enumerate(size.steps)
        }
        self.stored = 2 * sum(size.stored for size in self._sizes)

    def _add_run(self, run: Sequence[Channel]) -> int:
        """The place of the product of a run; 0 is the identity."""
        if not run:
            return 0
        self._runs.append([self._singles.add(channel) for channel in run])
        return len(self._runs) - 1

    def __call__(self, phi: Tensor) -> list[tuple[Tensor, ...]]:
        """For each number of qubits the matrices of its steps, `(batch, 4**k, 4**k)` each.

        Args:
            phi: `(batch, num_angles)`, radians, double.
        """
        runs = multiply_runs(self._singles(phi), self._runs)
        return [size(phi, runs).unbind(dim=1) for size in self._sizes]

    def of(self, step: Step, made: Sequence[Sequence[Tensor]]) -> Tensor:
        """The matrices of one of the steps, `(batch, 4**k, 4**k)`."""
        place, row = self._places[id(step)]
        return made[place][row]


class _Size:
    """The steps on one number of qubits.

    Args:
        num_qubits: How many, k.
        steps: The steps.
        add_run: Takes a run and says where its product will be.
    """

    def __init__(
        self, num_qubits: int, steps: list[Step], add_run: Callable[[Sequence[Channel]], int]
    ) -> None:
        self.steps = steps
        self._lasts = _Bank(num_qubits)
        longest = max(len(step.factors) for step in steps)
        idle: Factor = ([[]] * num_qubits, None)
        self._members: list[list[list[int]]] = []
        self._chosen: list[list[int]] = []
        for place in range(longest):
            factors = [(*step.factors, *[idle] * longest)[place] for step in steps]
            self._members.append([[add_run(run) for run in reversed(runs)] for runs, _ in factors])
            self._chosen.append([0 if c is None else self._lasts.add(c) for _, c in factors])
        self.stored = longest * len(steps) * 16**num_qubits

    def __call__(self, phi: Tensor, runs: Tensor) -> Tensor:
        parts = []
        bank = self._lasts(phi)
        for members, chosen in zip(self._members, self._chosen, strict=True):
            if any(map(any, members)):
                parts.append(join_runs(runs, members))
            if any(chosen):
                parts.append(bank[:, chosen])
        return reduce(lambda before, after: after @ before, parts)


class _Bank:
    """Channels on one number of qubits, their matrices made together; the first is the identity."""

    def __init__(self, num_qubits: int) -> None:
        identity = np.zeros((3, 4**num_qubits, 4**num_qubits))
        identity[0] = np.eye(4**num_qubits)
        self._parts = [identity]
        self._angles: list[int] = []
        self._found: dict[tuple[bytes, int | None], int] = {}
        self._turning: list[int] = []

    def add(self, channel: Channel) -> int:
        """The place of a channel; equal ones share it."""
        key = (channel.matrices.tobytes(), channel.angle)
        if key not in self._found:
            self._found[key] = len(self._parts)
            parts = np.zeros((3, *channel.matrices.shape[1:]))
            parts[: len(channel.matrices)] = channel.matrices
            if channel.angle is not None:
                self._turning.append(len(self._parts))
                self._angles.append(channel.angle)
            self._parts.append(parts)
        return self._found[key]

    @cached_property
    def _stacked(self) -> Tensor:
        """All channels, `(channels, 3, 4**k, 4**k)`; none is added afterwards."""
        return torch.from_numpy(np.stack(self._parts))

    def __call__(self, phi: Tensor) -> Tensor:
        """The matrices, `(batch, channels, 4**k, 4**k)`."""
        parts = self._stacked.to(phi)
        made = parts[None, :, 0].expand(len(phi), -1, -1, -1)
        if not self._turning:
            return made
        chosen = phi[:, self._angles, None, None]
        turning = parts[self._turning]
        turned = chosen.cos() * turning[:, 1] + chosen.sin() * turning[:, 2]
        return made.index_add(1, torch.tensor(self._turning, device=phi.device), turned)
