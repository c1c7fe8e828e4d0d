"""The control of `pqc_residual`: a classical block of the same size in place of the circuit."""

from __future__ import annotations

from hybridq.models.heads.base import BlockBuilder
from hybridq.models.heads.mlp import control_block
from hybridq.models.heads.pqc_residual import ResidualHead

build_mlp_residual = BlockBuilder(ResidualHead, control_block)
"""The builder of the control of `pqc_residual`, of matching size."""
