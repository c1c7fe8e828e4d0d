"""The residual head: the circuit's values are added to the features, with a weight from 0 on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridq.models.heads.base import (
    BlockBuilder,
    BlockHead,
    MakeBlock,
    MakeReducer,
    make_linear,
    quantum_block,
)
from hybridq.models.reducers import AngleReducer


class ResidualHead(BlockHead):
    """The head `logits = Linear(h + alpha * W z)` with features h and z = block(angles(h)).

    It has the residual form h' = h + alpha * W_r z of arXiv:2601.17862. alpha begins at 0, where
    the logits are exactly those of the linear head of the same seed. There only the classifier and
    alpha have a nonzero gradient; the reducer, the block and W follow once alpha has moved.

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
        classifier = make_linear(in_features, num_classes, generator)
        expand = make_linear(num_qubits, in_features, generator, bias=False)
        super().__init__(in_features, num_qubits, classifier, make_block, generator, make_reducer)
        self.expand = expand
        self.alpha = nn.Parameter(torch.zeros(()))

    def circuit_parameters(self) -> list[nn.Parameter]:
        """List the parameters that learn at the circuit's rate: the block's, W and alpha."""
        return [*super().circuit_parameters(), self.alpha]

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
        added = self.expand(self.block(self.reducer(features)))
        logits: Tensor = self.classifier(features + self.alpha * added)
        return logits


build_pqc_residual = BlockBuilder(ResidualHead, quantum_block)
"""The builder of the residual head around a circuit."""
