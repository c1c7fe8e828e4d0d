"""The linear head: logistic regression on the features."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import torch
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.models.heads.base import Head, make_linear, seeded

if TYPE_CHECKING:
    from hybridq.config import HeadConfig
    from hybridq.quantum import Executable


class LinearHead(Head):
    """`Linear(in_features, num_classes)`; it has no angles.

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

    def angles(self, features: Tensor) -> Tensor:
        """Not there: raises InvalidValueError."""
        _refuse("angles")

    def expvals(self, angles: Tensor) -> Tensor:
        """Not there: raises InvalidValueError."""
        _refuse("expvals")

    def readout(self, features: Tensor, expvals: Tensor) -> Tensor:
        """Not there: raises InvalidValueError."""
        _refuse("readout")


def _refuse(step: str) -> NoReturn:
    """Say that the linear head has no such step."""
    raise InvalidValueError(
        f"Expected a head with angles for `{step}`, got 'linear': call the head itself, "
        "or take `pqc`."
    )


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
