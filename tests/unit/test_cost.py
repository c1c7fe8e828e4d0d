"""Costs against counts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybridq.config import head_config
from hybridq.evaluation.measures.cost import energy_estimate, model_cost
from hybridq.models.classifier import build_model
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq_backends import open_backend


def cost_of(**head):
    encoder = Encoder(EncoderSpec(image_size=32)).eval()
    with open_backend("statevector") as exact:
        model = build_model(encoder, head_config(**head), 2, backend=exact, seed=0).eval()
        return model_cost(model)


def test_heads_differ_by_their_matrix_products():
    linear, pqc = cost_of(name="linear"), cost_of(name="pqc", num_qubits=4)
    # 1280 features to 2 logits; 1280 features to 4 angles and 4 values to 2 logits.
    assert pqc.flops - linear.flops == 2 * (1280 * 4 + 4 * 2 - 1280 * 2)
    assert linear.head_parameters == 1280 * 2 + 2
    assert linear.parameters == 2_223_872 + linear.head_parameters


def test_the_circuit_is_counted_in_gates():
    linear, pqc = cost_of(name="linear"), cost_of(name="pqc", num_qubits=2, num_layers=1)
    assert (linear.circuit_parameters, linear.circuit_gates, linear.circuit_depth) == (0, 0, 0)
    # RY of 2 angles, RY of 2 weights, one CZ, RY of 2 weights.
    assert (pqc.circuit_parameters, pqc.circuit_gates, pqc.circuit_depth) == (4, 7, 4)


def test_convolutions_are_counted_with_two_operations_for_each_product():
    encoder = Encoder(EncoderSpec(image_size=32)).eval()
    model = build_model(encoder, head_config(name="linear"), 2, backend=None, seed=0)
    products = []

    def count(module, _inputs, output):
        if isinstance(module, nn.Conv2d):
            products.append(output.numel() * module.weight[0].numel())

    hooks = [module.register_forward_hook(count) for module in encoder.modules()]
    with torch.no_grad():
        encoder(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    assert model_cost(model).flops == 2 * (sum(products) + 1280 * 2)


def test_the_stem_takes_four_times_the_work_at_twice_the_size():
    small, large = cost_of(name="linear"), None
    encoder = Encoder(EncoderSpec(image_size=64)).eval()
    model = build_model(encoder, head_config(name="linear"), 2, backend=None, seed=0)
    large = model_cost(model)
    assert large.flops / small.flops == pytest.approx(4, rel=0.01)


def test_energy_is_power_by_time():
    assert energy_estimate(7200, 65) == pytest.approx(130)
