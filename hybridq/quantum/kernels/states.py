"""Exact states of many rows of features, and the kernels that follow from them."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum.circuits import ParametrizedCircuit, z_observables
from hybridq.quantum.split_circuit import split_circuit
from hybridq.quantum.statevector.simulator import StatevectorEngine

CHUNK = 2**22
"""Amplitudes that are computed at once."""


class StateMap:
    """A function from rows of features to the states of a circuit, differentiable.

    Args:
        feature_map: The circuit.
    """

    def __init__(self, feature_map: ParametrizedCircuit) -> None:
        parts = feature_map.input_params, feature_map.weight_params
        self._sizes = tuple(map(len, parts))
        self._split = split_circuit(feature_map.circuit, *parts)
        num_qubits = feature_map.circuit.num_qubits
        self._engine = StatevectorEngine(self._split, z_observables(num_qubits))
        self._rows = max(1, CHUNK // 2**num_qubits)

    def __call__(self, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the state of each row.

        Args:
            rows: Features in radians, `(rows, num_inputs)`, double.
            weights: The circuit's weights in radians, `(num_weights,)`, double; None without any.

        Returns:
            Amplitudes `(rows, 2**n)`, each up to a phase of its own; real where the circuit is.

        Raises:
            InvalidValueError: If the rows or the weights do not fit the circuit.
        """
        num_inputs, num_weights = self._sizes
        given = rows.new_zeros(0) if weights is None else weights
        if rows.ndim != 2 or rows.shape[1] != num_inputs or given.shape != (num_weights,):
            raise InvalidValueError(
                f"Expected rows of {num_inputs} features and {num_weights} weights, got shapes "
                f"{tuple(rows.shape)} and {tuple(given.shape)}: reduce the features, or take "
                "another circuit."
            )
        found = [
            self._engine.states(self._split.phases(part.double(), given.double())).T.expand(
                part.shape[0], -1
            )
            for part in torch.split(rows, self._rows)
        ]
        return torch.cat(found)


def feature_states(
    feature_map: ParametrizedCircuit, rows: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Compute the state of each row of features once, as `StateMap` does.

    Args:
        feature_map: The circuit.
        rows: Features in radians, `(rows, num_inputs)`, double.
        weights: Its weights in radians, `(num_weights,)`, double; None where it has none.

    Returns:
        Amplitudes `(rows, 2**n)`.

    Raises:
        InvalidValueError: If the rows or the weights do not fit the circuit.
    """
    return StateMap(feature_map)(rows, weights)


def fidelities(first: Tensor, second: Tensor) -> Tensor:
    """Compute `|<a|b>|^2` of all pairs of states.

    Args:
        first: States `(rows, amplitudes)`.
        second: States `(columns, amplitudes)`.

    Returns:
        `(rows, columns)`, double, at most 1 but for rounding.
    """
    overlaps = first.conj() @ second.T
    return overlaps.real**2 + overlaps.imag**2 if overlaps.is_complex() else overlaps**2


def qubit_densities(states: Tensor) -> Tensor:
    """Compute the reduced density matrix of every qubit as its Bloch vector.

    Args:
        states: States `(rows, 2**n)`.

    Returns:
        `<X>, <Y>, <Z>` of each qubit, `(rows, n, 3)`, double.
    """
    rows, size = states.shape
    num_qubits = size.bit_length() - 1
    found = []
    for qubit in range(num_qubits):
        parts = states.reshape(rows, 2 ** (num_qubits - 1 - qubit), 2, 2**qubit)
        zero, one = parts[:, :, 0], parts[:, :, 1]
        cross = (zero.conj() * one).sum(dim=(1, 2))
        imag = cross.imag if cross.is_complex() else torch.zeros_like(cross)
        real = cross.real if cross.is_complex() else cross
        weights = [(part.abs() ** 2).sum(dim=(1, 2)) for part in (zero, one)]
        found.append(torch.stack([2 * real, 2 * imag, weights[0] - weights[1]], dim=1))
    return torch.stack(found, dim=1)


def projected_kernel(first: Tensor, second: Tensor, gamma: float) -> Tensor:
    """Compute the projected quantum kernel of Huang et al. 2021, Nat. Commun. 12:2631, eq. 9.

    It is `exp(-gamma sum_k |rho_k(x) - rho_k(y)|_F^2)` over one-qubit reduced density matrices; the
    squared Frobenius distance of two is half that of their Bloch vectors.

    Args:
        first: Bloch vectors `(rows, n, 3)`, as `qubit_densities` gives them.
        second: Bloch vectors `(columns, n, 3)`.
        gamma: The factor, above 0.

    Returns:
        `(rows, columns)`, double.
    """
    a, b = first.flatten(1), second.flatten(1)
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T
    return torch.exp(-gamma * squares.clamp(min=0) / 2)
