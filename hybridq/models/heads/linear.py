"""The linear head: logistic regression on the features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from pydantic import model_validator
from torch import Tensor, nn

from hybridq.config import CircuitHeadConfig, HeadConfig
from hybridq.models.heads.base import make_linear, seeded

if TYPE_CHECKING:
    from hybridq.quantum import Executable


class LinearConfig(HeadConfig):
    """The linear head has no settings."""

    @model_validator(mode="before")
    @classmethod
    def _drop_the_circuit(cls, values: Any) -> Any:
        """Leave out the circuit that configs of earlier versions described for every head."""
        if not isinstance(values, Mapping):
            return values
        circuit = CircuitHeadConfig.model_fields.keys() - HeadConfig.model_fields.keys()
        return {name: value for name, value in values.items() if name not in circuit}


class LinearHead(nn.Module):
    """`Linear(in_features, num_classes)`.

    Args:
        in_features: Size of the features.
        num_classes: Number of logits.
        generator: Source of the initial weights.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    def __init__(self, in_features: int, num_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.classifier = make_linear(in_features, num_classes, generator)

    def forward(self, features: Tensor) -> Tensor:
        """Features to logits."""
        logits: Tensor = self.classifier(features)
        return logits


def build_linear(
    in_features: int,
    num_classes: int,
    config: HeadConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> LinearHead:
    """The linear head; neither `config` nor `backend` matters."""
    return LinearHead(in_features, num_classes, seeded(generator))
