"""Compute expectation values of Pauli sums for a batch of states without large matrices.

With the bits x where a Pauli string is X or Y, and z where it is Z or Y, and its number of Y being
y, `<P> = sum_j conj(psi[j ^ x]) psi[j] i**y (-1)**parity(j & z)`. Strings of one x share the
product of amplitudes, and the sum with signs is two small matrix products, over the upper and over
the lower qubits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum.statevector.permute import permute
from hybridq.quantum.statevector.signs import signs

_MOST_LOW = 10  # qubits of the second product


class PauliSums:
    """A function from states to the expectation values of several observables.

    Args:
        observables: Pauli sums with real coefficients, on `n` qubits each.

    Attributes:
        stored: The memory that autograd keeps for it, in states, approximately.

    Raises:
        InvalidValueError: If a coefficient is not real.
    """

    def __init__(self, observables: Sequence[SparsePauliOp]) -> None:
        self.num_qubits: int = observables[0].num_qubits
        self.num_observables = len(observables)
        terms: dict[tuple[int, bool], dict[int, Tensor]] = {}
        for column, observable in enumerate(observables):
            for x, z, value in _strings(observable):
                turns = (x & z).bit_count()
                sign = -1.0 if turns % 4 in (1, 2) else 1.0  # Re(i v) = -Im v, i**2 = -1
                row = terms.setdefault((x, turns % 2 == 1), {}).setdefault(
                    z, torch.zeros(self.num_observables, dtype=torch.float64)
                )
                row[column] += sign * value
        self.stored = 2 + sum(x != 0 for x, _ in terms)
        num_low = min(self.num_qubits, _MOST_LOW)
        self._parts = [
            _Part(x, odd, rows, self.num_qubits, num_low) for (x, odd), rows in terms.items()
        ]

    def __call__(self, states: Tensor) -> Tensor:
        """Compute the expectation values.

        Args:
            states: Amplitudes `(2**n, batch)`, real or complex.

        Returns:
            `(batch, num_observables)`, real, in the precision of the states.
        """
        total = states.real.new_zeros(self.num_observables, states.shape[1])
        for part in self._parts:
            if part.odd and not states.is_complex():
                continue  # an odd number of Y has no value in a real state
            total = total + self._value(part, states)
        return total.T

    def _value(self, part: _Part, states: Tensor) -> Tensor:
        """Compute the sum over the strings of one x, `(num_observables, batch)`."""
        partner = states
        if part.x:
            index = torch.arange(len(states), device=states.device) ^ part.x
            partner = permute(states, index, index)
        if not states.is_complex():
            products = partner * states
        elif part.odd:
            products = partner.real * states.imag - partner.imag * states.real
        else:
            products = partner.real * states.real + partner.imag * states.imag
        high, low, values = (one.to(products) for one in (part.high, part.low, part.values))
        sums = (high @ products.reshape(high.shape[1], -1)).view(len(high), low.shape[1], -1)
        return values @ (low @ sums).flatten(0, 1)[part.picked.to(states.device)]


class _Part:
    """The Pauli strings of one x, and of an even or an odd number of Y.

    Args:
        x: Bits of X and Y.
        odd: Whether the number of Y is odd.
        rows: The coefficients of each z, `(num_observables,)`.
        num_qubits: The number of qubits of the observables.
        num_low: The number of qubits of the second product.

    Attributes:
        high: Signs over the upper qubits, `(patterns, 2**(n - num_low))`.
        low: Signs over the lower qubits, `(patterns, 2**num_low)`.
        picked: Indices of the pairs of patterns that are strings, `(num_strings,)`.
        values: Coefficients, `(num_observables, num_strings)`.
    """

    def __init__(
        self, x: int, odd: bool, rows: dict[int, Tensor], num_qubits: int, num_low: int
    ) -> None:
        self.x = x
        self.odd = odd
        self.values = torch.stack(list(rows.values()), dim=1)
        bits = (1 << num_low) - 1
        lows = sorted({z & bits for z in rows})
        highs = sorted({z >> num_low for z in rows})
        self.low = signs(num_low, lows)
        self.high = signs(num_qubits - num_low, highs)
        self.picked = torch.tensor(
            [highs.index(z >> num_low) * len(lows) + lows.index(z & bits) for z in rows]
        )


def _strings(observable: SparsePauliOp) -> list[tuple[int, int, float]]:
    """Yield bits of x, bits of z and coefficient of each Pauli string."""
    paulis = observable.paulis
    coefficients = observable.coeffs * (-1j) ** paulis.phase.astype(int)
    if abs(coefficients.imag).max(initial=0.0) > 1e-12:
        raise InvalidValueError(
            "Expected observables with real coefficients, got a complex one: "
            "make them real, as an expectation value is for Hermitian operators only."
        )

    def bits(row: Sequence[bool]) -> int:
        return sum(1 << qubit for qubit, there in enumerate(row) if there)

    return [
        (bits(x), bits(z), float(value.real))
        for x, z, value in zip(paulis.x, paulis.z, coefficients, strict=True)
    ]
