"""Quantum kernels against closed forms, Qiskit's own, and random states."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit.quantum_info import DensityMatrix, Statevector, partial_trace
from qiskit_machine_learning.kernels import FidelityQuantumKernel, FidelityStatevectorKernel

from hybridq.errors import InvalidValueError
from hybridq.quantum.kernels.alignment import (
    aligned_weights,
    centred_alignment,
    target_gram,
)
from hybridq.quantum.kernels.feature_maps import (
    FEATURE_MAPS,
    all_zeros,
    build_feature_map,
    overlap_circuit,
)
from hybridq.quantum.kernels.measures import (
    concentration,
    geometric_difference,
    nearest_psd,
)
from hybridq.quantum.kernels.states import (
    feature_states,
    fidelities,
    projected_kernel,
    qubit_densities,
)


def rows_of(count, num_qubits, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return math.pi * torch.rand(count, num_qubits, generator=generator, dtype=torch.float64)


def weights_of(feature_map, seed=1):
    count = len(feature_map.weight_params)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, generator=generator, dtype=torch.float64)


def gram_of(name, rows, **options):
    feature_map = build_feature_map(name, rows.shape[1], **options)
    states = feature_states(feature_map, rows, weights_of(feature_map))
    return fidelities(states, states).numpy()


@pytest.mark.parametrize("name", ["angle", "zz", "bsp"])
def test_the_gram_matrix_is_that_of_qiskit(name):
    rows = rows_of(7, 3)
    circuit = build_feature_map(name, 3, entanglement="full").circuit
    peer = FidelityQuantumKernel(feature_map=circuit, enforce_psd=False)
    exact = FidelityStatevectorKernel(feature_map=circuit, enforce_psd=False)
    found = gram_of(name, rows, entanglement="full")
    states = [Statevector(circuit.assign_parameters(row.numpy())) for row in rows]
    wanted = np.array([[abs(a.inner(b)) ** 2 for b in states] for a in states])
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    np.testing.assert_allclose(found, exact.evaluate(rows.numpy()), atol=1e-10)
    # its sampler draws shots, so that the two agree within their error
    np.testing.assert_allclose(found, peer.evaluate(rows.numpy()), atol=0.1)


def test_the_product_map_has_a_closed_form():
    rows = rows_of(20, 5)
    wanted = (torch.cos((rows[:, None] - rows[None]) / 2) ** 2).prod(dim=-1)
    np.testing.assert_allclose(gram_of("angle", rows), wanted, atol=1e-12)


@pytest.mark.parametrize("name", FEATURE_MAPS)
def test_gram_matrices_are_positive_semidefinite(name):
    found = gram_of(name, rows_of(30, 4), repeats=2)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    assert np.linalg.eigvalsh(found)[0] > -1e-10


@pytest.mark.parametrize("name", FEATURE_MAPS)
def test_the_overlap_circuit_has_the_fidelity(name):
    feature_map = build_feature_map(name, 3, repeats=2)
    rows, weights = rows_of(2, 3), weights_of(feature_map)
    made = overlap_circuit(feature_map)
    named = dict(zip(made.input_params, rows.flatten().tolist(), strict=True))
    named |= dict(zip(made.weight_params, weights.tolist(), strict=True))
    state = Statevector(made.circuit.assign_parameters(named))
    states = feature_states(feature_map, rows, weights)
    wanted = float(fidelities(states, states)[0, 1])
    assert state.probabilities()[0] == pytest.approx(wanted, abs=1e-12)
    assert state.expectation_value(all_zeros(3)).real == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("name", FEATURE_MAPS)
def test_reduced_densities_are_those_of_qiskit(name):
    feature_map = build_feature_map(name, 3)
    states = feature_states(feature_map, rows_of(3, 3), weights_of(feature_map))
    found = qubit_densities(states)
    paulis = [np.array(one) for one in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
    for state, own in zip(states.numpy(), found.numpy(), strict=True):
        for qubit in range(3):
            others = [one for one in range(3) if one != qubit]
            density = partial_trace(DensityMatrix(Statevector(state)), others).data
            wanted = [np.trace(density @ pauli).real for pauli in paulis]
            np.testing.assert_allclose(own[qubit], wanted, atol=1e-12)


def test_the_projected_kernel_by_its_density_matrices():
    feature_map = build_feature_map("zz", 2)
    states = feature_states(feature_map, rows_of(2, 2))
    bloch = qubit_densities(states)
    total = 0.0
    for qubit in range(2):
        densities = [
            partial_trace(DensityMatrix(Statevector(one)), [1 - qubit]).data
            for one in states.numpy()
        ]
        total += np.linalg.norm(densities[0] - densities[1]) ** 2
    found = projected_kernel(bloch, bloch, 0.7)
    assert float(found[0, 1]) == pytest.approx(math.exp(-0.7 * total), abs=1e-12)
    np.testing.assert_allclose(found.diagonal(), 1, atol=1e-12)


def test_weights_of_a_map_have_a_gradient():
    feature_map = build_feature_map("reupload", 2, repeats=2)
    weights = weights_of(feature_map).requires_grad_()
    rows = rows_of(3, 2)

    def total(values):
        states = feature_states(feature_map, rows, values)
        return fidelities(states, states)[0, 1:].sum()

    assert torch.autograd.gradcheck(total, weights)


# Alignment.


def labels_of(count=40, classes=2):
    return np.arange(count) % classes


@pytest.mark.parametrize("classes", [2, 3])
def test_the_kernel_of_the_labels_has_all_the_weight(classes):
    labels = labels_of(classes=classes)
    target = target_gram(labels, classes)
    noise = gram_of("zz", rows_of(len(labels), 3))
    weights = aligned_weights([noise, target], target)
    np.testing.assert_allclose(weights, [0, 1], atol=1e-9)
    assert centred_alignment(target, target) == pytest.approx(1)


def test_signs_of_two_classes_are_aligned_as_their_indicators():
    labels = labels_of()
    signs = 2.0 * labels - 1
    found = centred_alignment(np.outer(signs, signs), target_gram(labels, 2))
    assert found == pytest.approx(1, abs=1e-12)


def test_a_kernel_that_is_there_twice_changes_nothing():
    labels = labels_of()
    target = target_gram(labels, 2)
    rows = rows_of(len(labels), 3)
    rows[:, 0] += torch.from_numpy(labels)
    grams = [gram_of(name, rows) for name in ("angle", "zz", "bsp")]

    def combined(kernels):
        weights = aligned_weights(kernels, target)
        return sum(w * one for w, one in zip(weights, kernels, strict=True))

    np.testing.assert_allclose(combined([*grams, grams[0]]), combined(grams), atol=1e-8)


def test_orthogonal_kernels_are_weighted_each_by_itself():
    """Kernels whose centred matrices are orthogonal: w_k is in proportion to a_k / M_kk."""
    basis = np.linalg.qr(np.column_stack([np.ones(6), np.eye(6)[:, :5]]))[0][:, 1:]
    grams = [np.outer(one, one) * scale for one, scale in zip(basis.T, (1, 2, 3), strict=False)]
    target = 0.5 * grams[0] + 0.9 * grams[1] - 0.4 * grams[2]
    found = aligned_weights(grams, target)
    np.testing.assert_allclose(found, np.array([0.5, 0.9, 0]) / 1.4, atol=1e-9)


def test_nothing_to_combine():
    with pytest.raises(InvalidValueError, match="Expected kernels to combine, got none"):
        aligned_weights([], np.eye(3))
    same = aligned_weights([np.ones((4, 4))] * 2, target_gram(labels_of(4), 2))
    np.testing.assert_allclose(same, 0.5)


# Measures.


def haar_states(count, num_qubits, seed=0):
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(2, count, 2**num_qubits))
    states = drawn[0] + 1j * drawn[1]
    return torch.from_numpy(states / np.linalg.norm(states, axis=1, keepdims=True))


@pytest.mark.parametrize("num_qubits", [4, 8])
def test_the_alarm_of_concentration(num_qubits):
    random = haar_states(200, num_qubits)
    found = concentration(fidelities(random, random).numpy(), num_qubits)
    assert found.mean == pytest.approx(found.haar_mean, rel=0.05)
    assert found.variance == pytest.approx(found.haar_variance, rel=0.1)
    assert found.is_concentrated
    assert not concentration(gram_of("angle", rows_of(200, 4)), 4).is_concentrated


@pytest.mark.parametrize("num_qubits", [1, 2])
def test_few_qubits_are_no_alarm(num_qubits):
    random = haar_states(100, num_qubits)
    assert not concentration(fidelities(random, random).numpy(), num_qubits).is_concentrated


def test_one_row_has_nothing_off_the_diagonal():
    with pytest.raises(InvalidValueError, match="at least two rows, got 1"):
        concentration(np.ones((1, 1)), 2)


def test_the_geometric_difference():
    rows = rows_of(30, 4)
    classical = gram_of("angle", rows)
    assert geometric_difference(classical, classical, ridge=1e-9) == pytest.approx(1, abs=1e-3)
    # of the identity from a matrix with least eigenvalue v it is 1 / sqrt(v)
    least = np.linalg.eigvalsh(classical)[0]
    found = geometric_difference(classical, np.eye(30), ridge=1e-9)
    assert found == pytest.approx(1 / math.sqrt(least + 1e-9), rel=1e-6)


def test_negative_eigenvalues_are_cut():
    gram = np.array([[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1.0]])
    found, least = nearest_psd(gram)
    assert least < -0.2
    assert np.linalg.eigvalsh(found)[0] > -1e-12
    kept = np.linalg.norm(found - gram)
    assert kept == pytest.approx(abs(least), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("angel", {}, "did you mean"),
        ("zz", {"num_qubits": 0}, "between 1 and 20, got 0"),
        ("zz", {"repeats": 0}, "at least 1, got 0"),
        ("zz", {"entanglement": "star"}, "entanglement"),
    ],
)
def test_maps_that_cannot_be(name, options, words):
    with pytest.raises(InvalidValueError, match=words):
        build_feature_map(name, **({"num_qubits": 3} | options))


def test_rows_that_do_not_fit():
    with pytest.raises(InvalidValueError, match="rows of 3 features and 0 weights"):
        feature_states(build_feature_map("zz", 3), rows_of(4, 2))
