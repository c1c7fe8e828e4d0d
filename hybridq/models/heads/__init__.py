"""Classifiers on top of the encoder's features: `build_head`, and the dict `HEADS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from hybridq.config import CircuitHeadConfig
from hybridq.config.choices import entries, find_entry
from hybridq.errors import InvalidValueError
from hybridq.models.heads.counting import (
    circuit_parameters,
    match_counts,
    match_summary,
    num_parameters,
    num_trainable,
)
from hybridq.models.heads.entry import HeadEntry
from hybridq.models.heads.fitted.kernel import KERNEL, QKERNEL
from hybridq.models.heads.fitted.random_features import (
    COMPONENTS,
    CUBIC,
    RANDOM_FOURIER,
    RANDOM_TANH,
)
from hybridq.models.heads.fitted.reservoir import RESERVOIR
from hybridq.models.heads.identity import build_identity
from hybridq.models.heads.linear import LinearConfig, build_linear
from hybridq.models.heads.low_rank import build_low_rank
from hybridq.models.heads.mlp import build_mlp
from hybridq.models.heads.mlp_residual import build_mlp_residual
from hybridq.models.heads.pqc import build_pqc
from hybridq.models.heads.pqc_residual import build_pqc_residual
from hybridq.models.heads.related.attention import ATTENTION, SWAP_ATTENTION
from hybridq.models.heads.related.generated import GENERATED, RANK_MLP
from hybridq.models.heads.related.hyper import HYPER, HYPER_MLP
from hybridq.models.heads.related.lqer import LQER
from hybridq.models.heads.related.ttn import TTN, TTN_MLP
from hybridq.models.heads.rff import build_rff
from hybridq.models.heads.trig import build_trig
from hybridq.quantum.modules import as_backend

if TYPE_CHECKING:
    from hybridq.config import HeadConfig
    from hybridq.quantum.modules import AnyBackend

__all__ = [
    "HEADS",
    "HeadEntry",
    "build_head",
    "circuit_parameters",
    "control_of",
    "head_entry",
    "is_fitted",
    "match_counts",
    "match_summary",
    "num_parameters",
    "num_trainable",
    "quantum_heads",
]

HEADS: dict[str, HeadEntry] = {
    "attention": ATTENTION,
    "components": COMPONENTS,
    "cubic": CUBIC,
    "generated": GENERATED,
    "hyper": HYPER,
    "hyper_mlp": HYPER_MLP,
    "identity": HeadEntry(CircuitHeadConfig, build_identity, "cosines of the angles"),
    "kernel": KERNEL,
    "linear": HeadEntry(LinearConfig, build_linear, "linear"),
    "low_rank": HeadEntry(CircuitHeadConfig, build_low_rank, "linear map of low rank"),
    "lqer": LQER,
    "mlp": HeadEntry(CircuitHeadConfig, build_mlp, "control of the quantum bottleneck"),
    "mlp_residual": HeadEntry(
        CircuitHeadConfig, build_mlp_residual, "control of the quantum residual"
    ),
    "pqc": HeadEntry(CircuitHeadConfig, build_pqc, "quantum bottleneck", control="mlp"),
    "pqc_residual": HeadEntry(
        CircuitHeadConfig, build_pqc_residual, "quantum residual", control="mlp_residual"
    ),
    "qkernel": QKERNEL,
    "random_fourier": RANDOM_FOURIER,
    "random_tanh": RANDOM_TANH,
    "rank_mlp": RANK_MLP,
    "reservoir": RESERVOIR,
    "rff": HeadEntry(CircuitHeadConfig, build_rff, "random Fourier features"),
    "swap_attention": SWAP_ATTENTION,
    "trig": HeadEntry(CircuitHeadConfig, build_trig, "trigonometric polynomial"),
    "ttn": TTN,
    "ttn_mlp": TTN_MLP,
}


def head_entry(name: str) -> HeadEntry:
    """Find the head of a name: in `HEADS`, in another distribution, or by import.

    Raises:
        InvalidValueError: If there is none.
    """
    found: HeadEntry = find_entry("head", name)
    return found


def is_fitted(head: nn.Module) -> bool:
    """Whether a head is fitted in closed form, by `head.fit(features, labels)`.

    Such a head keeps its fitted state as buffers of any shape.
    """
    return callable(getattr(head, "fit", None))


def control_of(name: str) -> str | None:
    """Name the classical head that is reported beside a quantum one; None for a classical head."""
    return head_entry(name).control


def quantum_heads() -> list[str]:
    """List the names of the heads that have a control."""
    return [name for name in entries("head") if control_of(name)]


def build_head(
    in_shape: int | tuple[int, ...],
    num_classes: int,
    config: HeadConfig,
    *,
    backend: AnyBackend | None = None,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Make the head named `config.name`.

    Args:
        in_shape: The number of features, or the shape of the feature maps as `(channels, height,
            width)`, as the head's entry says.
        num_classes: The number of logits.
        config: The config of the head, with its name.
        backend: The backend of its circuit, as `open_backend` takes it; heads without a circuit
            ignore it.
        generator: Source of the initial weights; one seeded with 0 if None. The global random
            state is never touched.

    Returns:
        The head, from `(batch, *in_shape)` to `(batch, num_classes)`.

    Raises:
        InvalidValueError: If a size is below 1, a name is unknown, or a quantum head has no
            backend or does not fit it.
    """
    shape = (in_shape,) if isinstance(in_shape, int) else tuple(in_shape)
    for name, sizes in (("in_shape", shape), ("num_classes", (num_classes,))):
        if min(sizes) < 1:
            raise InvalidValueError(
                f"Expected `{name}` of at least 1, got {min(sizes)}: give a size."
            )
    build = head_entry(config.name).build
    opened = None if backend is None else as_backend(backend)
    return build(in_shape, num_classes, config, backend=opened, generator=generator)
