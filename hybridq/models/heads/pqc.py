"""The bottleneck head: features, angles, circuit, linear readout."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridq.models.heads.base import (
    BlockBuilder,
    BlockHead,
    MakeBlock,
    MakeReducer,
    make_linear,
    quantum_block,
)
from hybridq.models.reducers import AngleReducer


class BottleneckHead(BlockHead):
    """The head `logits = Linear(block(angles))`, in which all features pass through the block.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        num_qubits: The number of angles and of the block's outputs.
        make_block: A function from a generator to a module from `(batch, num_qubits)` angles to
            `(batch, num_qubits)` values in [-1, 1].
        generator: Source of the initial weights.
        make_reducer: A function that makes the map from features to angles.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        num_qubits: int,
        make_block: MakeBlock,
        generator: torch.Generator,
        make_reducer: MakeReducer = AngleReducer,
    ) -> None:
        classifier = make_linear(num_qubits, num_classes, generator)
        super().__init__(in_features, num_qubits, classifier, make_block, generator, make_reducer)

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
        logits: Tensor = self.classifier(self.block(self.reducer(features)))
        return logits


build_pqc = BlockBuilder(BottleneckHead, quantum_block)
"""The builder of the bottleneck head around a circuit."""
