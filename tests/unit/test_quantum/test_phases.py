from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.quantum_info import Operator

from hybridq.errors import InvalidValueError
from hybridq.quantum import QuantumLayer, build_circuit
from hybridq.quantum.split_circuit import ROTATIONS, split_circuit
from hybridq_backends import open_backend


def assert_same_unitary(circuit, inputs, weights, x, w):
    split = split_circuit(circuit, inputs, weights)
    phi = split.phases(torch.tensor([x], dtype=torch.float64), torch.tensor(w))[0].numpy()
    plain = split.circuit.assign_parameters(dict(zip(split.params, phi, strict=True)))
    values = dict(zip([*inputs, *weights], [*x, *w], strict=True))
    assert Operator(plain).equiv(Operator(circuit.assign_parameters(values)), atol=1e-10)
    return split


def test_every_parametrised_gate_has_one_plain_parameter_of_its_own():
    parts = build_circuit(3, encoding="zz", ansatz="efficient_su2")
    split = split_circuit(parts.circuit, parts.input_params, parts.weight_params)
    found = [
        item.operation.params[0]
        for item in split.circuit.data
        if item.name in ROTATIONS and isinstance(item.operation.params[0], Parameter)
    ]
    assert found == list(split.params) == list(split.circuit.parameters)
    assert not split.circuit.global_phase


def test_gates_without_a_two_term_rule_are_decomposed():
    x, w = Parameter("x"), ParameterVector("w", 3)
    circuit = QuantumCircuit(3, global_phase=w[0])
    circuit.u(x, w[0], x * w[1], 0)
    circuit.crx(x.sin() * w[2], 0, 1)
    circuit.cp(w[1] / 2 - x, 1, 2)
    circuit.cu(x, w[0], w[1], w[2], 2, 0)
    circuit.rzx(w[2] ** 2, 0, 2)
    circuit.ry(0.3, 1)
    assert_same_unitary(circuit, [x], list(w), [0.7], [0.4, -1.1, 2.2])


def test_rotations_that_follow_one_another_become_one():
    x, w = ParameterVector("x", 2), ParameterVector("w", 3)
    circuit = QuantumCircuit(2)
    circuit.ry(x[0], 0)
    circuit.ry(w[0], 0)
    circuit.rzz(x[1], 0, 1)
    circuit.rzz(w[1], 0, 1)
    circuit.rz(w[2], 1)
    circuit.rzz(w[2], 0, 1)
    split = assert_same_unitary(circuit, list(x), list(w), [0.3, 0.9], [0.4, -1.1, 2.2])
    assert len(split.params) == 4
    assert split.phases.on_inputs.tolist() == [True, True, False, False]
    assert split.phases.on_weights.tolist() == [True, True, True, True]


@settings(deadline=None, max_examples=15)
@given(
    x=st.lists(st.floats(-7, 7), min_size=2, max_size=2),
    w=st.lists(st.floats(-7, 7), min_size=2, max_size=2),
)
def test_expressions_are_evaluated_as_qiskit_does(x, w):
    a, b = ParameterVector("a", 2), ParameterVector("b", 2)
    expressions = [
        2 * (np.pi - a[0]) * (np.pi - a[1]),
        a[0] * 0.1 - b[1] / 3 + 1.23456789012345678,
        (a[1] * b[0]).sin() + b[1].cos() * b[0] ** 2,
        (a[0] ** 2 + 1).log() + (b[0] / 4).exp(),
        b[1],
    ]
    circuit = QuantumCircuit(1)
    for index, expression in enumerate(expressions):
        getattr(circuit, ("rx", "ry")[index % 2])(expression, 0)
    split = split_circuit(circuit, list(a), list(b))
    inputs = torch.tensor([x, [0.0, 0.0]], dtype=torch.float64)
    phi = split.phases(inputs, torch.tensor(w, dtype=torch.float64))
    values = dict(zip([*a, *b], [*x, *w], strict=True))
    expected = [
        float(expression.bind({k: values[k] for k in expression.parameters}))
        for expression in expressions
    ]
    np.testing.assert_allclose(phi[0].numpy(), expected, rtol=1e-13, atol=1e-13)


def test_functions_without_a_derivative_in_qiskit():
    a, b = ParameterVector("a", 2), ParameterVector("b", 1)
    circuit = QuantumCircuit(1)
    circuit.rx(a[1] * b[0].sign() + a[0].abs(), 0)
    split = split_circuit(circuit, list(a), list(b))
    inputs = torch.tensor([[0.5, 2.0], [-0.25, -3.0]], dtype=torch.float64)
    phi = split.phases(inputs, torch.tensor([-7.0], dtype=torch.float64))
    assert phi[:, 0].tolist() == [0.5 - 2.0, 0.25 + 3.0]


def test_phases_are_differentiable_and_can_be_pickled():
    parts = build_circuit(3, encoding="zz")
    split = split_circuit(parts.circuit, parts.input_params, parts.weight_params)
    inputs = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(split.phases, (inputs, weights))
    again = pickle.loads(pickle.dumps(split.phases))
    assert torch.equal(again(inputs, weights), split.phases(inputs, weights))


def test_refuses_a_circuit_whose_parameters_are_not_those_given():
    parts = build_circuit(2)
    with pytest.raises(InvalidValueError, match=r"difference in \['w\[5\]'\]"):
        split_circuit(parts.circuit, parts.input_params, parts.weight_params[:-1])
    with pytest.raises(InvalidValueError, match="each once"):
        split_circuit(
            parts.circuit, parts.input_params, [*parts.weight_params, *parts.input_params]
        )


def test_parameters_come_in_an_order_and_are_the_circuits_own():
    x, w = Parameter("x"), Parameter("w")
    circuit = QuantumCircuit(1)
    circuit.ry(x, 0)
    circuit.rz(w, 0)
    for inputs, weights, words in (
        ({x}, [w], "got a set"),
        ([x, w], [w], "got w more than once"),
        ([Parameter("x")], [Parameter("w")], r"same names \(w, x\).*get_parameter"),
        (["x"], [w], r'circuit.get_parameter\("x"\)'),
        (x, [w], "as a list"),
        ("x", [w], "as a list"),
        (None, [w], "as a list"),
        ([x], [ParameterVector("w", 1)], "Parameter objects"),
    ):
        with pytest.raises(InvalidValueError, match=words):
            split_circuit(circuit, inputs, weights)
    assert split_circuit(circuit, circuit.parameters, []).params


def test_a_circuit_without_parameters_has_no_angles():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    split = split_circuit(circuit, [], [])
    assert split.params == ()
    phi = split.phases(torch.zeros(3, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
    assert phi.shape == (3, 0)


def test_refuses_measurements():
    circuit = build_circuit(2).circuit.copy()
    parts = build_circuit(2)
    circuit.measure_all()
    with pytest.raises(InvalidValueError, match="remove measurements"):
        split_circuit(circuit, parts.input_params, parts.weight_params)


@pytest.mark.parametrize(
    "backend", ["aer_noisy,noise_scale=0,shots=none", "fake_manila,shots=none"]
)
def test_many_phase_gates_are_compiled(backend):
    """Qiskit doubles its time with each phase gate of its own angle: forty would take for ever."""
    angles = ParameterVector("x", 40)
    circuit = QuantumCircuit(2)
    for place, angle in enumerate(angles):
        circuit.h(place % 2)
        circuit.p(angle, place % 2)
        if place % 5 == 0:
            circuit.cx(0, 1)
    rows = torch.linspace(0, 3, 40, dtype=torch.float64)[None]
    values = {}
    for name in ("statevector", backend):
        with open_backend(name) as opened:
            layer = QuantumLayer(
                circuit,
                input_params=list(angles),
                weight_params=[],
                observables=["IZ", "ZX"],
                backend=opened,
            )
            values[name] = layer(rows)
    error = (values[backend] - values["statevector"]).abs().max()
    assert error < (1e-6 if "scale=0" in backend else 0.5)
