"""Validated descriptions of a backend: one frozen pydantic model per kind.

A spec says what to open and how, and nothing else: it holds no connection and no secret
of its own. Nothing here imports Qiskit.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, ValidationError, field_serializer, field_validator, model_validator

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.specs.fields import Choice, OptionalName, Seconds, Shots, SpecBase
from hybridq_backends.specs.noisy import RATE_FIELDS as RATE_FIELDS
from hybridq_backends.specs.noisy import Noisy as Noisy
from hybridq_backends.utils.names import field_name
from hybridq_backends.utils.secrets import hide, public_options
from hybridq_backends.utils.suggest import nearest


class Statevector(SpecBase):
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


class IbmRuntime(SpecBase):
    """IBM hardware through qiskit-ibm-runtime, or a rehearsal of it on a fake device.

    The account comes from the client's own sources or from `service_options`; there is no
    field for a token. In `service_options` what is not known to be public is wrapped in a
    `Secret`: nothing shows it, and a pickled spec leaves it behind.
    """

    kind: Literal["ibm_runtime"] = "ibm_runtime"
    """Kind of backend (the word that tells specs apart)."""
    device: OptionalName = None
    """Name of an IBM device, such as ibm_torino; none means the least busy one."""
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
    def _twirled_for_trex(self) -> Self:
        """Refuse TREX without the twirling it is made of, which the client would turn on."""
        if self.mitigates_readout and self.measure_twirling is False:
            raise ValueError(
                "Expected `measure_twirling` on with readout mitigation, which needs it, got "
                "false: leave it out, or give `measure_mitigation=false`."
            )
        return self


def _chosen(choice: bool | None, by_level: bool) -> bool:
    """Take what was chosen, or else what the resilience level says."""
    return by_level if choice is None else choice


Spec: TypeAlias = Statevector | Noisy | IbmRuntime

_KINDS: dict[str, type[Statevector] | type[Noisy] | type[IbmRuntime]] = {
    "statevector": Statevector,
    "noisy": Noisy,
    "ibm_runtime": IbmRuntime,
}


def build_spec(fields: Mapping[str, Any], *, name: str) -> Spec:
    """Validate fields into a spec.

    Args:
        fields: `kind` and the fields of that kind.
        name: What the message calls this backend: the profile's name.

    Returns:
        The frozen spec.

    Raises:
        InvalidValueError: On an unknown kind or field, or a value out of range; one line.
    """
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidValueError(
            f"Expected `kind` of backend {name!r} to be one of {', '.join(_KINDS)}, "
            f"got {_shown(kind)}: correct the profile."
        )
    known = list(_KINDS[kind].model_fields)
    for field in fields:
        if field not in known:
            raise InvalidValueError(_unknown_field(name, field, known))
    try:
        return _KINDS[kind].model_validate(dict(fields))
    except ValidationError as error:
        raise InvalidValueError(_message(error, fields, name)) from error


def _unknown_field(name: str, field: str, known: list[str]) -> str:
    """Write the line for a field the kind does not have; values are never repeated."""
    shown = f"`{field}`" if field.isprintable() and len(field) <= 80 else _shown(field)
    if "token" in field.lower() or "key" in field.lower():
        return (
            f"Expected no secret among the fields of backend {name!r}, got {shown}: save the "
            "account with QiskitRuntimeService.save_account, or set QISKIT_IBM_TOKEN."
        )
    settable = [word for word in known if word != "kind"]
    guess = nearest(field, settable)
    remedy = f"did you mean `{guess}`?" if guess else "choose one of those."
    return f"Expected a field of backend {name!r} ({', '.join(settable)}), got {shown}: {remedy}"


def _shown(value: object) -> str:
    """A value as it was given, long ones without their middle."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 80
    return shown.repr(value)


def _message(error: ValidationError, fields: Mapping[str, Any], name: str) -> str:
    """Turn the first complaint of pydantic into one line: expected, got, remedy."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = [str(part) for part in first["loc"]]
    text = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    if not where:
        return f"Backend {name!r}: {text}"
    field = field_name(where[:1])
    if field == "service_options":
        return (
            f"Expected `service_options` of backend {name!r} to be a table, got "
            f"{type(fields.get(field)).__name__}: write `service_options.filename=...`."
        )
    expected = text.removeprefix("Input should be ")
    return (
        f"Expected `{field}` of backend {name!r} to be {expected}, "
        f"got {_shown(fields.get(field))}: correct `{field}`."
    )
