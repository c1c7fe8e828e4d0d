"""Measures of circuits: closed forms, random states, and qiskit-machine-learning's own."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.quantum_info import Statevector, partial_trace, random_statevector
from scipy.stats import beta

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.evaluation.measures import circuits as measures
from hybridq.models.heads.base import make_circuit
from hybridq.quantum import ParametrizedCircuit, build_circuit


def weighted(circuit: QuantumCircuit, num_weights: int = 0) -> ParametrizedCircuit:
    """A circuit all of whose parameters are weights."""
    params = tuple(circuit.parameters)
    assert len(params) == num_weights
    return ParametrizedCircuit(circuit, (), params)


def product_of_ry(num_qubits: int) -> ParametrizedCircuit:
    circuit = QuantumCircuit(num_qubits)
    for qubit, angle in enumerate(ParameterVector("w", num_qubits)):
        circuit.ry(angle, qubit)
    return weighted(circuit, num_qubits)


def as_rows(*states: Statevector) -> torch.Tensor:
    return torch.from_numpy(np.stack([state.data for state in states]))


# Expressibility.


@pytest.mark.parametrize(("num_qubits", "bins"), [(1, 75), (2, 75), (4, 75), (3, 20), (10, 75)])
def test_expressibility_of_the_idle_circuit(num_qubits, bins):
    """All fidelities are 1, in the last bin, where random states are with (1 / bins)^(N - 1)."""
    found = measures.expressibility(weighted(QuantumCircuit(num_qubits)), pairs=50, bins=bins)
    assert found == pytest.approx((2**num_qubits - 1) * math.log(bins), rel=1e-9)


def test_expressibility_of_h_and_rz():
    """F = cos^2 of a uniform angle: the arcsine distribution, Beta(1/2, 1/2)."""
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.rz(Parameter("w"), 0)
    shares = np.diff(beta(0.5, 0.5).cdf(np.linspace(0, 1, 76)))
    expected = (shares * np.log(shares * 75)).sum()  # one qubit: Haar is uniform
    assert 0 < expected < math.log(4 / math.pi)  # that of infinitely many bins
    found = measures.expressibility(weighted(circuit, 1), pairs=200_000)
    assert found == pytest.approx(expected, abs=0.005)


def test_expressibility_of_h_rz_and_rx_on_the_bloch_sphere():
    """A point of the equator, turned about x; F of two points n, m is (1 + n m) / 2."""
    circuit = QuantumCircuit(1)
    first, second = ParameterVector("w", 2)
    circuit.h(0)
    circuit.rz(first, 0)
    circuit.rx(second, 0)
    phi, theta = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, 2, 1_000_000))
    points = np.stack([np.cos(phi), np.sin(phi) * np.cos(theta), np.sin(phi) * np.sin(theta)])
    fidelities = (1 + (points[:, 0] * points[:, 1]).sum(axis=0)) / 2
    shares = np.histogram(fidelities, 75, (0, 1))[0] / len(fidelities)
    expected = (shares * np.log(shares * 75)).sum()
    found = measures.expressibility(weighted(circuit, 2), pairs=200_000)
    assert found == pytest.approx(expected, abs=0.002)
    assert found < 0.02


@pytest.mark.parametrize("num_qubits", [1, 2, 3])
def test_divergence_of_random_states_is_that_of_a_finite_sample(num_qubits):
    rng = np.random.default_rng(0)
    count, dimension, bins = 20_000, 2**num_qubits, 30
    drawn = rng.standard_normal((2, count, dimension, 2)) @ np.array([1, 1j])
    first, second = drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)
    fidelities = torch.from_numpy(np.abs((first.conj() * second).sum(axis=1)) ** 2)
    found = measures.divergence_from_haar(fidelities, dimension, bins=bins)
    assert 0 <= found < 3 * (bins - 1) / (2 * count)


def test_divergence_written_out():
    """Bins of Sim et al.: (1 - l)^(N-1) - (1 - u)^(N-1) for random states."""
    fidelities = np.random.default_rng(1).beta(1, 5, 1000)
    found, edges = np.histogram(fidelities, 40, (0, 1))
    haar = (1 - edges[:-1]) ** 7 - (1 - edges[1:]) ** 7
    shares = found / 1000
    used = shares > 0
    expected = (shares[used] * np.log(shares[used] / haar[used])).sum()
    result = measures.divergence_from_haar(torch.from_numpy(fidelities), 8, bins=40)
    assert result == pytest.approx(expected)


def test_complex_amplitudes_are_more_expressive_than_real_ones():
    real, any_phase = (
        measures.expressibility(build_circuit(3, ansatz=ansatz, num_layers=4))
        for ansatz in ("real_amplitudes", "efficient_su2")
    )
    assert 5 * any_phase < real < 7 * math.log(75)


# Entanglement.


def ghz(num_qubits: int) -> Statevector:
    state = np.zeros(2**num_qubits)
    state[[0, -1]] = math.sqrt(0.5)
    return Statevector(state)


def w_state(num_qubits: int) -> Statevector:
    state = np.zeros(2**num_qubits)
    state[2 ** np.arange(num_qubits)] = 1 / math.sqrt(num_qubits)
    return Statevector(state)


@pytest.mark.parametrize("num_qubits", [2, 3, 5])
def test_meyer_wallach_of_known_states(num_qubits):
    product = random_statevector(2, seed=0)
    for seed in range(1, num_qubits):
        product = product.tensor(random_statevector(2, seed=seed))
    found = measures.meyer_wallach(as_rows(product, ghz(num_qubits), w_state(num_qubits)))
    assert found.tolist() == pytest.approx([0, 1, 4 * (num_qubits - 1) / num_qubits**2], abs=1e-12)


def test_meyer_wallach_by_partial_traces():
    states = [random_statevector(16, seed=seed) for seed in range(5)]
    expected = []
    for state in states:
        purities = [
            partial_trace(state, [other for other in range(4) if other != qubit]).purity().real
            for qubit in range(4)
        ]
        expected.append(2 * (1 - np.mean(purities)))
    assert measures.meyer_wallach(as_rows(*states)).tolist() == pytest.approx(expected)


def test_entangling_capability_of_circuits():
    assert measures.entangling_capability(product_of_ry(3)) == pytest.approx(0, abs=1e-12)
    apart = build_circuit(3, entanglement="none")
    assert measures.entangling_capability(apart) == pytest.approx(0, abs=1e-12)
    assert 0.1 < measures.entangling_capability(build_circuit(3)) < 1
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    assert measures.entangling_capability(weighted(bell)) == pytest.approx(1)


def test_entangling_capability_of_ry_and_cx():
    """cos(w/2)|00> + sin(w/2)|11> has 1 - cos(w)^2, which is 1/2 on average."""
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("w"), 0)
    circuit.cx(0, 1)
    found = measures.entangling_capability(weighted(circuit, 1), states=100_000)
    assert found == pytest.approx(0.5, abs=0.005)


# States.


def test_states_are_those_of_qiskit():
    parts = build_circuit(3, encoding="zz", ansatz="efficient_su2")
    num = len(parts.input_params) + len(parts.weight_params)
    angles = np.random.default_rng(0).uniform(0, 6, (4, num))
    found = measures.circuit_states(parts)(torch.from_numpy(angles)).numpy()
    for row, state in zip(angles, found, strict=True):
        values = dict(zip([*parts.input_params, *parts.weight_params], row, strict=True))
        expected = Statevector(parts.circuit.assign_parameters(values)).data
        assert abs(np.vdot(expected, state)) == pytest.approx(1)


# Fisher information and effective dimension.


def test_fisher_information_of_ry_is_1_for_each_qubit():
    """p = cos^2(w/2), sin^2(w/2): a mean of 1 at every angle; qubits are independent."""
    parts = product_of_ry(3)
    weights = 2 * math.pi * torch.rand(20, 3, dtype=torch.float64)
    inputs = torch.zeros(1, 0, dtype=torch.float64)
    found = measures.fisher_information(measures.circuit_probabilities(parts), inputs, weights)
    torch.testing.assert_close(found, torch.eye(3).double().expand(20, 3, 3))


def test_fisher_information_of_a_softmax_is_its_covariance():
    def probabilities(inputs, weights):
        return torch.softmax(inputs * weights, dim=1)

    inputs = torch.ones(1, 4, dtype=torch.float64)
    weights = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    probs = torch.softmax(weights, dim=1)
    expected = torch.diag_embed(probs) - probs[:, :, None] * probs[:, None, :]
    found = measures.fisher_information(probabilities, inputs, weights)
    torch.testing.assert_close(found, expected)


def test_fisher_information_is_a_mean_over_inputs_and_does_not_depend_on_batches(monkeypatch):
    parts = build_circuit(2, num_layers=1)
    probabilities = measures.circuit_probabilities(parts)
    generator = torch.Generator().manual_seed(0)
    inputs = 3 * torch.rand(5, 2, dtype=torch.float64, generator=generator)
    weights = 6 * torch.rand(7, 4, dtype=torch.float64, generator=generator)
    together = measures.fisher_information(probabilities, inputs, weights)
    single = [measures.fisher_information(probabilities, row[None], weights) for row in inputs]
    torch.testing.assert_close(together, torch.stack(single).mean(dim=0))
    monkeypatch.setattr(measures, "NUMBERS", 1)
    torch.testing.assert_close(
        measures.fisher_information(probabilities, inputs, weights), together
    )


@pytest.mark.parametrize("num_data", [100, 10_000])
@pytest.mark.parametrize("num_qubits", [1, 4])
def test_effective_dimension_of_independent_weights(num_qubits, num_data):
    kappa = num_data / (2 * math.pi * math.log(num_data))
    fisher = 0.3 * torch.eye(num_qubits).double().expand(5, -1, -1)
    expected = num_qubits * math.log(1 + kappa) / math.log(kappa)
    assert measures.effective_dimension(fisher, num_data) == pytest.approx(expected)


def test_effective_dimension_tends_to_the_rank():
    """Of six weights two matter; with ever more data it is two."""
    fisher = torch.diag(torch.tensor([1.0, 0.5, 0, 0, 0, 0]).double()).expand(3, -1, -1)
    found = [measures.effective_dimension(fisher, 10**power) for power in (3, 6, 40)]
    assert found[0] > found[1] > found[2] > 2
    assert found[2] == pytest.approx(2, abs=0.05)


def test_effective_dimension_of_a_constant_model_is_0():
    """RZ on |0> changes no probability."""
    circuit = QuantumCircuit(2)
    for qubit, angle in enumerate(ParameterVector("w", 2)):
        circuit.rz(angle, qubit)
    figures = measures.circuit_measures(weighted(circuit, 2), num_data=500)
    assert figures["effective_dimension"] == 0


@pytest.mark.parametrize("num_data", [0, 1, 2, 18])
def test_effective_dimension_needs_data(num_data):
    with pytest.raises(InvalidValueError, match="at least 19"):
        measures.effective_dimension(torch.eye(2).double()[None], num_data)
    assert measures.effective_dimension(torch.eye(2).double()[None], 19) > 2


def test_effective_dimension_is_that_of_qiskit_machine_learning():
    """Derivatives by finite differences of Qiskit's states; the formula by its own class."""
    from qiskit_machine_learning.neural_networks import EffectiveDimension, SamplerQNN

    parts = build_circuit(2, encoding="reupload", ansatz="strongly_entangling", num_layers=2)
    rng = np.random.default_rng(0)
    inputs = rng.uniform(0, math.pi, (3, 2))
    weights = rng.uniform(0, 2 * math.pi, (4, len(parts.weight_params)))

    class Exact(EffectiveDimension):
        def run_monte_carlo(self):
            rows = [(x, w) for w in weights for x in inputs]
            step = 1e-5
            shifts = step * np.eye(weights.shape[1])
            outputs = np.stack([probs(x, w) for x, w in rows])
            grads = np.stack(
                [
                    np.stack(
                        [(probs(x, w + s) - probs(x, w - s)) / (2 * step) for s in shifts], axis=1
                    )
                    for x, w in rows
                ]
            )
            return grads, outputs

    def probs(x, w):
        values = dict(zip(parts.input_params, x, strict=True))
        values |= dict(zip(parts.weight_params, w, strict=True))
        return Statevector(parts.circuit.assign_parameters(values)).probabilities()

    qnn = SamplerQNN(
        circuit=parts.circuit, input_params=parts.input_params, weight_params=parts.weight_params
    )
    peer = Exact(qnn, weight_samples=weights, input_samples=inputs)
    fisher = measures.fisher_information(
        measures.circuit_probabilities(parts), torch.from_numpy(inputs), torch.from_numpy(weights)
    )
    for num_data in (100, 5000):
        expected = float(peer.get_effective_dimension(num_data))
        assert measures.effective_dimension(fisher, num_data) == pytest.approx(expected, rel=1e-6)


# All together.


@pytest.mark.parametrize("entanglement", ["ring", "none"])
def test_measures_of_a_head(entanglement):
    parts = make_circuit(head_config(name="pqc", num_qubits=3, entanglement=entanglement))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    figures = measures.circuit_measures(parts, num_data=546, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert figures == measures.circuit_measures(parts, num_data=546, seed=1)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["num_weights"] == 9
    assert 0 < figures["effective_dimension"] <= 9
    assert figures["effective_dimension_share"] == figures["effective_dimension"] / 9
    assert (figures["entangling_capability"] > 1e-3) == (entanglement == "ring")


def test_layers_of_ry_without_entanglement_have_one_dimension_for_each_qubit():
    """They add up to one angle a qubit, whatever their number."""
    parts = build_circuit(2, num_layers=3, entanglement="none")
    weights = 2 * math.pi * torch.rand(5, 8, dtype=torch.float64)
    inputs = torch.rand(4, 2, dtype=torch.float64)
    fisher = measures.fisher_information(measures.circuit_probabilities(parts), inputs, weights)
    assert (torch.linalg.matrix_rank(fisher, hermitian=True, rtol=1e-9) == 2).all()


def test_measures_at_the_angles_of_images():
    parts = build_circuit(2)
    angles = torch.rand(30, 2)
    drawn = measures.circuit_measures(parts, num_data=100)
    given = measures.circuit_measures(parts, num_data=100, inputs=angles)
    assert given["expressibility"] != drawn["expressibility"]
    assert given["effective_dimension"] != drawn["effective_dimension"]


def test_a_circuit_without_weights_has_no_dimension():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    figures = measures.circuit_measures(weighted(circuit), num_data=100)
    assert figures["effective_dimension"] == 0
    assert figures["effective_dimension_share"] is None
