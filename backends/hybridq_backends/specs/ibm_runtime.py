"""The spec of IBM hardware, and of its rehearsal on a fake device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.fields import Choice, OptionalName, Seconds
from hybridq_backends.utils.secrets import hide, public_options


class IbmRuntime(Spec):
    """IBM hardware through qiskit-ibm-runtime, or a rehearsal of it on a fake device.

    The account comes from the client's own sources or from `service_options`; there is no
    field for a token. In `service_options` what is not known to be public is wrapped in a
    `Secret`: nothing shows it, and a pickled spec leaves it behind.
    """

    kind: Literal["ibm_runtime"] = "ibm_runtime"
    """Kind of backend (the word that tells specs apart)."""
    device: OptionalName = None
    """Name of an IBM device, such as ibm_torino; none means the least busy one. A rehearsal has
    none: it names its fake device in `rehearse`."""
    rehearse: OptionalName = None
    """A fake device, or a saved calibration (.json), to rehearse on; none is real hardware."""
    noise_scale: float = Field(default=1.0, ge=0.0, le=100.0)
    """Strength of a rehearsal's noise, a factor: 0 is none, 1 the device."""
    mode: Literal["batch", "session", "job"] = "batch"
    """Execution mode: a batch, a session (paid plans only) or single jobs."""
    shots: int = Field(default=4096, ge=1, le=10_000_000)
    """Shots for one circuit, a count."""
    resilience_level: Literal[0, 1, 2] = 1
    """Error mitigation: 0 none, 1 readout (TREX), 2 also twirling and extrapolation (ZNE)."""
    measure_mitigation: Choice = None
    """Whether readout error is mitigated (TREX); none means what `resilience_level` says."""
    zne_mitigation: Choice = None
    """Whether to extrapolate to zero noise (ZNE); none means what `resilience_level` says."""
    gate_twirling: Choice = None
    """Whether two-qubit gates are twirled; none means what `resilience_level` says."""
    measure_twirling: Choice = None
    """Whether measurements are twirled; none means what `resilience_level` says."""
    dynamical_decoupling: bool = False
    """Whether idle qubits get decoupling pulses."""
    max_execution_time: int = Field(default=600, ge=1, le=10_800)
    """Most QPU time one job may take, in seconds."""
    max_qpu_seconds: Seconds = None
    """Most QPU time that the jobs of an opened backend may be estimated to take together, in
    seconds; none means 60, and no training on hardware. `hybridq submit` has its own."""
    optimization_level: int = Field(default=3, ge=0, le=3)
    """Effort of the transpiler, a level from 0 to 3."""
    service_options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Arguments handed verbatim to QiskitRuntimeService, such as filename or instance."""

    @property
    def mitigates_readout(self) -> bool:
        """Whether TREX is on."""
        return _chosen(self.measure_mitigation, self.resilience_level >= 1)

    @property
    def extrapolates(self) -> bool:
        """Whether ZNE is on."""
        return _chosen(self.zne_mitigation, self.resilience_level == 2)

    @property
    def twirls_gates(self) -> bool:
        """Whether two-qubit gates are twirled."""
        return _chosen(self.gate_twirling, self.resilience_level == 2)

    @property
    def twirls_measurements(self) -> bool:
        """Whether measurements are twirled, which TREX needs."""
        return _chosen(self.measure_twirling, self.resilience_level >= 1) or self.mitigates_readout

    @field_validator("shots", mode="before")
    @classmethod
    def _never_exact(cls, shots: object) -> object:
        """Say why `none` is refused."""
        if shots is None or (isinstance(shots, str) and shots.strip().lower() == "none"):
            raise ValueError("a count, for hardware has no exact mode")
        return shots

    @field_validator("service_options")
    @classmethod
    def _hidden(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Wrap what may be secret."""
        return hide(options)

    @field_serializer("service_options")
    def _only_public(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Dump only the options known to hold no secret."""
        return public_options(options)

    @model_validator(mode="before")
    @classmethod
    def _known_level(cls, data: Any) -> Any:
        """Read the level given as a word on the command line."""
        if isinstance(data, dict) and str(data.get("resilience_level")) in {"0", "1", "2"}:
            return {**data, "resilience_level": int(data["resilience_level"])}
        return data

    @model_validator(mode="after")
    def _scaled_in_rehearsal(self) -> Self:
        """Refuse to scale the noise of real hardware."""
        if self.rehearse is None and self.noise_scale != 1.0:
            raise ValueError(
                f"Expected `noise_scale=1` on real hardware, got {self.noise_scale:g}: give "
                "`rehearse=FakeTorino`, or leave `noise_scale` out."
            )
        return self

    @model_validator(mode="after")
    def _one_device(self) -> Self:
        """Refuse a device beside that of a rehearsal, which would be left unused."""
        if self.rehearse is not None and self.device is not None:
            snapshot = self.device.lower().startswith("fake") or self.device.endswith(".json")
            raise ValueError(
                f"Expected `rehearse` or `device`, got both (rehearse={self.rehearse}, "
                f"device={self.device}): "
                + (
                    f"give `rehearse={self.device}` and no device."
                    if snapshot
                    else f"rehearse on a fake device, as in `rehearse=FakeTorino`, or name the "
                    f"device with hardware, as in `ibm,device={self.device}`."
                )
            )
        return self

    @model_validator(mode="after")
    def _twirled_for_trex(self) -> Self:
        """Refuse TREX without twirled measurements, which it needs."""
        if self.mitigates_readout and self.measure_twirling is False:
            raise ValueError(
                "Expected `measure_twirling` on with readout mitigation, which needs it, got "
                "false: leave it out, or give `measure_mitigation=false`."
            )
        return self

    @classmethod
    def without_excluded(cls, fields: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Drop a profile's device when a rehearsal of it is asked for."""
        if changes.get("rehearse") is not None and "device" not in changes:
            return {**fields, "device": None}
        return fields

    @property
    def takes_jobs(self) -> bool:
        """True: a rehearsal takes its jobs on this machine."""
        return True

    @property
    def is_paid(self) -> bool:
        """Whether this is real hardware."""
        return self.rehearse is None

    @property
    def scales_noise(self) -> bool:
        """Whether this is a rehearsal."""
        return self.rehearse is not None

    @property
    def snapshot(self) -> str | None:
        """The device of the rehearsal, or None."""
        return self.rehearse

    @property
    def has_noise(self) -> bool:
        """Whether the noise is not scaled to nothing."""
        return self.noise_scale > 0.0

    @property
    def has_gate_noise(self) -> bool:
        """Whether there is noise that is not extrapolated away."""
        return self.has_noise and not self.extrapolates

    @property
    def is_mitigated(self) -> bool:
        """Whether anything is twirled or extrapolated."""
        return self.twirls_measurements or self.twirls_gates or self.extrapolates

    def readout_error_of(self, qubit: int, target: Any) -> tuple[float, float]:
        """Get the readout error after mitigation: none with TREX, the mean of both with twirling.

        Half of the twirled shots are read with a flipped bit, which is flipped back.
        """
        zero, one = super().readout_error_of(qubit, target)
        if self.mitigates_readout:
            return 0.0, 0.0
        return ((zero + one) / 2,) * 2 if self.twirls_measurements else (zero, one)

    def without_secrets(self) -> Self:
        """Return the same spec without its `service_options`."""
        return self.model_copy(update={"service_options": {}})


def _chosen(choice: bool | None, by_level: bool) -> bool:
    """Take what was chosen, or else what the resilience level says."""
    return by_level if choice is None else choice
