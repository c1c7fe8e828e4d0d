"""A Rydberg reservoir with a readout, arXiv:2510.13473, on the reservoir of arXiv:2407.02553.

The paper's readout is a network; how it is trained, and its sizes, are not published. Eight atoms,
eight times up to 4 us and detunings of at most 6 rad/us are of QuEra's tutorial; four atoms, four
times, the search of the detuning, and circuits of gates in place of the atoms are ours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.compiler import is_compiling

from hybridq.errors import InvalidValueError
from hybridq.models.heads.base import needed_backend
from hybridq.models.heads.entry import HeadEntry
from hybridq.models.heads.fitted.embedded import EmbeddedConfig, EmbeddedHead, Embedding
from hybridq.quantum.layer import QuantumLayer
from hybridq.quantum.modules import running_on
from hybridq.quantum.reservoir.rydberg import RydbergChain, embed
from hybridq.quantum.reservoir.trotter import reservoir_observables, trotter_circuits

if TYPE_CHECKING:
    from hybridq.quantum import Executable

DETUNINGS = (1.5, 3.0, 6.0, 12.0)
"""Largest detunings in radians per microsecond, which are searched."""
COMPARED = 100
"""Rows on which circuits are compared with the exact evolution."""


class ReservoirConfig(EmbeddedConfig):
    """A chain of Rydberg atoms, whose detunings are the components, and its readout."""

    times: int = Field(4, ge=1, le=32)
    """How often the atoms are read; each time is a circuit of its own."""
    interval: float = Field(0.5, gt=0, le=10)
    """Microseconds from one time to the next."""
    spacing: float = Field(10.0, ge=4, le=100)
    """Micrometres between neighbours."""
    rabi: float = Field(2 * math.pi, gt=0, le=100)
    """Rabi frequency, in radians per microsecond."""
    detuning: float | None = Field(None, gt=0, le=200)
    """Largest detuning, in radians per microsecond; searched where it is not given."""
    trotter_steps: int = Field(4, ge=0, le=100)
    """Steps of the circuits from one time to the next; 0 for the atoms' exact evolution, which is
    computed here and on no backend."""


class ReservoirEmbedding(Embedding):
    """`<Z_j>` and `<Z_j Z_k>` of the atoms at every time.

    Args:
        chain: The atoms.
        config: The config of the head.
        backend: Where circuits run; unused without Trotter steps.

    Shape: components in [-1, 1] `(rows, num_atoms)` to `(rows, chain.num_readouts)`.
    """

    def __init__(
        self, chain: RydbergChain, config: ReservoirConfig, backend: Executable | None
    ) -> None:
        super().__init__()
        self.chain = chain
        self.scales = DETUNINGS if config.detuning is None else (config.detuning,)
        self.num_values = chain.num_readouts
        steps = config.trotter_steps
        self.layers = nn.ModuleList(
            QuantumLayer(
                made.circuit,
                input_params=made.input_params,
                weight_params=(),
                observables=reservoir_observables(chain.num_atoms),
                backend=needed_backend(config, backend),
            )
            for made in (trotter_circuits(chain, steps) if steps else [])
        )

    def forward(self, components: Tensor, detuning: Tensor) -> Tensor:
        """Embed components whose magnitude 1 is a detuning of so many radians per microsecond."""
        detunings = components * detuning
        if not self.layers:
            return self.exact(detunings)
        return torch.cat([layer(detunings) for layer in self.layers], dim=-1)

    def exact(self, detunings: Tensor) -> Tensor:
        """Evolve the atoms exactly."""
        if is_compiling():
            raise InvalidValueError(
                "Expected circuits in a model that is exported, got the exact evolution of atoms: "
                "fit it with --head.trotter-steps 4."
            )
        return embed(self.chain, detunings.double().cpu()).to(detunings)


class ReservoirHead(EmbeddedHead):
    """A readout of a Rydberg reservoir, which knows how far its circuits are from the atoms.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        embedding: The reservoir.

    Attributes:
        trotter_error: Root of the mean square, and largest, difference of an expectation value of
            the circuits without noise from the exact evolution, over labelled images; `(2,)`.
    """

    trotter_error: Tensor
    embedding: ReservoirEmbedding

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        config: ReservoirConfig,
        embedding: ReservoirEmbedding,
    ) -> None:
        super().__init__(in_features, num_classes, config, embedding)
        self.register_buffer("trotter_error", torch.zeros(2))

    def after_fit(self, components: Tensor) -> None:
        """Compare circuits with the exact evolution, on the first labelled images."""
        if not self.embedding.layers:
            return
        detunings = (components[:COMPARED].to(self.scale) * self.scale).double()
        with running_on(self.embedding, "statevector"):
            found = self.embedding(detunings, torch.ones(()).double())
        off = found - self.embedding.exact(detunings)
        self.trotter_error.copy_(torch.stack([off.square().mean().sqrt(), off.abs().max()]))

    def about_fit(self) -> str | None:
        """Say how far the circuits are from the atoms; None where there are none."""
        if not self.embedding.layers:
            return None
        typical, largest = self.trotter_error.tolist()
        return (
            f"the circuits' expectation values differ from the atoms' exact evolution by "
            f"{typical:.3f} in the root mean square and {largest:.3f} at most, without noise; the "
            "readout is fitted to the circuits, and --head.trotter-steps brings them nearer"
        )

    def about_job(self, images: int, rows: int, seconds: float) -> list[tuple[str, str]]:
        """Say what the dry run of a job adds: how far the circuits are from the atoms."""
        said = self.about_fit()
        return [] if said is None else [("Trotter error", said)]


def build_reservoir(
    in_features: int,
    num_classes: int,
    config: ReservoirConfig,
    *,
    backend: Executable | None = None,
    generator: torch.Generator | None = None,
) -> ReservoirHead:
    """Build the head, as `HeadEntry.build` is called.

    Raises:
        InvalidValueError: If circuits have no backend or do not fit it.
    """
    chain = chain_of(config)
    return ReservoirHead(
        in_features, num_classes, config, ReservoirEmbedding(chain, config, backend)
    )


def chain_of(config: ReservoirConfig) -> RydbergChain:
    """Make the atoms that a config describes."""
    times = tuple(config.interval * count for count in range(1, config.times + 1))
    return RydbergChain(config.num_qubits, config.spacing, config.rabi, times)


RESERVOIR = HeadEntry(
    ReservoirConfig,
    build_reservoir,
    "Rydberg reservoir",
    control="random_fourier",
    fitted=True,
)
