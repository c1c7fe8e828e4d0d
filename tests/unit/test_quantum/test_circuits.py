from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from qiskit.circuit import ParameterVector, QuantumCircuit
from qiskit.circuit.library import efficient_su2, n_local, real_amplitudes, zz_feature_map
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from hybridq.errors import InvalidValueError
from hybridq.quantum import ANSAETZE, ENCODINGS, ENTANGLEMENTS, build_circuit, z_observables

ALL = list(itertools.product(ENCODINGS, ANSAETZE, ENTANGLEMENTS))

RY_CZ = partial(n_local, rotation_blocks="ry", entanglement_blocks="cz")


def bound(circuit: QuantumCircuit, params: list, values: np.ndarray) -> Operator:
    return Operator(circuit.assign_parameters(dict(zip(params, values, strict=True))))


def test_angle_with_real_amplitudes_has_4_inputs_and_12_weights():
    parts = build_circuit(4, encoding="angle", ansatz="real_amplitudes", num_layers=2)
    assert len(parts.input_params) == 4
    assert len(parts.weight_params) == 12
    assert parts.circuit.num_clbits == 0


@pytest.mark.parametrize(("encoding", "ansatz", "entanglement"), ALL)
@pytest.mark.parametrize("num_qubits", [1, 2, 5])
def test_parameters_are_exactly_inputs_and_weights(encoding, ansatz, entanglement, num_qubits):
    parts = build_circuit(
        num_qubits, encoding=encoding, ansatz=ansatz, entanglement=entanglement, num_layers=3
    )
    given = [*parts.input_params, *parts.weight_params]
    assert len(parts.input_params) == num_qubits
    assert len(set(given)) == len(given)
    assert set(given) == set(parts.circuit.parameters)
    per_qubit = {"ry_cz": 4, "real_amplitudes": 4, "efficient_su2": 8, "strongly_entangling": 9}[
        ansatz
    ]
    assert len(parts.weight_params) == per_qubit * num_qubits


@pytest.mark.parametrize(
    ("name", "num_qubits", "pairs"),
    [
        ("linear", 4, [(0, 1), (1, 2), (2, 3)]),
        ("ring", 4, [(0, 1), (1, 2), (2, 3), (3, 0)]),
        ("ring", 2, [(0, 1)]),
        ("circular", 4, [(0, 1), (1, 2), (2, 3), (3, 0)]),
        ("ring", 1, []),
        ("full", 3, [(0, 1), (0, 2), (1, 2)]),
        ("none", 4, []),
    ],
)
def test_entanglements(name, num_qubits, pairs):
    assert ENTANGLEMENTS[name](num_qubits, 1) == pairs
    circuit = build_circuit(
        num_qubits, ansatz="real_amplitudes", entanglement=name, num_layers=2
    ).circuit
    drawn = [
        tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        for item in circuit.data
        if item.name == "cx"
    ]
    assert drawn == pairs * 2


@pytest.mark.parametrize(
    ("ansatz", "library"),
    [("real_amplitudes", real_amplitudes), ("efficient_su2", efficient_su2), ("ry_cz", RY_CZ)],
)
@pytest.mark.parametrize("encoding", ["angle", "zz"])
def test_equal_to_the_circuits_of_qiskit(ansatz, library, encoding):
    parts = build_circuit(3, encoding=encoding, ansatz=ansatz, num_layers=2, entanglement="full")
    if encoding == "zz":
        first = zz_feature_map(3, entanglement="full")
    else:
        x = ParameterVector("x", 3)
        first = QuantumCircuit(3)
        for qubit in range(3):
            first.ry(x[qubit], qubit)
    second = library(3, reps=2, entanglement="full")
    values = np.random.default_rng(0).normal(size=3 + second.num_parameters)
    expected = first.compose(second)
    params = [*first.parameters, *second.parameters]
    given = [*parts.input_params, *parts.weight_params]
    assert np.allclose(
        bound(parts.circuit, given, values).data, bound(expected, params, values).data, atol=1e-12
    )


def test_strongly_entangling_is_the_circuit_of_the_paper():
    parts = build_circuit(4, ansatz="strongly_entangling", num_layers=3, entanglement="ring")
    w = np.random.default_rng(0).normal(size=(3, 4, 3))
    expected = QuantumCircuit(4)
    for layer, distance in enumerate([1, 2, 3]):
        for qubit in range(4):
            expected.rz(w[layer, qubit, 0], qubit)
            expected.ry(w[layer, qubit, 1], qubit)
            expected.rz(w[layer, qubit, 2], qubit)
        for qubit in range(4):
            expected.cx(qubit, (qubit + distance) % 4)
    values = np.concatenate([np.zeros(4), w.ravel()])
    given = [*parts.input_params, *parts.weight_params]
    assert np.allclose(bound(parts.circuit, given, values).data, Operator(expected).data)


def test_reuploading_repeats_the_encoding_before_each_layer():
    circuit = build_circuit(2, encoding="reupload", num_layers=3, entanglement="none").circuit
    names = [item.operation.params[0].name for item in circuit.data if item.qubits[0]._index == 0]
    assert names == ["x[0]", "w[0]", "x[0]", "w[2]", "x[0]", "w[4]", "w[6]"]


def test_z_observables_are_little_endian():
    assert z_observables(3) == [SparsePauliOp("IIZ"), SparsePauliOp("IZI"), SparsePauliOp("ZII")]
    circuit = QuantumCircuit(3)
    circuit.x(1)
    values = [Statevector(circuit).expectation_value(z).real for z in z_observables(3)]
    assert values == pytest.approx([1, -1, 1])


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"num_qubits": 0}, ["`num_qubits`", "got 0"]),
        ({"num_qubits": 40}, ["between 1 and 20", "got 40"]),
        ({"num_layers": 0}, ["`num_layers`", "got 0"]),
        ({"ansatz": "real_amplitude"}, ["ansatz", "did you mean 'real_amplitudes'?"]),
        ({"encoding": "zzz"}, ["encoding", "did you mean 'zz'?"]),
        ({"entanglement": "brickwork"}, ["entanglement", "linear, ring, full, none"]),
    ],
)
def test_errors_are_one_line_with_a_remedy(kwargs, words):
    with pytest.raises(InvalidValueError) as caught:
        build_circuit(**{"num_qubits": 3, **kwargs})
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words)


def test_ry_cz_passes_each_encoded_qubit_through_where_its_weights_are_zero():
    parts = build_circuit(4, encoding="angle", ansatz="ry_cz", num_layers=2)
    angles = np.array([0.3, 1.1, 1.9, 2.8])
    values = dict(zip(parts.input_params, angles, strict=True)) | dict.fromkeys(
        parts.weight_params, 0.0
    )
    state = Statevector(parts.circuit.assign_parameters(values))
    found = [state.expectation_value(z).real for z in z_observables(4)]
    assert found == pytest.approx(np.cos(angles), abs=1e-12)
