"""Validated descriptions of a backend: one frozen pydantic model per kind.

A spec says what to open and how, and nothing else: it holds no connection and no secret
of its own. Nothing here imports Qiskit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    model_validator,
)

from backends.errors import InvalidValueError
from backends.secrets import public_options
from backends.words import nearest

RATE_FIELDS = ("error_rate_1q", "error_rate_2q", "readout_error")


def _none_word(value: object) -> object:
    """Read the word "none" as None (TOML and the command line have no null)."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


_Shots: TypeAlias = Annotated[int, Field(ge=1, le=10_000_000)]
_Name: TypeAlias = Annotated[str, Field(min_length=1)]
_Probability: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
_FlipProbability: TypeAlias = Annotated[float, Field(ge=0.0, le=0.5)]
Shots: TypeAlias = Annotated[_Shots | None, BeforeValidator(_none_word)]
OptionalName: TypeAlias = Annotated[_Name | None, BeforeValidator(_none_word)]
Rate: TypeAlias = Annotated[_Probability | None, BeforeValidator(_none_word)]
ReadoutRate: TypeAlias = Annotated[_FlipProbability | None, BeforeValidator(_none_word)]


class _SpecBase(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the transpiler and of simulated shots, an integer."""


class Statevector(_SpecBase):
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


class Noisy(_SpecBase):
    """A simulator with the noise of a device snapshot, or with a parametric noise model.

    Give a `device` or error rates, not both. `noise_scale` s always yields valid channels:
    a depolarising rate p becomes 1 - (1 - p)^s; any other channel E, and each readout
    assignment matrix, is applied floor(s) times and then mixed as (1 - f) identity + f E with
    f the remainder; for delays, T1 and T2 are divided by s.
    """

    kind: Literal["noisy"] = "noisy"
    """Kind of backend (the word that tells specs apart)."""
    engine: Literal["aer", "torch"] = "aer"
    """Who computes: Qiskit Aer, or the package's own torch engine."""
    shots: Shots = 4096
    """Shots for one circuit, a count; none means exact expectation values."""
    device: OptionalName = None
    """Name of a fake device, such as FakeTorino (also fake_torino, torino)."""
    error_rate_1q: Rate = None
    """Depolarising rate of one-qubit gates (sx, x; rz is virtual), a probability."""
    error_rate_2q: Rate = None
    """Depolarising rate of the two-qubit gate (cx), a probability."""
    readout_error: ReadoutRate = None
    """Probability that a measured bit is read flipped, from 0 to 0.5."""
    noise_scale: float = Field(default=1.0, ge=0.0, le=100.0)
    """Strength of the noise, a factor: 0 is none, 1 the device or the rates as given."""
    optimization_level: int = Field(default=3, ge=0, le=3)
    """Effort of the transpiler, a level from 0 to 3."""

    @property
    def is_parametric(self) -> bool:
        """Whether the noise is given by rates, not by a device."""
        return self.device is None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        """Refuse both sources of noise, and neither."""
        rates = [name for name in RATE_FIELDS if getattr(self, name) is not None]
        if self.device is not None and rates:
            raise ValueError(
                f"Expected `device` or error rates, got both (`device` and `{rates[0]}`): "
                "give `device`, or the rates alone."
            )
        if self.device is None and not rates:
            raise ValueError(
                "Expected `device` or error rates, got neither: give `device=FakeTorino`, "
                "or one of `error_rate_1q`, `error_rate_2q`, `readout_error`."
            )
        return self


class IbmRuntime(_SpecBase):
    """IBM hardware through qiskit-ibm-runtime, or a rehearsal of it on a fake device.

    The account comes from the client's own sources or from `service_options`; there is no
    field for a token, and `service_options` is left out of `repr` and dumps but for the
    options known to be public.
    """

    kind: Literal["ibm_runtime"] = "ibm_runtime"
    """Kind of backend (the word that tells specs apart)."""
    device: OptionalName = None
    """Name of an IBM device, such as ibm_torino; none means the least busy one."""
    rehearse: OptionalName = None
    """Name of a fake device to rehearse on, without an account; none means real hardware."""
    mode: Literal["batch", "session", "job"] = "batch"
    """Execution mode: a batch, a session (paid plans only) or single jobs."""
    shots: int = Field(default=4096, ge=1, le=10_000_000)
    """Shots for one circuit, a count."""
    resilience_level: Literal[0, 1, 2] = 1
    """Error mitigation: 0 none, 1 readout (TREX), 2 also twirling and extrapolation (ZNE)."""
    dynamical_decoupling: bool = False
    """Whether idle qubits get decoupling pulses."""
    max_execution_time: int = Field(default=600, ge=1, le=10_800)
    """Most QPU time one job may take, in seconds."""
    optimization_level: int = Field(default=3, ge=0, le=3)
    """Effort of the transpiler, a level from 0 to 3."""
    service_options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Arguments handed verbatim to QiskitRuntimeService, such as filename or instance."""

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
            f"got {kind!r}: correct the profile."
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
    if "token" in field.lower() or "key" in field.lower():
        return (
            f"Expected no secret among the fields of backend {name!r}, got `{field}`: save the "
            "account with QiskitRuntimeService.save_account, or set QISKIT_IBM_TOKEN."
        )
    settable = [word for word in known if word != "kind"]
    guess = nearest(field, settable)
    remedy = f"did you mean `{guess}`?" if guess else "choose one of those."
    return f"Expected a field of backend {name!r} ({', '.join(settable)}), got `{field}`: {remedy}"


def _message(error: ValidationError, fields: Mapping[str, Any], name: str) -> str:
    """Turn the first complaint of pydantic into one line: expected, got, remedy."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = [str(part) for part in first["loc"]]
    text = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    if not where:
        return f"Backend {name!r}: {text}"
    field = where[0]
    if field == "service_options":
        return (
            f"Expected `service_options` of backend {name!r} to be a table, got "
            f"{type(fields.get(field)).__name__}: write `service_options.filename=...`."
        )
    expected = text.removeprefix("Input should be ")
    return (
        f"Expected `{field}` of backend {name!r} to be {expected}, "
        f"got {fields.get(field)!r}: correct `{field}`."
    )
