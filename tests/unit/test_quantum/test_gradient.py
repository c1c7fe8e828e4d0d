from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from qiskit_machine_learning.primitives import QMLEstimator

from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq.quantum.gradients.parameter_shift import Spsa
from hybridq_backends import open_backend

CIRCUITS = [
    {"encoding": "angle", "ansatz": "real_amplitudes", "entanglement": "ring"},
    {"encoding": "zz", "ansatz": "efficient_su2", "entanglement": "full", "num_layers": 1},
    {"encoding": "reupload", "ansatz": "strongly_entangling", "entanglement": "linear"},
    {"encoding": "reupload", "ansatz": "real_amplitudes", "entanglement": "none"},
]


def stock_qnn(num_qubits, **kwargs):
    """The classes of qiskit-machine-learning as they are, on their own simulator."""
    parts = build_circuit(num_qubits, **kwargs)
    return EstimatorQNN(
        circuit=parts.circuit,
        estimator=QMLEstimator(default_precision=0.0),
        observables=z_observables(num_qubits),
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        input_gradients=True,
        default_precision=0.0,
    )


class Rows:
    """Counts the jobs of an executable, and the points of each."""

    def __init__(self, executable, monkeypatch):
        self.counts = []
        run = executable.run

        def counted(prepared, values):
            self.counts.append(len(values))
            return run(prepared, values)

        monkeypatch.setattr(executable, "run", counted)


@pytest.fixture
def rows(exact, monkeypatch):
    return Rows(exact, monkeypatch)


@pytest.mark.parametrize("kwargs", CIRCUITS)
def test_values_and_gradients_equal_the_stock_qnn(kwargs, make_layer, random_angles):
    layer = make_layer(2, **kwargs)
    angles = random_angles(3, 2, requires_grad=True)
    stock = stock_qnn(2, **kwargs)
    x, w = angles.detach().numpy(), layer.weight.detach().numpy()
    expvals = layer(angles)
    np.testing.assert_allclose(expvals.detach().numpy(), stock.forward(x, w), rtol=0, atol=1e-10)

    grad = random_angles(3, 2) + 1
    expvals.backward(grad)
    by_inputs, by_weights = stock.backward(x, w)
    for mine, expected in zip(layer.qnn.backward(x, w), (by_inputs, by_weights), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-10)
    chained = np.einsum("bo,bof->bf", grad, by_inputs)
    np.testing.assert_allclose(angles.grad.numpy(), chained, rtol=0, atol=1e-10)
    chained = np.einsum("bo,bow->w", grad, by_weights)
    np.testing.assert_allclose(layer.weight.grad.numpy(), chained, rtol=0, atol=1e-10)


def test_equals_the_stock_connector_in_its_single_precision(make_layer, random_angles):
    layer = make_layer(2)
    stock = TorchConnector(stock_qnn(2), initial_weights=layer.weight.detach().numpy())
    angles = random_angles(3, 2, requires_grad=True)
    same = angles.detach().clone().requires_grad_()
    layer(angles).square().sum().backward()
    stock(same).square().sum().backward()
    torch.testing.assert_close(angles.grad, same.grad, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        layer.weight.grad, stock.weight.grad, atol=1e-6, rtol=0, check_dtype=False
    )


@pytest.mark.parametrize("kwargs", CIRCUITS)
def test_gradients_equal_finite_differences(kwargs, make_layer, random_angles):
    layer = make_layer(2, **{**kwargs, "num_layers": 1})
    angles = random_angles(2, 2, requires_grad=True)

    def function(inputs, weights):
        return torch.func.functional_call(layer, {"connector.weight": weights}, (inputs,))

    weights = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(function, (angles, weights), atol=1e-7)


def test_closed_form(exact, random_angles):
    t, w = Parameter("t"), Parameter("w")
    circuit = QuantumCircuit(1)
    circuit.ry(t + 2 * w, 0)
    layer = QuantumLayer(
        circuit, input_params=[t], weight_params=[w], observables=z_observables(1), backend=exact
    ).double()
    angles = random_angles(5, 1, requires_grad=True)
    expvals = layer(angles)
    whole = (angles + 2 * layer.weight).detach()
    torch.testing.assert_close(expvals.detach(), whole.cos(), atol=1e-12, rtol=0)
    expvals.sum().backward()
    torch.testing.assert_close(angles.grad, -whole.sin(), atol=1e-12, rtol=0)
    torch.testing.assert_close(layer.weight.grad, -2 * whole.sin().sum(0), atol=1e-12, rtol=0)


# 3 qubits, ring, strongly entangling with 1 layer: 3 RY(x), 9 weights, nothing merges
ONE_LAYER = {"ansatz": "strongly_entangling", "num_layers": 1}


@pytest.mark.parametrize(
    ("inputs", "weights", "jobs"),
    [
        (True, True, [5, 5 * 2 * 12]),
        (True, False, [5, 5 * 2 * 3]),
        (False, True, [5, 5 * 2 * 9]),
        (False, False, [5]),
    ],
)
def test_one_job_each_and_only_for_what_needs_a_gradient(
    inputs, weights, jobs, make_layer, random_angles, rows, exact
):
    layer = make_layer(3, **ONE_LAYER)
    layer.requires_grad_(weights)
    angles = random_angles(5, 3, requires_grad=inputs)
    expvals = layer(angles)
    assert rows.counts == [5]
    if inputs or weights:
        expvals.sum().backward()
    assert rows.counts == jobs
    assert exact.num_jobs == len(jobs)
    assert (angles.grad is not None) == inputs
    assert (layer.weight.grad is not None) == weights


def test_merged_rotations_are_shifted_once(make_layer, random_angles, rows):
    layer = make_layer(4)
    layer(random_angles(2, 4, requires_grad=True)).sum().backward()
    assert rows.counts == [2, 2 * 2 * 12]  # the first RY(w) joins RY(x)


def test_no_grad_runs_one_job(make_layer, random_angles, rows):
    layer = make_layer(2)
    with torch.no_grad():
        assert not layer(random_angles(3, 2)).requires_grad
    assert rows.counts == [3]


def test_second_derivatives_raise(make_layer, random_angles):
    layer = make_layer(2)
    angles = random_angles(1, 2, requires_grad=True)
    for loss in (torch.sum, lambda expvals: expvals.square().sum()):
        grads = torch.autograd.grad(loss(layer(angles)), [angles, layer.weight], create_graph=True)
        for grad in grads:
            with pytest.raises(RuntimeError, match="got a second one"):
                (grad.square().sum() + angles.sum()).backward(retain_graph=True)


def test_backward_runs_where_the_forward_ran(make_layer, random_angles, rows, exact):
    layer = make_layer(2)
    expvals = layer(random_angles(1, 2))
    other = open_backend("aer_statevector")
    layer.use_backend(other)
    expvals.sum().backward()
    assert (exact.num_jobs, other.num_jobs) == (2, 0)


@pytest.mark.parametrize("name", ["fake_manila,shots=none", "depolarizing,shots=none"])
def test_gradients_are_exact_under_noise(name, make_layer, random_angles):
    layer = make_layer(2, open_backend(name), num_layers=1)
    angles = random_angles(1, 2, requires_grad=True)
    layer(angles)[0, 0].backward()
    step = torch.tensor([[1e-4, 0.0]], dtype=torch.float64)
    with torch.no_grad():
        difference = (layer(angles + step) - layer(angles - step))[0, 0] / 2e-4
    assert angles.grad[0, 0].item() == pytest.approx(difference.item(), abs=1e-6)


def test_gradients_with_shots_are_near_the_exact_ones(make_layer, random_angles):
    grads = []
    for backend in (open_backend("aer_statevector"), open_backend("aer_shots", shots=20000)):
        layer = make_layer(2, backend)
        angles = random_angles(2, 2, requires_grad=True)
        layer(angles).sum().backward()
        grads.append(torch.cat([angles.grad.flatten(), layer.weight.grad]))
    difference = (grads[0] - grads[1]).abs().max().item()
    assert 0 < difference < 0.1


def test_through_ibm_a_step_is_one_job(make_layer, random_angles, monkeypatch):
    with open_backend("ibm_rehearsal,resilience_level=0,shots=4096") as rehearsal:
        layer = make_layer(2, backend=rehearsal)
        exact = make_layer(2)
        counted = Rows(rehearsal, monkeypatch)
        angles = random_angles(3, 2, requires_grad=True)
        expvals = layer(angles)
        assert rehearsal.num_jobs == 1
        grad = random_angles(3, 2) + 1
        expvals.backward(grad)
        assert rehearsal.num_jobs == 1
        (rows,) = counted.counts
        shifted = len(layer.qnn.rule.shifted(True, True))
        assert rows == 3 * (1 + 2 * shifted)
        with open_backend("fake_torino,shots=none") as noisy:  # what it estimates
            exact.use_backend(noisy)
            wanted = random_angles(3, 2, requires_grad=True)
            exact(wanted).backward(grad)
        np.testing.assert_allclose(angles.grad, wanted.grad, atol=0.25)
        np.testing.assert_allclose(layer.weight.grad, exact.weight.grad, atol=0.4)
        layer(angles.detach())  # the weight's gradient is still wanted
        with torch.no_grad():
            layer(angles)
        by_weights = len(layer.qnn.rule.shifted(False, True))
        assert counted.counts[1:] == [3 * (1 + 2 * by_weights), 3]


def test_spsa_is_right_in_the_mean_and_cheap(make_layer, random_angles, exact, monkeypatch):
    layer = make_layer(2)
    angles = random_angles(2, 2, requires_grad=True)
    layer(angles).square().sum().backward()
    wanted = [angles.grad.clone(), layer.weight.grad.clone()]
    step = 0.1
    layer.qnn.use_spsa(Spsa(torch.Generator().manual_seed(0), repeats=4000, step=step))
    angles.grad = layer.weight.grad = None
    layer(angles).square().sum().backward()
    for found, expected in zip([angles.grad, layer.weight.grad], wanted, strict=True):
        # the bias is of order step**2, the spread of 4000 directions about 0.02 for each angle
        np.testing.assert_allclose(found, expected, atol=0.12)
    rows = Rows(exact, monkeypatch)
    layer.qnn.use_spsa(Spsa(torch.Generator().manual_seed(0), repeats=2))
    layer(angles).sum().backward()
    assert rows.counts == [2, 2 * 2 * 2]  # forward; both sides of two directions for each sample


def test_spsa_follows_from_its_generator(make_layer, random_angles):
    found = []
    for _ in range(2):
        layer = make_layer(2)
        layer.qnn.use_spsa(Spsa(torch.Generator().manual_seed(5)))
        layer(random_angles(2, 2)).sum().backward()
        found.append(layer.weight.grad)
    assert torch.equal(*found)
