"""Classifiers on top of the encoder's features: `build_head`, and the dict `HEADS`.

A head is made by `(in_features, num_classes, config, *, backend=None, generator=None)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from hybridq.errors import InvalidValueError
from hybridq.models.heads.base import Head
from hybridq.models.heads.counting import (
    block_parameters,
    match_counts,
    match_summary,
    num_trainable,
    quantum_layers,
    quantum_parameters,
)
from hybridq.models.heads.linear import build_linear
from hybridq.models.heads.mlp import build_mlp
from hybridq.models.heads.mlp_residual import build_mlp_residual
from hybridq.models.heads.pqc import build_pqc
from hybridq.models.heads.pqc_residual import build_pqc_residual
from hybridq.quantum import look_up

if TYPE_CHECKING:
    from hybridq.config import HeadConfig
    from hybridq.quantum import Executable

__all__ = [
    "CONTROLS",
    "HEADS",
    "Head",
    "HeadBuilder",
    "block_parameters",
    "build_head",
    "match_counts",
    "match_summary",
    "num_trainable",
    "quantum_layers",
    "quantum_parameters",
]


class HeadBuilder(Protocol):
    """What makes a head; heads without a circuit ignore the backend."""

    def __call__(
        self,
        in_features: int,
        num_classes: int,
        config: HeadConfig,
        *,
        backend: Executable | None = None,
        generator: torch.Generator | None = None,
    ) -> Head:
        """Make the head."""
        ...


HEADS: dict[str, HeadBuilder] = {
    "linear": build_linear,
    "mlp": build_mlp,
    "mlp_residual": build_mlp_residual,
    "pqc": build_pqc,
    "pqc_residual": build_pqc_residual,
}

CONTROLS: dict[str, str] = {"pqc": "mlp", "pqc_residual": "mlp_residual"}
"""For each quantum head, the classical head of its size that is reported beside it."""


def build_head(
    in_features: int,
    num_classes: int,
    config: HeadConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> Head:
    """Make the head named `config.name`.

    Args:
        in_features: Size of the features.
        num_classes: Number of logits.
        config: Name and circuit.
        backend: Where the circuit runs; heads without one ignore it.
        generator: Source of the initial weights; one seeded with 0 if None. The global random
            state is never touched.

    Returns:
        The head, `(batch, in_features)` to `(batch, num_classes)`.

    Raises:
        InvalidValueError: If a size is below 1, a name is unknown, or a quantum head has no
            backend or does not fit it.
    """
    for name, size in (("in_features", in_features), ("num_classes", num_classes)):
        if size < 1:
            raise InvalidValueError(f"Expected `{name}` of at least 1, got {size}: give a size.")
    builder = look_up("head", config.name, HEADS)
    return builder(in_features, num_classes, config, backend=backend, generator=generator)
