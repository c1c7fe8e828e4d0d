"""Compute the signs of Pauli strings on basis states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def signs(num_qubits: int, masks: Sequence[int]) -> Tensor:
    """Compute `(-1)**parity(j & mask)` for each mask and basis state j.

    Args:
        num_qubits: The number of qubits of the basis states.
        masks: Bits of the qubits that count.

    Returns:
        `(len(masks), 2**num_qubits)`, double.
    """
    index = torch.arange(2**num_qubits) & torch.tensor(masks)[:, None]
    parity = torch.zeros_like(index)
    for bit in range(num_qubits):
        parity ^= index >> bit & 1
    return (1 - 2 * parity).double()
