"""The base of all kinds of backends: their seeds, and the questions that a spec answers.

A spec describes what to open and how. It holds no connection and no secret of its own. Differences
between kinds are answered here, so that no code outside this package looks at the type of a spec.
Nothing here imports Qiskit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hybridq_backends.specs.fields import OptionalSeed


class Spec(BaseModel):
    """The base of every kind of backend; your own kind derives from it.

    A kind adds `kind: Literal["its name"] = "its name"` and its own fields, overrides the
    properties below where they differ, and is entered in `KINDS`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of simulated shots, and of the transpiler unless it has its own, an integer."""
    transpiler_seed: OptionalSeed = None
    """Seed of the transpiler, an integer; none means `seed`."""

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, data: Any) -> Any:
        """Refuse `true` and `false` where they would be read as 1 and 0."""
        for name, field in cls.model_fields.items():
            value = data.get(name) if isinstance(data, Mapping) else None
            if isinstance(value, bool) and bool not in (
                field.annotation,
                *get_args(field.annotation),
            ):
                raise ValueError(
                    f"Expected a number or a word for `{name}`, got {str(value).lower()}: "
                    f"correct `{name}`."
                )
        return data

    kind: str
    """Kind of backend (the word that tells specs apart)."""

    @property
    def compiler_seed(self) -> int:
        """The seed circuits are compiled with: the same layout whatever the seed of the shots."""
        return self.seed if self.transpiler_seed is None else self.transpiler_seed

    @property
    def takes_jobs(self) -> bool:
        """Whether circuits are jobs of IBM's service, or of a rehearsal of it."""
        return False

    @property
    def is_paid(self) -> bool:
        """Whether jobs use QPU time of an account."""
        return False

    @property
    def is_differentiable(self) -> bool:
        """Whether values are computed by torch, whose derivatives take no further runs."""
        return False

    @property
    def scales_noise(self) -> bool:
        """Whether `noise_scale` sets the strength of its noise."""
        return False

    @property
    def snapshot(self) -> str | None:
        """The fake device, or the saved calibration, whose noise is simulated."""
        return None

    @property
    def has_noise(self) -> bool:
        """Whether it claims any noise of gates or readout."""
        return False

    @property
    def has_gate_noise(self) -> bool:
        """Whether it claims noise of two-qubit gates that shows in <Z> and is left in."""
        return False

    @property
    def has_phase_noise(self) -> bool:
        """Whether it claims dephasing or over-rotation of two-qubit gates.

        A state of the computational basis shows neither.
        """
        return False

    @property
    def is_mitigated(self) -> bool:
        """Whether shots are spread over random circuits, or values are corrected afterwards."""
        return False

    def readout_error_of(self, qubit: int, target: Any) -> tuple[float, float]:
        """Get the claimed probabilities of reading a qubit wrongly, at a noise scale of 1.

        Args:
            qubit: Physical qubit, an index.
            target: The whole device's `Target`; None without a device.

        Returns:
            The probabilities of reading 1 for a prepared 0, and 0 for a prepared 1.
        """
        if target is None:
            return 0.0, 0.0
        measured = target["measure"][qubit,]
        return tuple(  # type: ignore[return-value]
            float(getattr(measured, name, measured.error) or 0.0)
            for name in ("prob_meas1_prep0", "prob_meas0_prep1")
        )

    @classmethod
    def without_excluded(cls, fields: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Drop the known fields that are excluded by the fields about to be changed."""
        return fields

    def without_secrets(self) -> Self:
        """Return the same spec without its secrets."""
        return self
