"""Layers as parts of programs that `torch.compile` and `torch.export` make."""

from __future__ import annotations

import pickle
import re

import pytest
import torch

from hybridq.errors import UnavailableError
from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq_backends import open_backend

NOISY = "depolarizing,engine=torch,shots=none"


@pytest.fixture
def layer_on():
    """A layer of two qubits on a backend, in which angles are expressions of several inputs."""

    def make(backend: str, encoding: str = "zz") -> QuantumLayer:
        parts = build_circuit(2, encoding=encoding, ansatz="ry_cz", num_layers=1)
        return QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(2),
            backend=open_backend(backend),
            init_std=1.0,
        )

    return make


@pytest.fixture
def angles():
    return torch.rand(5, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def fresh():
    """Nothing is taken from what an earlier test compiled."""
    torch._dynamo.reset()


def exported(layer, angles):
    batch = {0: torch.export.Dim("batch", min=1)}
    return torch.export.export(layer, (angles,), dynamic_shapes=(batch,)).module()


@pytest.mark.parametrize("backend", ["statevector", NOISY])
def test_a_layer_can_be_exported_with_any_batch(backend, layer_on, angles):
    layer = layer_on(backend)
    program, values = exported(layer, angles), layer(angles)
    for batch in (1, 3, 5):
        torch.testing.assert_close(program(angles[:batch]), values[:batch], rtol=0, atol=1e-6)
    with pytest.raises(RuntimeError, match="Expected finite angles, got NaN"):
        program(angles * torch.nan)


@pytest.mark.parametrize(("backend", "encoding"), [("statevector", "zz"), (NOISY, "angle")])
def test_a_layer_can_be_compiled_as_one_program(backend, encoding, layer_on, angles):
    """Values and gradients are those of the layer itself."""
    layer = layer_on(backend, encoding)
    found = []
    for module in (layer, torch.compile(layer, fullgraph=True, backend="eager")):
        leaf = angles.clone().requires_grad_()
        values = module(leaf)
        layer.zero_grad()
        values.square().sum().backward()
        found.append((values.detach(), leaf.grad, layer.weight.grad.clone()))
    for ours, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, ours, rtol=0, atol=1e-6)


@pytest.mark.parametrize("backend", ["aer_statevector", "fake_manila,engine=torch,seed=3"])
def test_other_backends_compile_in_parts(backend, layer_on, angles):
    """The values come from between the programs; the draws of shots differ from call to call."""
    layer = layer_on(backend, "angle")
    with open_backend(backend) as again:
        compiled = torch.compile(layer, backend="eager")(angles)
        layer.use_backend(again)
        assert torch.equal(compiled, layer(angles))


@pytest.mark.parametrize("backend", ["aer_statevector", "fake_manila,engine=torch"])
def test_other_backends_are_refused_in_an_export(backend, layer_on, angles):
    line = (
        f"Expected an exact backend on the torch engine for torch.export, got "
        f"{backend.partition(',')[0]!r}: let the circuits run on it first, by "
        "`use_backend(open_backend('statevector'))`."
    )
    layer = layer_on(backend, "angle")
    with pytest.raises(UnavailableError, match=f"^{re.escape(line)}"):
        exported(layer, angles)
    layer.use_backend(open_backend("statevector"))
    exported(layer, angles)


def test_formulas_are_pickled_by_what_they_say(layer_on, angles):
    layer = layer_on("statevector")
    assert torch.equal(pickle.loads(pickle.dumps(layer))(angles), layer(angles))
