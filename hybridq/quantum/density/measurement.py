"""Turn the measurement of observables on a noisy device into vectors of Pauli coefficients.

Terms that commute qubit by qubit share a circuit, as on Aer: a basis change with its gate noise,
then a reading of each qubit with its assignment matrix A[true, read]. The reading of Z is then
a I + b Z, with a = (e_0 + e_1) / 2, b = (e_0 - e_1) / 2 and e_t = A[t, 0] - A[t, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.primitives.containers.observables_array import ObservablesArray
from torch import Tensor

from hybridq.quantum.density.channels import Channel, circuit_channels
from hybridq_backends.compile.pauli_tables import coefficient_table, support
from hybridq_backends.noise.channels import readout_assignments
from hybridq_backends.simulators.aer import Machine, commuting_groups, measurement_basis

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Terms that are read in one circuit.

    Attributes:
        means: The part that it adds to the value of each observable, `(num_observables, 4**n)`.
        products: For each pair of observables, as `pairs` lists them, the mean product of the
            parts that it adds to the two in one shot, `(num_pairs, 4**n)`.
    """

    means: Tensor
    products: Tensor


def pairs(num_observables: int) -> list[tuple[int, int]]:
    """List all pairs of observables once, each observable with itself included."""
    return list(combinations_with_replacement(range(num_observables), 2))


def measured_groups(observables: ObservablesArray, machine: Machine) -> list[Group]:
    """Group the terms of observables by the circuits that measure them.

    Args:
        observables: A column of Pauli sums on the qubits of a prepared circuit.
        machine: Its simulator, with noise model and basis changes.
    """
    labels, coefficients = coefficient_table(observables)
    groups = []
    for group in commuting_groups(labels):
        terms = coefficients[:, [labels.index(label) for label in group]]
        bits = [sum(1 << qubit for qubit in support(label)) for label in group]
        crossed = sorted({a ^ b for a in bits for b in bits})
        weights = np.zeros((len(pairs(len(terms))), len(crossed)))
        for row, (one, other) in enumerate(pairs(len(terms))):
            for a, left in zip(bits, terms[one], strict=True):
                for b, right in zip(bits, terms[other], strict=True):
                    weights[row, crossed.index(a ^ b)] += left * right
        read = _Reading(group, machine)
        groups.append(
            Group(torch.from_numpy(terms @ read(bits)), torch.from_numpy(weights @ read(crossed)))
        )
    return groups


class _Reading:
    """A map from products of read bits to the operators before the basis change."""

    def __init__(self, group: Sequence[str], machine: Machine) -> None:
        self.num_qubits = len(group[0])
        model = machine.noise_model
        self._assignments = readout_assignments(model, self.num_qubits)
        self._changes = circuit_channels(measurement_basis(group, machine), (), model)

    def __call__(self, masks: Sequence[int]) -> FloatArray:
        """Compute the product of the read signs of each set of qubits, `(sets, 4**n)`."""
        rows = np.stack([self._signs(mask) for mask in masks])
        for channel in reversed(self._changes):
            rows = _pulled(rows, channel, self.num_qubits)
        return rows

    def _signs(self, mask: int) -> FloatArray:
        signs: Any = np.ones(1)
        for qubit in range(self.num_qubits):
            signs = np.kron(self._sign(qubit, bool(mask >> qubit & 1)), signs)
        return np.asarray(signs, dtype=np.float64)

    def _sign(self, qubit: int, is_read: bool) -> FloatArray:
        if not is_read:
            return np.array([1.0, 0.0, 0.0, 0.0])
        assignment = self._assignments.get(qubit, np.eye(2))
        zero, one = assignment[:, 0] - assignment[:, 1]
        return np.array([(zero + one) / 2, 0.0, 0.0, (zero - one) / 2])


def _pulled(rows: FloatArray, channel: Channel, num_qubits: int) -> FloatArray:
    """Pull observables back through a constant channel on one qubit."""
    axis = num_qubits - channel.qubits[0]
    tensor = np.moveaxis(rows.reshape(-1, *(4,) * num_qubits), axis, -1)
    pulled: FloatArray = np.moveaxis(tensor @ channel.matrices[0], -1, axis)
    return pulled.reshape(len(rows), -1)
