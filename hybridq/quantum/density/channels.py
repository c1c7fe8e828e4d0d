"""Turn a noisy circuit into a list of channels, each a real Pauli transfer matrix.

A density matrix of n qubits is the vector of its 4**n Pauli expectation values, r_P = Tr(P rho),
and a channel E the real matrix R_PQ = Tr(P E(Q)) / 2**n (Greenbaum, arXiv:1509.02921, section 2.1).
A rotation exp(-i phi G / 2) with G*G = 1 has R(phi) = R_0 + cos(phi) R_c + sin(phi) R_s, and so
channels in a row have a sum over products of 1, cos and sin of their angles. The digit of qubit 0
(I, X, Y, Z as 0 to 3) is the lowest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter, ParameterExpression
from qiskit.circuit.library import RYGate, RZGate, get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Operator, SuperOp
from qiskit_aer.noise import NoiseModel

from hybridq.errors import InvalidValueError
from hybridq.quantum.split_circuit import ROTATIONS
from hybridq_backends.noise.channels import noisy_operations

FloatArray = NDArray[np.float64]

_PAULIS = (
    np.eye(2, dtype=complex),
    np.array([[0, 1], [1, 0]], dtype=complex),
    np.array([[0, -1j], [1j, 0]]),
    np.diag([1 + 0j, -1]),
)


@dataclass(frozen=True, eq=False)
class Channel:
    """A channel on some qubits, which may depend on angles.

    Attributes:
        qubits: The qubits, the lowest digit of the matrices first.
        matrices: The factors of 1, cos and sin of each of m angles, `(3**m, 4**k, 4**k)`; the
            first angle varies slowest.
        angles: Indices of the angles.
    """

    qubits: tuple[int, ...]
    matrices: FloatArray
    angles: tuple[int, ...] = ()

    def then(self, after: Channel) -> Channel:
        """Compose this channel with a later one on the same qubits."""
        products = after.matrices[None] @ self.matrices[:, None]
        matrices = products.reshape(-1, *products.shape[2:])
        return Channel(self.qubits, matrices, self.angles + after.angles)

    def on(self, qubits: tuple[int, ...]) -> Channel:
        """Extend the channel to these qubits, in this order, as the identity on new ones."""
        new = [qubit for qubit in qubits if qubit not in self.qubits]
        order = [*self.qubits, *new]
        wide = np.kron(np.eye(4 ** len(new)), self.matrices)
        k = len(qubits)
        # axis k - 1 - i of the rows, and of the columns, is the digit of the i-th qubit
        axes = [k - 1 - order.index(qubit) for qubit in reversed(qubits)]
        tensor = wide.reshape(-1, *(4,) * (2 * k))
        turned = tensor.transpose(0, *(1 + a for a in axes), *(1 + k + a for a in axes))
        return Channel(qubits, np.ascontiguousarray(turned.reshape(wide.shape)), self.angles)


def circuit_channels(
    circuit: QuantumCircuit, params: Sequence[Parameter], model: NoiseModel
) -> list[Channel]:
    """List the channels of a circuit, each gate with the noise that follows it.

    Args:
        circuit: A circuit in the gates that carry the noise; each angle of a gate is a number or
            one plain parameter.
        params: The parameters, in the order of the angles.
        model: The noise model, on the qubits of the circuit.

    Raises:
        InvalidValueError: If an instruction is neither a gate nor a channel, or its angle an
            expression.
    """
    column = {param: index for index, param in enumerate(params)}
    channels = []
    for item in noisy_operations(circuit, model):
        noise = None if item.noise is None else transfer_matrix(item.noise)
        parts = list(_parts(item.operation, item.qubits, column))
        if noise is not None and parts[-1].qubits != item.qubits:
            parts.append(Channel(item.qubits, noise[None]))
        elif noise is not None:
            last = parts[-1]
            parts[-1] = last.then(Channel(last.qubits, noise[None]))
        channels += parts
    return channels


def transfer_matrix(channel: SuperOp) -> FloatArray:
    """Compute the Pauli transfer matrix `(4**k, 4**k)` of a channel on k qubits."""
    basis = _basis(int(channel.num_qubits))
    matrix = basis.conj().T @ np.asarray(channel.data) @ basis
    return np.ascontiguousarray(matrix.real)


@lru_cache(maxsize=8)
def _basis(num_qubits: int) -> NDArray[np.complex128]:
    """Make a matrix whose columns are the Pauli strings, vectorised by columns, of norm 1."""
    columns = []
    for word in product(_PAULIS, repeat=num_qubits):
        string = np.ones((1, 1), dtype=complex)
        for pauli in word:
            string = np.kron(string, pauli)
        columns.append(string.flatten(order="F") / np.sqrt(2**num_qubits))
    return np.stack(columns, axis=1)


def _parts(
    operation: Instruction, qubits: tuple[int, ...], column: dict[Parameter, int]
) -> Iterator[Channel]:
    """Yield an operation without noise: one constant channel, or rotations of one angle each."""
    values: list[Any] = list(getattr(operation, "params", ()))
    if not any(isinstance(value, ParameterExpression) and value.parameters for value in values):
        yield Channel(qubits, _constant(operation)[None])
    elif operation.name in ROTATIONS:
        if values[0] not in column:
            raise InvalidValueError(
                f"Expected plain angles, got {values[0]} in `{operation.name}`: split the circuit."
            )
        yield Channel(qubits, _rotation(operation.name), (column[values[0]],))
    elif operation.name in ("u", "u3", "u2", "u1"):
        theta, phi, lam = {3: values, 2: [np.pi / 2, *values], 1: [0.0, 0.0, *values]}[len(values)]
        for gate in (RZGate(lam), RYGate(theta), RZGate(phi)):
            yield from _parts(gate, qubits, column)
    elif operation.definition is not None:
        for item in operation.definition.data:
            places = [operation.definition.find_bit(qubit).index for qubit in item.qubits]
            yield from _parts(item.operation, tuple(qubits[place] for place in places), column)
    else:
        raise InvalidValueError(
            f"Expected angles in {', '.join(ROTATIONS)} or gates made of them, got one in "
            f"`{operation.name}`: transpile the circuit."
        )


def _constant(operation: Instruction) -> FloatArray:
    try:
        try:
            return transfer_matrix(SuperOp(Operator(operation)))
        except QiskitError:  # not a unitary
            return transfer_matrix(SuperOp(operation))
    except QiskitError as error:
        raise InvalidValueError(
            f"Expected gates and channels, got `{operation.name}`: remove measurements and "
            "control flow."
        ) from error


@lru_cache(maxsize=32)
def _rotation(name: str) -> FloatArray:
    """Compute R_0, R_c and R_s of a rotation from three of its values."""
    gate = get_standard_gate_name_mapping()[name].base_class
    zero, quarter, half = (_constant(gate(angle)) for angle in (0.0, np.pi / 2, np.pi))
    middle = (zero + half) / 2
    return np.stack([middle, (zero - half) / 2, quarter - middle])
