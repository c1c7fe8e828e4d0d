"""Parametrised circuits: an encoding of the inputs, then a trainable ansatz.

The names are in three dicts, `ENCODINGS`, `ANSAETZE` and `ENTANGLEMENTS`, and `build_circuit` puts
the parts together. All angles are in radians.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.circuit.library import (
    efficient_su2,
    n_local,
    real_amplitudes,
    z_feature_map,
    zz_feature_map,
)
from qiskit.quantum_info import SparsePauliOp

from hybridq.errors import InvalidValueError
from hybridq.quantum.look_up import look_up

Pairs = list[tuple[int, int]]
"""The pairs of qubits that are entangled: (control, target), in the order of the gates."""

Entangler = Callable[[int, int], Pairs]
"""A function from the number of qubits and the range (1 = nearest neighbours) to pairs."""

MAX_QUBITS = 20


@dataclass(frozen=True)
class ParametrizedCircuit:
    """A circuit, and which of its parameters are inputs and which are weights.

    Attributes:
        circuit: The logical circuit, without measurements.
        input_params: One parameter for each input, in the order of the input's columns.
        weight_params: The trainable parameters, in the order of the weight vector.
    """

    circuit: QuantumCircuit
    input_params: tuple[Parameter, ...]
    weight_params: tuple[Parameter, ...]


@dataclass(frozen=True)
class Encoding:
    """How inputs enter the circuit.

    Attributes:
        build: A function from the number of qubits and the entanglement to a circuit with one
            parameter for each qubit.
        repeated: Whether it is repeated before each trainable layer (data re-uploading).
    """

    build: Callable[[int, Entangler], QuantumCircuit]
    repeated: bool = False


def _linear(num_qubits: int, distance: int) -> Pairs:
    """Pair each qubit with the one `distance` further on, without wrapping round."""
    return [(i, i + distance) for i in range(num_qubits - distance)]


def _ring(num_qubits: int, distance: int) -> Pairs:
    """Pair qubits as `linear` does, wrapping round; two qubits have one pair."""
    if num_qubits < 3:
        return _linear(num_qubits, 1)
    return [(i, (i + distance) % num_qubits) for i in range(num_qubits)]


def _full(num_qubits: int, distance: int) -> Pairs:
    """Pair all qubits once, whatever the distance."""
    return [(i, j) for i in range(num_qubits) for j in range(i + 1, num_qubits)]


def _none(num_qubits: int, distance: int) -> Pairs:
    """Make no pair: the state is a product state."""
    return []


def _angle(num_qubits: int, entangler: Entangler) -> QuantumCircuit:
    """Encode by RY(x_i) on qubit i."""
    x = ParameterVector("x", num_qubits)
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(x[qubit], qubit)
    return circuit


def _zz(num_qubits: int, entangler: Entangler) -> QuantumCircuit:
    """Encode by the second-order feature map of Havlicek et al., arXiv:1804.11326, twice.

    It is P(2 x_i), and P(2 (pi - x_i)(pi - x_j)) on each entangled pair; one qubit has only the
    first.
    """
    pairs = entangler(num_qubits, 1)
    if num_qubits == 1:
        return z_feature_map(1)
    return zz_feature_map(num_qubits, entanglement={1: [(i,) for i in range(num_qubits)], 2: pairs})


def _two_local(
    library: Callable[..., QuantumCircuit],
    num_qubits: int,
    num_layers: int,
    entangler: Entangler,
) -> list[QuantumCircuit]:
    """Cut a two-local circuit of Qiskit's library into its layers (rotations, then entanglers).

    Composed they are `library(num_qubits, reps=num_layers)`: the last layer also holds the final
    rotations.
    """
    pairs = entangler(num_qubits, 1)
    return [
        library(
            num_qubits,
            reps=1,
            entanglement=pairs,
            skip_final_rotation_layer=layer < num_layers - 1,
        )
        for layer in range(num_layers)
    ]


def _ry_cz(num_qubits: int, num_layers: int, entangler: Entangler) -> list[QuantumCircuit]:
    """Make layers of RY and CZ, native to IBM's Heron: `num_qubits * (num_layers + 1)` weights.

    With weights near 0 each qubit keeps its encoded `<Z>`, since CZ commutes with Z. CX would turn
    it into a product over several qubits.
    """
    library = partial(n_local, rotation_blocks="ry", entanglement_blocks="cz")
    return _two_local(library, num_qubits, num_layers, entangler)


def _real_amplitudes(
    num_qubits: int, num_layers: int, entangler: Entangler
) -> list[QuantumCircuit]:
    """Make layers of RY and CX: `num_qubits * (num_layers + 1)` weights."""
    return _two_local(real_amplitudes, num_qubits, num_layers, entangler)


def _efficient_su2(num_qubits: int, num_layers: int, entangler: Entangler) -> list[QuantumCircuit]:
    """Make layers of RY, RZ and CX: `2 * num_qubits * (num_layers + 1)` weights."""
    return _two_local(efficient_su2, num_qubits, num_layers, entangler)


def _strongly_entangling(
    num_qubits: int, num_layers: int, entangler: Entangler
) -> list[QuantumCircuit]:
    """Make the layers of Schuld et al., arXiv:1804.00633: `3 * num_qubits * num_layers` weights.

    Layer l is RZ RY RZ on each qubit, then a CX from qubit i to i + r, with the range
    r = l mod (num_qubits - 1) + 1. The paper's circuit is the one with `ring` entanglement;
    as there, a range of half the ring entangles each pair both ways (4 qubits, second layer).
    """
    layers = []
    for layer in range(num_layers):
        w = ParameterVector("w", 3 * num_qubits)
        circuit = QuantumCircuit(num_qubits)
        for qubit in range(num_qubits):
            circuit.rz(w[3 * qubit], qubit)
            circuit.ry(w[3 * qubit + 1], qubit)
            circuit.rz(w[3 * qubit + 2], qubit)
        for control, target in entangler(num_qubits, layer % max(num_qubits - 1, 1) + 1):
            circuit.cx(control, target)
        layers.append(circuit)
    return layers


ENTANGLEMENTS: dict[str, Entangler] = {
    "linear": _linear,
    "ring": _ring,
    "full": _full,
    "none": _none,
    "circular": _ring,
}
"""`circular` is Qiskit's word for `ring`."""

ENCODINGS: dict[str, Encoding] = {
    "angle": Encoding(_angle),
    "zz": Encoding(_zz),
    "reupload": Encoding(_angle, repeated=True),
}

ANSAETZE: dict[str, Callable[[int, int, Entangler], list[QuantumCircuit]]] = {
    "ry_cz": _ry_cz,
    "real_amplitudes": _real_amplitudes,
    "efficient_su2": _efficient_su2,
    "strongly_entangling": _strongly_entangling,
}


def _append(target: QuantumCircuit, part: QuantumCircuit, params: Sequence[Parameter]) -> None:
    """Append `part`, its parameters (in its own order) replaced by `params`."""
    values = dict(zip(part.parameters, params, strict=True))
    target.compose(part.assign_parameters(values), inplace=True)


def build_circuit(
    num_qubits: int,
    *,
    encoding: str = "angle",
    ansatz: str = "ry_cz",
    num_layers: int = 2,
    entanglement: str = "ring",
) -> ParametrizedCircuit:
    """Build a circuit of an encoding and `num_layers` trainable layers, with an input a qubit.

    With `reupload` the encoding is repeated before each trainable layer (Perez-Salinas et al.,
    arXiv:1907.02085). The entanglement applies to the ansatz and to the `zz` encoding. `ring` on
    two qubits is one pair, not the same pair twice.

    Args:
        num_qubits: Number of qubits, from 1 to 20; also the number of inputs.
        encoding: A name in `ENCODINGS`.
        ansatz: A name in `ANSAETZE`.
        num_layers: Trainable layers, at least 1.
        entanglement: A name in `ENTANGLEMENTS`.

    Returns:
        The circuit, with inputs `x[i]` and weights `w[k]`, in radians.

    Raises:
        InvalidValueError: If a number is out of range or a name unknown.

    Example:
        >>> from hybridq import build_circuit
        >>> built = build_circuit(4, ansatz="ry_cz", num_layers=2)
        >>> built.circuit.num_qubits, len(built.input_params), len(built.weight_params)
        (4, 4, 12)
    """
    if not 1 <= num_qubits <= MAX_QUBITS:
        raise InvalidValueError(
            f"Expected `num_qubits` between 1 and {MAX_QUBITS}, got {num_qubits}: "
            "change `head.num_qubits`."
        )
    if num_layers < 1:
        raise InvalidValueError(
            f"Expected `num_layers` of at least 1, got {num_layers}: raise `head.num_layers`."
        )
    entangler = look_up("entanglement", entanglement, ENTANGLEMENTS)
    chosen = look_up("encoding", encoding, ENCODINGS)
    layers = look_up("ansatz", ansatz, ANSAETZE)(num_qubits, num_layers, entangler)

    x = list(ParameterVector("x", num_qubits))
    w = list(ParameterVector("w", sum(layer.num_parameters for layer in layers)))
    circuit = QuantumCircuit(num_qubits, name=f"{encoding}-{ansatz}-{entanglement}")
    used = 0
    for index, layer in enumerate(layers):
        if index == 0 or chosen.repeated:
            _append(circuit, chosen.build(num_qubits, entangler), x)
        _append(circuit, layer, w[used : used + layer.num_parameters])
        used += layer.num_parameters
    return ParametrizedCircuit(circuit, tuple(x), tuple(w))


def z_observables(num_qubits: int) -> list[SparsePauliOp]:
    """Make Pauli Z on each qubit, in the order of the qubits.

    Qiskit's labels are little-endian: Z on qubit 0 of three is `IIZ`.

    Example:
        >>> from hybridq import z_observables
        >>> [observable.paulis[0].to_label() for observable in z_observables(3)]
        ['IIZ', 'IZI', 'ZII']
    """
    return [
        SparsePauliOp.from_sparse_list([("Z", [qubit], 1.0)], num_qubits=num_qubits)
        for qubit in range(num_qubits)
    ]
