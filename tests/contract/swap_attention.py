"""A foreign head: attention over the feature map by swap tests, so several circuits an image."""

from __future__ import annotations

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor, nn

from hybridq.config import HeadConfig
from hybridq.models.heads import HeadEntry
from hybridq.quantum import QuantumLayer


class AttentionConfig(HeadConfig):
    """What the head and its control can be told."""

    temperature: float = 0.5
    """What the overlaps are divided by before the softmax."""


def tree(circuit: QuantumCircuit, angles: list[Parameter], low: int, high: int) -> None:
    """Prepare four real amplitudes on two qubits by a tree of RY rotations."""
    root, left, right = angles
    circuit.ry(root, high)
    circuit.ry((left + right) / 2, low)
    circuit.cx(high, low)
    circuit.ry((left - right) / 2, low)
    circuit.cx(high, low)


def swap_test() -> tuple[QuantumCircuit, list[Parameter], list[Parameter]]:
    """The swap test of a key, an input, with a query, which is trained: <Z_0> = |<q|k>|^2."""
    keys, query = list(ParameterVector("k", 3)), list(ParameterVector("q", 3))
    circuit = QuantumCircuit(5)
    tree(circuit, keys, 1, 2)
    tree(circuit, query, 3, 4)
    circuit.h(0)
    circuit.cswap(0, 1, 3)
    circuit.cswap(0, 2, 4)
    circuit.h(0)
    return circuit.decompose("cswap"), keys, query


def angles_of(amplitudes: Tensor) -> Tensor:
    """Angles of the tree for four real amplitudes, `(..., 4)` to `(..., 3)`."""
    first, second = amplitudes[..., :2], amplitudes[..., 2:]
    root = 2 * torch.atan2(second.norm(dim=-1), first.norm(dim=-1))
    left = 2 * torch.atan2(first[..., 1], first[..., 0])
    right = 2 * torch.atan2(second[..., 1], second[..., 0])
    return torch.stack([root, left, right], dim=-1)


class Attention(nn.Module):
    """Feature maps to logits: each position is weighed by its overlap with a query."""

    def __init__(
        self,
        channels: int,
        num_classes: int,
        overlap: nn.Module,
        temperature: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.keys = nn.Linear(channels, 4)
        self.values = nn.Linear(channels, num_classes)
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        self.overlap = overlap
        self.temperature = temperature

    def forward(self, maps: Tensor) -> Tensor:
        """Maps `(batch, channels, rows, columns)` to logits `(batch, num_classes)`."""
        tokens = maps.flatten(2).transpose(1, 2)
        overlaps = self.overlap(angles_of(self.keys(tokens)))
        weights = (overlaps / self.temperature).softmax(dim=1)
        return (weights * self.values(tokens)).sum(dim=1)


class Overlap(nn.Module):
    """The squared overlap with a query, by hand: the control, and the oracle."""

    def __init__(self, query: Tensor) -> None:
        super().__init__()
        self.query = nn.Parameter(query)

    def forward(self, angles: Tensor) -> Tensor:
        """Angles `(..., 3)` to overlaps `(..., 1)`."""
        return (self._state(angles) * self._state(self.query)).sum(-1, keepdim=True) ** 2

    @staticmethod
    def _state(angles: Tensor) -> Tensor:
        root, left, right = (angles[..., k] / 2 for k in range(3))
        return torch.stack(
            [
                root.cos() * left.cos(),
                root.cos() * left.sin(),
                root.sin() * right.cos(),
                root.sin() * right.sin(),
            ],
            dim=-1,
        )


def build_swap(in_shape, num_classes, config, *, backend=None, generator=None):
    """The head with the circuit."""
    generator = generator or torch.Generator().manual_seed(0)
    circuit, keys, query = swap_test()
    layer = QuantumLayer(
        circuit,
        input_params=keys,
        weight_params=query,
        observables=[SparsePauliOp("IIIIZ")],
        backend=backend,
        generator=generator,
        init_std=0.7,
    )
    return Attention(in_shape[0], num_classes, layer, config.temperature, generator)


def build_overlap(in_shape, num_classes, config, *, backend=None, generator=None):
    """Its classical control: the same overlap, computed by hand."""
    generator = generator or torch.Generator().manual_seed(0)
    overlap = Overlap(0.7 * torch.randn(3, generator=generator))
    return Attention(in_shape[0], num_classes, overlap, config.temperature, generator)


SWAP = HeadEntry(AttentionConfig, build_swap, "swap-test attention", control="overlap", input="map")
OVERLAP = HeadEntry(AttentionConfig, build_overlap, "attention by overlaps", input="map")
