"""The quantum layer on the torch engine."""

from __future__ import annotations

import copy
import logging
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from safetensors.torch import load_file, save_file

from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.quantum import ReverseEstimatorGradient, TorchEstimator
from hybridq_backends import open_backend

CIRCUITS = [
    {"encoding": "angle", "ansatz": "ry_cz"},
    {"encoding": "zz", "ansatz": "efficient_su2", "entanglement": "full"},
    {"encoding": "reupload", "ansatz": "strongly_entangling"},
]


@pytest.fixture
def on_torch():
    return open_backend("statevector")


@pytest.mark.parametrize("kwargs", CIRCUITS)
def test_values_and_gradients_equal_those_on_aer(
    kwargs, make_layer, random_angles, exact, on_torch
):
    layer = make_layer(3, on_torch, **kwargs)
    grad = random_angles(4, 3) + 1
    found = []
    for backend in (on_torch, exact, on_torch):
        layer.use_backend(backend)
        layer.zero_grad()
        angles = random_angles(4, 3, requires_grad=True)
        values = layer(angles)
        values.backward(grad)
        found.append((values.detach(), angles.grad, layer.weight.grad.clone()))
    for mine, aers, again in zip(*found, strict=True):
        torch.testing.assert_close(mine, aers, rtol=0, atol=1e-12)
        assert torch.equal(mine, again)
    assert (on_torch.num_jobs, exact.num_jobs) == (0, 2)


@pytest.mark.parametrize("kwargs", CIRCUITS)
def test_first_and_second_derivatives(kwargs, make_layer, random_angles, on_torch):
    layer = make_layer(2, on_torch, num_layers=1, **kwargs)
    angles = random_angles(2, 2, requires_grad=True)
    weights = layer.weight.detach().clone().requires_grad_()

    def function(inputs, given):
        return torch.func.functional_call(layer, {"connector.weight": given}, (inputs,))

    assert torch.autograd.gradcheck(function, (angles, weights), atol=1e-7)
    assert torch.autograd.gradgradcheck(function, (angles, weights), atol=1e-6)


def test_is_a_connector_around_a_qnn(make_layer, random_angles, on_torch, exact):
    layer = make_layer(2, on_torch)
    assert isinstance(layer.connector, TorchConnector)
    assert isinstance(layer.qnn, EstimatorQNN)
    assert isinstance(layer.qnn.estimator, TorchEstimator)
    assert isinstance(layer.qnn.gradient, ReverseEstimatorGradient)
    angles, weights = random_angles(3, 2).numpy(), layer.weight.detach().numpy()
    mine = (layer.qnn.forward(angles, weights), *layer.qnn.backward(angles, weights))
    layer.use_backend(exact)
    assert not isinstance(layer.qnn.estimator, TorchEstimator)
    aers = (layer.qnn.forward(angles, weights), *layer.qnn.backward(angles, weights))
    for one, other in zip(mine, aers, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_the_state_goes_from_one_backend_to_another(
    make_layer, random_angles, on_torch, exact, tmp_path
):
    layer, other = make_layer(2, on_torch), make_layer(2, exact)
    assert list(layer.state_dict()) == ["connector.weight"]
    torch.nn.init.zeros_(other.weight)
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    other.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    angles = random_angles(3, 2)
    torch.testing.assert_close(layer(angles), other(angles), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_returns_the_dtype_of_the_input(dtype, make_layer, random_angles, on_torch):
    layer = make_layer(2, on_torch)
    angles = random_angles(3, 2).to(dtype).requires_grad_()
    expvals = layer(angles)
    assert torch.equal(expvals, layer(angles.double()).to(dtype))
    expvals.sum().backward()
    assert angles.grad.dtype == expvals.dtype == dtype
    assert layer.weight.grad.dtype == torch.float64


def test_single_precision_on_request(make_layer, random_angles, on_torch):
    angles = random_angles(5, 3)
    double = make_layer(3, on_torch)(angles)
    single = make_layer(3, open_backend("statevector,dtype=float32"))(angles)
    assert 0 < (double - single).abs().max() < 1e-5


def test_copies_and_pickles(make_layer, random_angles, on_torch):
    layer = make_layer(2, on_torch, encoding="zz")
    angles = random_angles(2, 2)
    twin = copy.deepcopy(layer)
    assert twin.backend is on_torch
    again = pickle.loads(pickle.dumps(layer))
    assert again.backend.engine == "torch"
    for other in (twin, again):
        assert torch.equal(layer(angles), other(angles))
        with torch.no_grad():
            other.weight.add_(1.0)
        assert not torch.equal(layer(angles), other(angles))


def test_a_pickle_leaves_a_remote_connection_out_and_says_so(
    make_layer, random_angles, exact, monkeypatch, caplog
):
    layer = make_layer(2, exact)
    expected = layer(random_angles(3, 2))
    monkeypatch.setattr(exact, "_engine", SimpleNamespace(is_local=False, computed_by="ibm"))
    with caplog.at_level(logging.WARNING, "hybridq"):
        text = pickle.dumps(layer)
    assert "leaves out the connection to backend 'aer_statevector'" in caplog.text
    again = pickle.loads(text)
    assert "backend=None" in repr(again)
    with pytest.raises(UnavailableError, match="call `use_backend` first"):
        again(random_angles(3, 2))
    again.use_backend(open_backend("aer_statevector"))
    assert torch.equal(again(random_angles(3, 2)), expected)


def test_a_pickle_of_a_rehearsal_holds_no_service_options(make_layer):
    options = {"token": "a-very-secret-token", "instance": "mine"}
    rehearsal = open_backend("ibm_rehearsal", service_options=options)
    text = pickle.dumps(make_layer(2, rehearsal)) + pickle.dumps(rehearsal)
    assert b"secret" not in text
    assert pickle.loads(pickle.dumps(rehearsal)).spec.rehearse == rehearsal.spec.rehearse


def test_a_closed_backend_computes_nothing(make_layer, random_angles, on_torch):
    layer = make_layer(2, on_torch)
    on_torch.close()
    with pytest.raises(InvalidValueError, match="closed"):
        layer(random_angles(1, 2))


def test_an_empty_batch(make_layer, random_angles, on_torch):
    layer = make_layer(2, on_torch)
    angles = random_angles(0, 2, requires_grad=True)
    layer(angles).sum().backward()
    assert angles.grad.shape == (0, 2)
    assert torch.equal(layer.weight.grad, torch.zeros(6, dtype=torch.float64))


def test_inputs_alone_or_weights_alone(make_layer, random_angles, on_torch):
    layer = make_layer(2, on_torch)
    layer.requires_grad_(False)
    angles = random_angles(3, 2, requires_grad=True)
    layer(angles).sum().backward()
    assert angles.grad.abs().sum() > 0
    layer.requires_grad_(True)
    layer(angles.detach()).sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    assert not layer.requires_grad_(False)(angles.detach()).requires_grad
