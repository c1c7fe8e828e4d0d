"""VQC-MLPNet: a circuit generates the first layer of an MLP, arXiv:2506.10275.

Rows of fixed random angles go through one circuit, and a linear map of its expectation values gives
the rows of the layer's matrix. Images never enter a circuit: a training step takes as many circuits
as the layer has inputs, whatever the batch, and once trained the layer is an ordinary matrix. The
authors encode rows by amplitudes; angles, which are ours, need no preparation of states. Widths and
layers are not published, and are ours as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from hybridq.config import CircuitHeadConfig
from hybridq.models.heads.base import (
    ConfiguredBuilder,
    make_linear,
    num_circuit_weights,
    quantum_block,
    reducer_maker,
)
from hybridq.models.heads.entry import HeadEntry

if TYPE_CHECKING:
    from hybridq.quantum import Executable


class GeneratedConfig(CircuitHeadConfig):
    """An MLP whose first layer is generated: by a circuit, or by its control of the same rank."""

    inputs: int = Field(16, ge=1, le=1024)
    """Size of the reduced feature vector, which is also the number of circuits of a step."""
    hidden: int = Field(32, ge=1, le=4096)
    """Width of the MLP's hidden layer."""
    num_qubits: int = Field(4, ge=1, le=20)
    """Qubits of the circuit; the layer has rank `num_qubits + 1` at most."""
    ansatz: str = "strongly_entangling"
    """The trainable part: `ry_cz`, `real_amplitudes`, `efficient_su2`, `strongly_entangling`."""


class GeneratedHead(nn.Module):
    """The head `logits = Linear(relu(norm(V h) W))`, in which a block makes the matrix W.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        make_block: A function from a generator to a module with the matrix `weight`,
            `(inputs, hidden)`.
        generator: Source of the initial weights.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        config: GeneratedConfig,
        make_block: Callable[[torch.Generator], CircuitWeight | LowRankWeight],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.classifier = make_linear(config.hidden, num_classes, generator)
        self.reducer = reducer_maker(config)(in_features, config.inputs, generator)
        self.block = make_block(generator)

    def fit_reducer(self, features: Tensor) -> None:
        """Fit the map V to features `(images, in_features)`, where it is `pca`."""
        self.reducer.fit(features)

    def circuit_parameters(self) -> list[nn.Parameter]:
        """List the parameters that learn at the circuit's rate: those that make the matrix."""
        return list(self.block.parameters())

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
        hidden = torch.relu(self.reducer.reduced(features) @ self.block.weight)
        logits: Tensor = self.classifier(hidden)
        return logits


class CircuitWeight(nn.Module):
    """The matrix `Z(rows) A + b`, in which Z are the expectation values of a circuit.

    Its rank is at most the number of expectation values and one more, for b is added to all rows.

    Args:
        layer: The circuit, from `(rows, num_qubits)` angles to as many expectation values.
        inputs: The number of rows.
        num_qubits: The number of angles and of expectation values.
        hidden: The number of columns.
        generator: Source of rows and initial weights.

    Attributes:
        rows: The fixed angles, uniform from 0 to pi, `(inputs, num_qubits)`; a buffer, so that a
            model that is read again has the same ones.
    """

    rows: Tensor

    def __init__(
        self,
        layer: nn.Module,
        inputs: int,
        num_qubits: int,
        hidden: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.out = make_linear(num_qubits, hidden, generator)
        drawn = torch.rand(inputs, num_qubits, generator=generator, device=generator.device)
        self.register_buffer("rows", math.pi * drawn.cpu())

    @property
    def weight(self) -> Tensor:
        """The matrix `(inputs, hidden)`, by `inputs` runs of the circuit."""
        weight: Tensor = self.out(self.layer(self.rows))
        return weight


class LowRankWeight(nn.Module):
    """The matrix `A B` of a rank that is given: the control of a generated one.

    Args:
        inputs: The number of rows.
        rank: The rank.
        hidden: The number of columns.
        num_circuit_weights: The number of parameters that generate the matrix it stands in for.
        generator: Source of the initial weights.

    Attributes:
        num_circuit_weights: The number of parameters that generate that matrix.
    """

    def __init__(
        self,
        inputs: int,
        rank: int,
        hidden: int,
        num_circuit_weights: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.num_circuit_weights = num_circuit_weights
        self.first = make_linear(rank, inputs, generator, bias=False)
        self.second = make_linear(rank, hidden, generator, bias=False)

    @property
    def weight(self) -> Tensor:
        """The matrix `(inputs, hidden)`."""
        return self.first.weight @ self.second.weight.mT


def circuit_weight(
    config: GeneratedConfig, backend: Executable | None
) -> Callable[[torch.Generator], CircuitWeight]:
    """Return a function that makes the generated matrix.

    Raises:
        InvalidValueError: If there is no backend, or the config does not fit it.
    """
    make_layer = quantum_block(config, backend)

    def make(generator: torch.Generator) -> CircuitWeight:
        layer = make_layer(generator)
        return CircuitWeight(layer, config.inputs, config.num_qubits, config.hidden, generator)

    return make


def low_rank_weight(
    config: GeneratedConfig, backend: Executable | None = None
) -> Callable[[torch.Generator], LowRankWeight]:
    """Return a function that makes a matrix of the rank that a generated one can have."""
    rank = config.num_qubits + 1
    count = num_circuit_weights(config) + rank * config.hidden
    return partial(LowRankWeight, config.inputs, rank, config.hidden, count)


GENERATED = HeadEntry(
    GeneratedConfig,
    ConfiguredBuilder(GeneratedHead, circuit_weight),
    "VQC-MLPNet, a generated layer",
    control="rank_mlp",
)
RANK_MLP = HeadEntry(
    GeneratedConfig,
    ConfiguredBuilder(GeneratedHead, low_rank_weight),
    "MLP of the rank of a generated layer",
)
