"""A foreign head fitted in closed form: a kernel between expectation values, and its support."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from hybridq.config import HeadConfig
from hybridq.models.heads import HeadEntry
from hybridq.quantum import QuantumLayer, build_circuit, z_observables


class KernelConfig(HeadConfig):
    """What the head and its control can be told."""

    ridge: float = Field(0.1, gt=0, le=100)
    """Weight of the norm."""


class KernelMachine(nn.Module):
    """Kernel ridge regression on what a map makes of two fixed projections of the features."""

    def __init__(self, in_features, num_classes, feature_map, ridge, generator):
        super().__init__()
        project = torch.randn(in_features, 2, generator=generator) / in_features**0.5
        self.register_buffer("project", project)
        self.register_buffer("scale", torch.ones(2))
        self.register_buffer("support", torch.zeros(0, 2))
        self.register_buffer("alpha", torch.zeros(0, num_classes))
        self.feature_map = feature_map
        self.ridge = ridge

    def _mapped(self, features: Tensor) -> Tensor:
        return self.feature_map(features @ self.project / self.scale)

    @staticmethod
    def _kernel(one: Tensor, other: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(one, other).square())

    def fit(self, features: Tensor, labels: Tensor) -> None:
        """Keep one row of support for each image."""
        self.scale = (features @ self.project).std(dim=0).clamp_min(1e-12)
        self.support = self._mapped(features)
        gram = self._kernel(self.support, self.support)
        targets = nn.functional.one_hot(labels, self.alpha.shape[1]).to(gram)
        self.alpha = torch.linalg.solve(gram + self.ridge * torch.eye(len(gram)), targets)

    def forward(self, features: Tensor) -> Tensor:
        """Features `(batch, in_features)` to logits `(batch, num_classes)`."""
        return self._kernel(self._mapped(features), self.support) @ self.alpha


def build_kernel(in_shape, num_classes, config, *, backend=None, generator=None):
    """The head with a circuit."""
    generator = generator or torch.Generator().manual_seed(0)
    parts = build_circuit(2, encoding="zz", ansatz="ry_cz", num_layers=1)
    layer = QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=z_observables(2),
        backend=backend,
        generator=generator,
        init_std=1.0,
    )
    return KernelMachine(in_shape, num_classes, layer, config.ridge, generator)


def build_classical(in_shape, num_classes, config, *, backend=None, generator=None):
    """Its control: cosines in the circuit's place."""
    generator = generator or torch.Generator().manual_seed(0)
    return KernelMachine(in_shape, num_classes, torch.cos, config.ridge, generator)


KERNEL = HeadEntry(KernelConfig, build_kernel, "quantum kernel ridge", control="cosines")
COSINES = HeadEntry(KernelConfig, build_classical, "kernel ridge of cosines")
