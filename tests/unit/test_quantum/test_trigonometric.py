"""The classical polynomial of a circuit equals it, with the frequencies of its gates."""

from __future__ import annotations

import math
import re

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from hybridq.errors import InvalidValueError
from hybridq.quantum import QuantumLayer
from hybridq.quantum.trigonometric import (
    trigonometric_coefficients,
    trigonometric_degrees,
    trigonometric_values,
)

CIRCUITS = [
    ("angle", "ry_cz", "ring", 4, 2),
    ("angle", "real_amplitudes", "linear", 3, 1),
    ("angle", "efficient_su2", "full", 2, 2),
    ("angle", "strongly_entangling", "none", 3, 2),
    ("angle", "ry_cz", "ring", 1, 1),
    ("reupload", "strongly_entangling", "ring", 2, 3),
    ("zz", "ry_cz", "none", 2, 1),
]


def polynomial(layer):
    (circuit,) = layer.circuits()
    return trigonometric_coefficients(circuit, layer.weight)


@pytest.mark.parametrize(("encoding", "ansatz", "entanglement", "num_qubits", "layers"), CIRCUITS)
def test_it_equals_the_circuit_at_random_angles(
    encoding, ansatz, entanglement, num_qubits, layers, make_layer
):
    names = {"encoding": encoding, "ansatz": ansatz, "entanglement": entanglement}
    layer = make_layer(num_qubits, num_layers=layers, **names)
    found = polynomial(layer)
    degree = {"angle": 1, "reupload": layers, "zz": 4}[encoding]
    assert found.shape == (num_qubits, *[2 * degree + 1] * num_qubits)
    generator = torch.Generator().manual_seed(5)
    angles = 20 * torch.rand(2, 30, num_qubits, generator=generator, dtype=torch.float64) - 10
    expected = layer(angles).detach()
    values = trigonometric_values(found, angles)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-10)


def test_one_rotation_and_a_product_have_the_coefficients_of_pen_and_paper(exact):
    a, b, w = (Parameter(name) for name in "abw")
    circuit = QuantumCircuit(2)
    circuit.ry(2 * a - 0.3, 0)
    circuit.ry(b, 1)
    circuit.ry(w, 1)
    layer = QuantumLayer(
        circuit,
        input_params=[a, b],
        weight_params=[w],
        observables=["IZ", "ZZ"],
        backend=exact,
        init_std=0.7,
    )
    found, angle = polynomial(layer), layer.weight.detach().double()
    expected = torch.zeros(2, 5, 3, dtype=torch.float64)
    one = {3: math.cos(0.3), 4: math.sin(0.3)}  # <Z> of qubit 0 is cos(2 a - 0.3)
    for place, value in one.items():
        expected[0, place, 0] = value
        expected[1, place, 1] = value * torch.cos(angle)
        expected[1, place, 2] = -value * torch.sin(angle)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_slopes_are_those_of_the_circuit(make_layer, random_angles):
    layer, angles = make_layer(3, ansatz="strongly_entangling"), random_angles(7, 3)
    found = polynomial(layer)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda a: trigonometric_values(found, a)))
    expected = torch.autograd.functional.jacobian(layer, angles)
    torch.testing.assert_close(
        jacobian(angles), torch.einsum("ioij->ioj", expected), rtol=0, atol=1e-10
    )


def test_what_is_no_polynomial_or_too_large_is_refused(make_layer):
    cases = {
        "got others, such as a product of inputs": make_layer(2, encoding="zz"),
        "at most 65,536 coefficients of a polynomial, got 177,147": make_layer(11, num_layers=1),
    }
    for words, layer in cases.items():
        with pytest.raises(InvalidValueError, match=re.escape(words)) as caught:
            trigonometric_degrees(layer.circuits()[0])
        assert "\n" not in str(caught.value)
