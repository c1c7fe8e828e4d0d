"""Compute the Pauli transfer matrices of many channels together for a batch of angles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hybridq.quantum.density.channels import Channel


class TransferMatrices:
    """The transfer matrices of some channels as a function of the angles.

    Args:
        channels: The channels.

    Attributes:
        stored: Count of the numbers that the matrices of one sample and their gradients take.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._count = len(channels)
        self._constants = {
            place: torch.from_numpy(channel.matrices)
            for place, channel in enumerate(channels)
            if not channel.angles
        }
        turning = [place for place, channel in enumerate(channels) if channel.angles]
        widths = sorted({len(channels[place].qubits) for place in turning})
        self._stacks = []
        for width in widths:
            places = [place for place in turning if len(channels[place].qubits) == width]
            self._stacks.append((places, _Stack([channels[place] for place in places])))
        self.stored = 2 * sum(16 ** len(channel.qubits) for channel in channels)

    def __call__(self, phi: Tensor) -> list[Tensor]:
        """Compute the matrices of each channel, `(1 or batch, 4**k, 4**k)`; 1 if it is constant.

        Args:
            phi: `(batch, num_angles)`, radians, double.
        """
        made = {place: matrix.to(phi) for place, matrix in self._constants.items()}
        for places, stack in self._stacks:
            made.update(zip(places, stack(phi), strict=True))
        return [made[place] for place in range(self._count)]


class _Stack:
    """Channels on the same number of qubits, each with at least one angle."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        most = max(len(channel.angles) for channel in channels)
        size = channels[0].matrices.shape[-1]
        parts = np.zeros((len(channels), 3**most, size * size))
        for row, channel in zip(parts, channels, strict=True):
            # one with fewer angles multiplies 1 of the others
            row[:: 3 ** (most - len(channel.angles))] = channel.matrices.reshape(-1, size * size)
        padded = [(*channel.angles, *(0,) * most)[:most] for channel in channels]
        self._shape = (len(channels), -1, size, size)
        self._parts = torch.from_numpy(parts)
        self._angles = torch.tensor(padded).T.flatten()
        self._most = most

    def __call__(self, phi: Tensor) -> tuple[Tensor, ...]:
        """Compute the matrices, `(batch, 4**k, 4**k)` each."""
        angles = phi.T.index_select(0, self._angles.to(phi.device))
        waves = torch.stack([torch.ones_like(angles), angles.cos(), angles.sin()], dim=2)
        first, *others = waves.view(self._most, -1, *waves.shape[1:]).unbind()
        for other in others:
            first = (first[..., :, None] * other[..., None, :]).flatten(2)
        return torch.bmm(first, self._parts.to(phi)).view(self._shape).unbind()
