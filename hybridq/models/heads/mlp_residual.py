"""The control of `pqc_residual`: a classical block of the same size in place of the circuit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hybridq.models.heads.base import seeded
from hybridq.models.heads.mlp import control_block
from hybridq.models.heads.pqc_residual import ResidualHead

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable


def build_mlp_residual(
    in_features: int,
    num_classes: int,
    config: CircuitHeadConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> ResidualHead:
    """Build the control of `pqc_residual`, of matching size; it uses no backend.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        backend: The backend of the circuit; heads without a circuit ignore it.
        generator: Source of the initial weights; one seeded with 0 if None.
    """
    make_block = control_block(config)
    return ResidualHead(
        in_features,
        num_classes,
        config.num_qubits,
        make_block,
        seeded(generator),
        config.reducer,
    )
