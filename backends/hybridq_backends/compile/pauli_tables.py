"""Pauli terms as numbers: coefficients, measured qubits, signs of outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray

from hybridq_backends.errors import InvalidValueError

FloatArray: TypeAlias = npt.NDArray[np.float64]


def support(label: str) -> list[int]:
    """List the qubits, ascending, on which a Pauli label is not the identity."""
    return [qubit for qubit, letter in enumerate(reversed(label)) if letter != "I"]


def coefficient_table(observables: ObservablesArray) -> tuple[list[str], FloatArray]:
    """Split observables into terms.

    Args:
        observables: An array of observables, of any shape, O in all.

    Returns:
        The T distinct Pauli labels, sorted, and real coefficients (O, T).

    Raises:
        InvalidValueError: If a term is not a Pauli string.
    """
    tables = list(observables.ravel())
    labels = sorted({label for table in tables for label in table})
    for label in labels:
        if set(label) - set("IXYZ"):
            raise InvalidValueError(
                f"Expected observables made of I, X, Y, Z, got {label!r}: expand projectors."
            )
    position = {label: i for i, label in enumerate(labels)}
    coefficients = np.zeros((len(tables), len(labels)))
    for row, table in enumerate(tables):
        for label, coefficient in table.items():
            coefficients[row, position[label]] = np.real(coefficient)
    return labels, coefficients


def broadcast_terms(values: FloatArray, pub: EstimatorPub) -> FloatArray:
    """Arrange values (points, observables), both flat, in the broadcast shape of a PUB."""
    shape = pub.parameter_values.shape
    points = np.arange(len(values)).reshape(shape)
    observables = np.arange(values.shape[1]).reshape(pub.observables.shape)
    rows, columns = np.broadcast_arrays(points, observables)
    arranged: FloatArray = values[rows, columns]
    return arranged


def measured_mask(group: Sequence[str]) -> int:
    """Set a bit for each qubit on which some label of the group is not the identity."""
    mask = 0
    for label in group:
        for qubit in support(label):
            mask |= 1 << qubit
    return mask


def outcome_signs(
    outcomes: npt.NDArray[np.int64], group: Sequence[str], qubits: Sequence[int]
) -> FloatArray:
    """Compute the eigenvalue, +1 or -1, of each term for each outcome.

    Args:
        outcomes: Integers whose bit i is the result on `qubits[i]`.
        group: T Pauli labels.
        qubits: The measured qubits.

    Returns:
        (outcomes, T).
    """
    position = {qubit: i for i, qubit in enumerate(qubits)}
    signs = np.ones((len(outcomes), len(group)))
    for column, label in enumerate(group):
        for qubit in support(label):
            signs[:, column] *= 1.0 - 2.0 * ((outcomes >> position[qubit]) & 1)
    return signs
