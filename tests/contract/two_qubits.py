"""A head on feature vectors: two of their weighted sums become the angles of two qubits."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn

from hybridq.config import HeadConfig
from hybridq.models.heads import HeadEntry
from hybridq.models.heads.base import make_linear, seeded
from hybridq.quantum import QuantumLayer, build_circuit, z_observables


class TwoQubitsConfig(HeadConfig):
    """What it can be told: `--head.num-layers 3`."""

    num_layers: int = Field(1, ge=1, le=9)
    """Repetitions of the trainable layer."""


class TwoQubits(nn.Module):
    """From features `(batch, in_features)` to logits `(batch, num_classes)`."""

    def __init__(self, in_features, num_classes, layer, generator):
        super().__init__()
        self.reduce = make_linear(in_features, 2, generator)
        self.layer = layer
        self.classify = make_linear(2, num_classes, generator)

    def forward(self, features):
        angles = math.pi / 2 * (1 + torch.tanh(self.reduce(features)))
        return self.classify(self.layer(angles))


def build_two_qubits(in_shape, num_classes, config, *, backend=None, generator=None):
    """Make the head; `in_shape` is the number of features."""
    generator = seeded(generator)
    parts = build_circuit(2, num_layers=config.num_layers)
    layer = QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=z_observables(2),
        backend=backend,
        generator=generator,
    )
    return TwoQubits(in_shape, num_classes, layer, generator)


TWO_QUBITS = HeadEntry(TwoQubitsConfig, build_two_qubits, "two qubits")
