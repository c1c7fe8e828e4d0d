"""A kind of backend of one's own: a simulator whose state is mixed with white noise."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from qiskit.primitives import DataBin, PubResult

from hybridq_backends import KindEntry, Spec
from hybridq_backends.compile.transpile import EXACT_BASIS
from hybridq_backends.simulators.aer import ExactEstimator
from hybridq_backends.simulators.engine import AllToAllEngine


class WhiteNoise(Spec):
    """A state rho that has become (1 - p) rho + p I / 2**n when it is measured."""

    kind: Literal["white_noise"] = "white_noise"
    """Kind of backend (the word that tells specs apart)."""
    error_rate: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share p of the maximally mixed state, a probability, at a noise scale of 1."""
    noise_scale: float = Field(default=1.0, ge=0.0, le=1.0)
    """What the share is multiplied with, a factor."""
    shots: None = None
    """Always none: values are exact."""
    optimization_level: int = Field(default=1, ge=0, le=3)
    """Effort of the transpiler, a level from 0 to 3."""

    @property
    def contrast(self) -> float:
        """What is left of the expectation value of a Pauli word other than the identity."""
        return 1.0 - self.noise_scale * self.error_rate

    @property
    def has_noise(self) -> bool:
        """Whether anything is mixed in."""
        return self.contrast < 1.0

    @property
    def scales_noise(self) -> bool:
        """Always."""
        return True

    def readout_error_of(self, qubit: int, target: Any) -> tuple[float, float]:
        """Get what a qubit in |0> or |1> is read wrongly with: half of the share."""
        return self.error_rate / 2, self.error_rate / 2


class FadingEstimator(ExactEstimator):
    """Aer's exact values of Pauli words, each times a contrast."""

    def __init__(self, contrast: float) -> None:
        super().__init__()
        self._contrast = contrast

    def _run_pub(self, pub: Any) -> PubResult:
        data = super()._run_pub(pub).data
        evs = self._contrast * data.evs
        return PubResult(DataBin(evs=evs, stds=data.stds, shape=evs.shape))


class WhiteNoiseEngine(AllToAllEngine):
    """Any two qubits are neighbours; up to 20 of them."""

    computed_by = "white_noise"

    def __init__(self, spec: WhiteNoise) -> None:
        super().__init__(FadingEstimator(spec.contrast), EXACT_BASIS, 20, spec)


WHITE_NOISE = KindEntry(WhiteNoise, open=WhiteNoiseEngine)
