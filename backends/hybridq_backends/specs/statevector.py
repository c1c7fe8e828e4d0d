"""The spec of a noiseless simulator."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.fields import Shots


class Statevector(Spec):
    """A noiseless simulator."""

    kind: Literal["statevector"] = "statevector"
    """Kind of backend (the word that tells specs apart)."""
    engine: Literal["aer", "torch"] = "aer"
    """Who computes: Qiskit Aer, or the package's own torch engine."""
    shots: Shots = 4096
    """Shots for one circuit, a count; none means exact expectation values."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of the torch engine's numbers: double or single; Aer computes in double."""
    optimization_level: int = Field(default=1, ge=0, le=3)
    """Effort of the transpiler, a level from 0 to 3."""

    @model_validator(mode="after")
    def _what_the_engine_can(self) -> Self:
        """Refuse shots on the torch engine, and single precision on Aer."""
        if self.engine == "torch" and self.shots is not None:
            raise ValueError(
                f"Expected `shots=none` with `engine=torch`, which is exact, got {self.shots}: "
                "take `aer_shots`."
            )
        if self.engine == "aer" and self.dtype != "float64":
            raise ValueError(
                f"Expected `dtype=float64` with `engine=aer`, got {self.dtype!r}: "
                "take `statevector`."
            )
        return self

    @property
    def is_differentiable(self) -> bool:
        """Whether the torch engine computes."""
        return self.engine == "torch"
