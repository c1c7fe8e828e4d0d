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
    """The control of `pqc_residual`, as nearly as possible of its size; no backend is used."""
    make_block = control_block(config)
    return ResidualHead(in_features, num_classes, config.num_qubits, make_block, seeded(generator))
