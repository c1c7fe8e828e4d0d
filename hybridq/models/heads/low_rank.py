"""The head without a block: two linear maps, of which the first is as narrow as the circuit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridq.models.heads.base import MakeReducer, make_linear, reducer_maker, seeded
from hybridq.models.reducers import AngleReducer

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable


class LowRankHead(nn.Module):
    """The head `logits = Linear(norm(W h))`: a linear map of rank `num_qubits` at most.

    It is the bottleneck head with neither tanh nor block, and begins with the same reducer and the
    same classifier as that of one seed.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        num_qubits: The largest rank.
        generator: Source of the initial weights.
        make_reducer: A function that makes the first map.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        num_qubits: int,
        generator: torch.Generator,
        make_reducer: MakeReducer = AngleReducer,
    ) -> None:
        super().__init__()
        self.classifier = make_linear(num_qubits, num_classes, generator)
        self.reducer = make_reducer(in_features, num_qubits, generator)

    def fit_reducer(self, features: Tensor) -> None:
        """Fit the first map to features `(images, in_features)`, where it is `pca`."""
        self.reducer.fit(features)

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
        logits: Tensor = self.classifier(self.reducer.reduced(features))
        return logits


def build_low_rank(
    in_features: int,
    num_classes: int,
    config: CircuitHeadConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> LowRankHead:
    """Build the linear head of low rank; it takes number of qubits and reducer of the config.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        backend: The backend of the circuit; heads without a circuit ignore it.
        generator: Source of the initial weights; one seeded with 0 if None.
    """
    return LowRankHead(
        in_features, num_classes, config.num_qubits, seeded(generator), reducer_maker(config)
    )
