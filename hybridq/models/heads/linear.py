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
        """Drop the circuit that configs of earlier versions have for every head."""
        if not isinstance(values, Mapping):
            return values
        circuit = CircuitHeadConfig.model_fields.keys() - HeadConfig.model_fields.keys()
        return {name: value for name, value in values.items() if name not in circuit}


class LinearHead(nn.Module):
    """The linear head, `Linear(in_features, num_classes)`.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        generator: Source of the initial weights.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    def __init__(self, in_features: int, num_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.classifier = make_linear(in_features, num_classes, generator)

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
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
    """Build the linear head; it ignores `config` and `backend`.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        backend: The backend of the circuit; heads without a circuit ignore it.
        generator: Source of the initial weights; one seeded with 0 if None.
    """
    return LinearHead(in_features, num_classes, seeded(generator))
