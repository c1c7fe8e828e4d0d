"""The bottleneck head: features, angles, circuit, linear readout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hybridq.models.heads.base import (
    BlockHead,
    MakeBlock,
    ReducerKind,
    make_linear,
    quantum_block,
    seeded,
)

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable


class BottleneckHead(BlockHead):
    """The head `logits = Linear(block(angles))`, in which all features pass through the block.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        num_qubits: The number of angles and of the block's outputs.
        make_block: A function from a generator to a module from `(batch, num_qubits)` angles to
            `(batch, num_qubits)` values in [-1, 1].
        generator: Source of the initial weights.
        reducer: Where the weights of the map from features to angles come from.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        num_qubits: int,
        make_block: MakeBlock,
        generator: torch.Generator,
        reducer: ReducerKind = "linear",
    ) -> None:
        classifier = make_linear(num_qubits, num_classes, generator)
        super().__init__(in_features, num_qubits, classifier, make_block, generator, reducer)

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
        logits: Tensor = self.classifier(self.block(self.reducer(features)))
        return logits


def build_pqc(
    in_features: int,
    num_classes: int,
    config: CircuitHeadConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> BottleneckHead:
    """Build the bottleneck head around a circuit.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        backend: The backend of the circuit; heads without a circuit ignore it.
        generator: Source of the initial weights; one seeded with 0 if None.

    Raises:
        InvalidValueError: If there is no backend, or the config does not fit it.
    """
    make_block = quantum_block(config, backend)
    return BottleneckHead(
        in_features,
        num_classes,
        config.num_qubits,
        make_block,
        seeded(generator),
        config.reducer,
    )
