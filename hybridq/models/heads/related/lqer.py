"""LQER: a residual circuit with data re-uploading, arXiv:2601.18814.

The paper puts it behind a ResNet-18 (`--encoder.name resnet18`) and trains the whole end to end.
Number of qubits, layers and ansatz are not published; the values here are ours.
"""

from __future__ import annotations

from pydantic import Field

from hybridq.config import CircuitHeadConfig
from hybridq.config.base import MAX_LAYERS
from hybridq.models.heads.entry import HeadEntry
from hybridq.models.heads.pqc_residual import build_pqc_residual


class LqerConfig(CircuitHeadConfig):
    """The residual head `h' = h + alpha W z` around a circuit that re-uploads its angles."""

    num_layers: int = Field(2, ge=1, le=MAX_LAYERS)
    """Repetitions of encoding and trainable layer."""
    encoding: str = "reupload"
    """How angles enter the circuit: `reupload`, before each layer, or `angle` or `zz`."""


LQER = HeadEntry(
    LqerConfig, build_pqc_residual, "LQER, a re-uploading residual", control="mlp_residual"
)
