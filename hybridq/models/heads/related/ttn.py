"""TTN-VQC: a tensor train before the circuit, arXiv:2306.03741.

The authors' code reduces 784 pixels to 8 angles by a tensor train of rank 2 or 3 and measures all
qubits behind layers of RX, RY, RZ and a ring of CX. Its second stage freezes a train that was
pretrained: `--start RUN --start-blocks encoder,reducer --freeze encoder,reducer`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from tyro.conf import arg

from hybridq.config import CircuitHeadConfig
from hybridq.models.heads.entry import HeadEntry
from hybridq.models.heads.mlp import build_mlp
from hybridq.models.heads.pqc import build_pqc


class TtnConfig(CircuitHeadConfig):
    """The bottleneck head whose map from features to angles is a tensor train."""

    reducer: Annotated[Literal["linear", "pca", "random", "tt"], arg(aliases=["--reducer"])] = "tt"
    """Where the map from features to angles comes from: `tt`, or any other that `pqc` takes."""
    ansatz: str = "strongly_entangling"
    """The trainable part: `ry_cz`, `real_amplitudes`, `efficient_su2`, `strongly_entangling`."""


TTN = HeadEntry(TtnConfig, build_pqc, "TTN-VQC, a tensor train before a circuit", control="ttn_mlp")
TTN_MLP = HeadEntry(TtnConfig, build_mlp, "control of TTN-VQC")
