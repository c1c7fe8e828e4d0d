"""The swap test of two registers, each an amplitude-encoded vector behind trainable rotations.

A vector of 2^m real amplitudes is prepared on m qubits by a tree of multiplexed RY rotations
(Mottonen et al., arXiv:quant-ph/0407010), then turned by layers of RY and CZ. The ancilla of the
swap test of two such states q and k has `<Z> = |<q|k>|^2` (Buhrman et al.,
arXiv:quant-ph/0102001).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum.circuits import ANSAETZE, ENTANGLEMENTS, ParametrizedCircuit

RING = ENTANGLEMENTS["ring"]
"""The pairs of qubits of a register that its layers entangle."""
TINY = 1e-12
"""Added to a squared norm before a root, whose slope at 0 would be infinite."""


def num_amplitude_qubits(size: int) -> int:
    """Count the qubits that hold a vector.

    Raises:
        InvalidValueError: If its size is no power of two from 2 on.
    """
    num_qubits = size.bit_length() - 1
    if size < 2 or size != 2**num_qubits:
        raise InvalidValueError(
            f"Expected vectors of 2, 4, 8, ... values for amplitudes, got {size}: take a power of "
            "two."
        )
    return num_qubits


def swap_test_circuit(num_qubits: int, num_layers: int) -> ParametrizedCircuit:
    """Build the swap test of two registers of `num_qubits` qubits with an ancilla, qubit 0.

    Inputs are the angles of the first vector and then those of the second, as `amplitude_angles`
    gives them; weights are those of the first register and then those of the second.
    """
    width = 2**num_qubits - 1
    count = num_qubits * (num_layers + 1)
    inputs, weights = list(ParameterVector("x", 2 * width)), list(ParameterVector("w", 2 * count))
    circuit = QuantumCircuit(2 * num_qubits + 1, name="swap-test")
    for register in range(2):
        qubits = range(1 + register * num_qubits, 1 + (register + 1) * num_qubits)
        prepared = _preparation(num_qubits, inputs[register * width : (register + 1) * width])
        circuit.compose(prepared, qubits, inplace=True)
        own = iter(weights[register * count : (register + 1) * count])
        for layer in ANSAETZE["ry_cz"](num_qubits, num_layers, RING):
            named = {parameter: next(own) for parameter in layer.parameters}
            circuit.compose(layer.assign_parameters(named), qubits, inplace=True)
    test = QuantumCircuit(2 * num_qubits + 1)
    test.h(0)
    for qubit in range(1, num_qubits + 1):
        test.cswap(0, qubit, qubit + num_qubits)
    test.h(0)
    circuit.compose(test.decompose("cswap"), inplace=True)
    return ParametrizedCircuit(circuit, tuple(inputs), tuple(weights))


def ancilla(num_qubits: int) -> SparsePauliOp:
    """Make Z on the ancilla of the swap test of registers of `num_qubits` qubits."""
    return SparsePauliOp("I" * (2 * num_qubits) + "Z")


def amplitude_angles(vectors: Tensor) -> Tensor:
    """Compute the angles with which `swap_test_circuit` prepares vectors.

    Args:
        vectors: Real vectors `(..., 2**m)`; their length does not matter.

    Returns:
        Angles in radians `(..., 2**m - 1)`.
    """
    num_qubits = num_amplitude_qubits(vectors.shape[-1])
    norms, angles = vectors, []
    for level in range(num_qubits):  # from the leaves, which have a sign, to the root
        pairs = norms.reshape(*norms.shape[:-1], -1, 2)
        turned = 2 * torch.atan2(pairs[..., 1], pairs[..., 0])
        norms = (pairs.square().sum(dim=-1) + TINY).sqrt()
        angles.append(turned @ _walsh(num_qubits - 1 - level).to(turned))
    return torch.cat(angles[::-1], dim=-1)


def overlaps(queries: Tensor, keys: Tensor, weights: Tensor, num_layers: int) -> Tensor:
    """Compute what the swap test measures, `|<q_i|k_j>|^2`, for all pairs at once.

    Args:
        queries: Real vectors `(..., T, 2**m)`.
        keys: Real vectors `(..., S, 2**m)`.
        weights: The circuit's weights, in radians.
        num_layers: Trainable layers of each register.

    Returns:
        `(..., T, S)`.
    """
    num_qubits = num_amplitude_qubits(queries.shape[-1])
    first, second = weights.to(queries.dtype).chunk(2)
    turned = _unit(queries) @ _rotation(first, num_qubits, num_layers).mT
    found: Tensor = turned @ (_unit(keys) @ _rotation(second, num_qubits, num_layers).mT).mT
    return found.square()


def _unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.square().sum(dim=-1, keepdim=True) + TINY).sqrt()


def _preparation(num_qubits: int, angles: list[Parameter]) -> QuantumCircuit:
    """Prepare amplitudes, the most significant qubit first, by multiplexed rotations."""
    circuit = QuantumCircuit(num_qubits)
    used = 0
    for level in range(num_qubits):
        target = num_qubits - 1 - level
        controls = list(range(target + 1, num_qubits))
        for place in range(2**level):
            circuit.ry(angles[used], target)
            used += 1
            if level:
                circuit.cx(controls[_flipped(place, level)], target)
    return circuit


def _flipped(place: int, level: int) -> int:
    """The bit in which a Gray code of `level` bits changes after a place; the last closes it."""
    step = place + 1
    return level - 1 if step == 2**level else (step & -step).bit_length() - 1


@lru_cache(maxsize=16)
def _walsh(level: int) -> Tensor:
    """The map from the angles of a multiplexed rotation to those of its 2^level rotations.

    It is orthogonal up to scale: entry (branch, place) is `(-1)^(branch . gray(place)) / 2^level`.
    """
    count = 2**level
    gray = [place ^ (place >> 1) for place in range(count)]
    signs = [[(-1) ** (branch & code).bit_count() for code in gray] for branch in range(count)]
    found: Tensor = torch.tensor(signs, dtype=torch.float64) / count
    return found


def _rotation(weights: Tensor, num_qubits: int, num_layers: int) -> Tensor:
    """The orthogonal matrix `(2**m, 2**m)` of the trainable rotations of a register."""
    angles = weights.view(num_layers + 1, num_qubits)
    signs = _ring_of_cz(num_qubits).to(weights)
    matrix: Tensor = torch.eye(2**num_qubits, dtype=weights.dtype, device=weights.device)
    for layer in range(num_layers + 1):
        turned = _products(angles[layer])
        matrix = turned @ matrix
        if layer < num_layers:
            matrix = signs[:, None] * matrix
    return matrix


def _products(angles: Tensor) -> Tensor:
    """The Kronecker product of RY rotations, qubit 0 the least significant."""
    cosines, sines = (angles / 2).cos(), (angles / 2).sin()
    rotations = torch.stack([cosines, -sines, sines, cosines], dim=-1).view(-1, 2, 2)
    product = rotations[0]
    for rotation in rotations[1:]:
        product = torch.einsum("ab,cd->acbd", rotation, product).flatten(2, 3).flatten(0, 1)
    return product


@lru_cache(maxsize=16)
def _ring_of_cz(num_qubits: int) -> Tensor:
    """The signs `(2**m,)` of the CZ gates of a layer."""
    pairs = RING(num_qubits, 1)
    signs = [
        math.prod(-1 if state >> a & state >> b & 1 else 1 for a, b in pairs)
        for state in range(2**num_qubits)
    ]
    return torch.tensor(signs, dtype=torch.float64)
