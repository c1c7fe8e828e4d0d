"""Circuits that turn a feature vector into a state, of which kernels are made."""

from __future__ import annotations

from collections.abc import Callable

from qiskit.circuit import ParameterVector, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from hybridq.errors import InvalidValueError
from hybridq.quantum.circuits import (
    ENCODINGS,
    ENTANGLEMENTS,
    MAX_QUBITS,
    Entangler,
    ParametrizedCircuit,
    build_circuit,
)
from hybridq.quantum.look_up import look_up


def _encoded(name: str) -> Callable[[int, int, Entangler, str], ParametrizedCircuit]:
    """Make a map that repeats an encoding of `build_circuit`, with nothing to train."""

    def build(num_qubits: int, repeats: int, pairs: Entangler, _: str) -> ParametrizedCircuit:
        x = ParameterVector("x", num_qubits)
        circuit = QuantumCircuit(num_qubits, name=name)
        for _repeat in range(repeats):
            part = ENCODINGS[name].build(num_qubits, pairs)
            values = dict(zip(part.parameters, x, strict=True))
            circuit.compose(part.assign_parameters(values), inplace=True)
        return ParametrizedCircuit(circuit, tuple(x), ())

    return build


def _bsp(num_qubits: int, repeats: int, pairs: Entangler, _: str) -> ParametrizedCircuit:
    """Make the map H, RZ(x), RY(x), entanglers, RZ(x) of the experiments of arXiv:2604.24597."""
    x = ParameterVector("x", num_qubits)
    circuit = QuantumCircuit(num_qubits, name="bsp")
    for _repeat in range(repeats):
        for qubit in range(num_qubits):
            circuit.h(qubit)
            circuit.rz(x[qubit], qubit)
            circuit.ry(x[qubit], qubit)
        for control, target in pairs(num_qubits, 1):
            circuit.cx(control, target)
        for qubit in range(num_qubits):
            circuit.rz(x[qubit], qubit)
    return ParametrizedCircuit(circuit, tuple(x), ())


def _reupload(
    num_qubits: int, repeats: int, pairs: Entangler, entanglement: str
) -> ParametrizedCircuit:
    """Make layers of the angles and of RY and CZ, whose weights are free."""
    return build_circuit(
        num_qubits, encoding="reupload", num_layers=repeats, entanglement=entanglement
    )


FEATURE_MAPS: dict[str, Callable[[int, int, Entangler, str], ParametrizedCircuit]] = {
    "angle": _encoded("angle"),
    "zz": _encoded("zz"),
    "reupload": _reupload,
    "bsp": _bsp,
}


def build_feature_map(
    name: str, num_qubits: int, *, repeats: int = 1, entanglement: str = "linear"
) -> ParametrizedCircuit:
    """Build the circuit that makes a state of `num_qubits` features.

    `angle` is RY(x_i) on each qubit, whose states are products; `zz` the second-order map of
    Havlicek et al. (arXiv:1804.11326), which Qiskit's `zz_feature_map` has with two repeats of its
    own; `bsp` the map of arXiv:2604.24597; `reupload` has weights.

    Args:
        name: A name in `FEATURE_MAPS`.
        num_qubits: The number of qubits and of features, from 1 to 20.
        repeats: How often the map is repeated.
        entanglement: A name in `ENTANGLEMENTS`.

    Returns:
        The circuit, with inputs `x[i]` in radians and weights `w[k]` where it has any.

    Raises:
        InvalidValueError: If a number is out of range or a name unknown.

    Example:
        >>> from hybridq.quantum.kernels.feature_maps import build_feature_map
        >>> build_feature_map("bsp", 3).circuit.num_qubits
        3
    """
    if not 1 <= num_qubits <= MAX_QUBITS:
        raise InvalidValueError(
            f"Expected `num_qubits` between 1 and {MAX_QUBITS}, got {num_qubits}: change it."
        )
    if repeats < 1:
        raise InvalidValueError(f"Expected `repeats` of at least 1, got {repeats}: raise it.")
    pairs = look_up("entanglement", entanglement, ENTANGLEMENTS)
    return look_up("feature map", name, FEATURE_MAPS)(num_qubits, repeats, pairs, entanglement)


def overlap_circuit(feature_map: ParametrizedCircuit) -> ParametrizedCircuit:
    """Build the circuit whose chance of all zeros is a fidelity: `U(y)^dagger U(x) |0>`.

    Inputs are those of x and then those of y; weights are shared by both.
    """
    count = len(feature_map.input_params)
    inputs = list(ParameterVector("x", 2 * count))
    named = [
        dict(zip(feature_map.input_params, own, strict=True))
        for own in (inputs[:count], inputs[count:])
    ]
    first, second = (feature_map.circuit.assign_parameters(one) for one in named)
    circuit = first.compose(second.inverse())
    return ParametrizedCircuit(circuit, tuple(inputs), feature_map.weight_params)


def all_zeros(num_qubits: int) -> SparsePauliOp:
    """Make the projector on all zeros: the mean of all products of Z, measured in one basis."""
    labels = [
        "".join("Z" if place >> (num_qubits - 1 - bit) & 1 else "I" for bit in range(num_qubits))
        for place in range(2**num_qubits)
    ]
    return SparsePauliOp(labels, [2.0**-num_qubits] * 2**num_qubits)
