"""The content of a calibration file, validated: one model for each part.

Only what the package reads is described; anything else in the file is left as it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from hybridq_backends.utils.names import field_name

FORMAT = "device calibration"
VERSION = 1
MOST_QUBITS = 10_000
"""The most qubits that a device may have."""
MOST_SECONDS = 1e6
"""The longest time that a gate or a relaxation may take, in seconds."""

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "ps": 1e-12}
_PROBABILITIES = {"gate_error", "readout_error", "prob_meas0_prep1", "prob_meas1_prep0"}


def _printable(text: str) -> str:
    """Refuse a text that cannot be a name."""
    if not text.isprintable():
        raise ValueError("Expected a name of printable characters")
    return text


def _date(text: str) -> str:
    """Refuse a text that is not a time in ISO 8601."""
    datetime.fromisoformat(text)
    return text


_Text: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=200)]
_Name: TypeAlias = Annotated[_Text, AfterValidator(_printable)]
_Date: TypeAlias = Annotated[_Text, AfterValidator(_date)]
_Qubit: TypeAlias = Annotated[StrictInt, Field(ge=0, lt=MOST_QUBITS)]
_Number: TypeAlias = Annotated[StrictFloat | StrictInt, Field(ge=-1e30, le=1e30)]


class _Part(BaseModel):
    """A part of the file, which may hold more fields than are described here."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Measured(_Part):
    """A value that was measured, such as T1 of a qubit or the error of a gate."""

    name: _Name
    """Name of the value, such as T1 or gate_error."""
    unit: Annotated[StrictStr, Field(max_length=20)]
    """The unit of the value."""
    value: _Number
    """The measured value, in `unit`."""

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        """Refuse probabilities outside 0 to 1, and impossible times."""
        if self.name in _PROBABILITIES:
            if not 0.0 <= self.value <= 1.0:
                raise ValueError(f"Expected {self.name} from 0 to 1, got {self.value:.6g}")
        elif self.name in ("T1", "T2") or self.name.endswith("_length"):
            seconds = self.value * _SECONDS.get(self.unit, -1.0)
            zero = self.name.endswith("_length") and seconds == 0.0
            if self.unit not in _SECONDS or not (zero or 1e-15 <= seconds <= MOST_SECONDS):
                raise ValueError(
                    f"Expected {self.name} as a time of up to {MOST_SECONDS:g} s, got "
                    f"{self.value:.6g} {self.unit!r}"
                )
        return self


class _GateProperties(_Part):
    gate: _Name
    qubits: list[_Qubit]
    parameters: list[Measured]


class _Properties(_Part):
    backend_name: _Name
    last_update_date: _Date | None = None
    qubits: list[list[Measured]]
    gates: list[_GateProperties]


class _GateConfiguration(_Part):
    name: _Name
    coupling_map: list[list[_Qubit]] | None = None


class _Configuration(_Part):
    backend_name: _Name
    n_qubits: Annotated[StrictInt, Field(ge=1, le=MOST_QUBITS)]
    basis_gates: Annotated[list[_Name], Field(min_length=1)]
    gates: Annotated[list[_GateConfiguration], Field(min_length=1)]
    coupling_map: list[list[_Qubit]] | None = None
    dt: Annotated[_Number, Field(ge=1e-11, le=1e6)] | None = None  # nanoseconds
    timing_constraints: dict[str, Annotated[StrictInt, Field(ge=0, le=10**6)]] | None = None


class CalibrationFile(_Part):
    """The content of a whole calibration file."""

    format: Literal["device calibration"]
    """The mark that tells a calibration file from other JSON files."""
    version: Literal[1]
    """Version of the format."""
    configuration: _Configuration
    """Gates, couplings and timing of the device."""
    properties: _Properties
    """The calibrated values: errors, times, T1 and T2."""

    @model_validator(mode="after")
    def _of_one_device(self) -> Self:
        """Refuse parts that name different qubits."""
        number = self.configuration.n_qubits
        if len(self.properties.qubits) != number:
            raise ValueError(
                f"Expected properties of {number} qubits, got {len(self.properties.qubits)}"
            )
        named = [q for gate in self.properties.gates for q in gate.qubits]
        for places in [
            *(gate.coupling_map or [] for gate in self.configuration.gates),
            self.configuration.coupling_map or [],
        ]:
            named += [q for place in places for q in place]
        if max(named, default=0) >= number:
            raise ValueError(f"Expected gates on the {number} qubits, got one on {max(named)}")
        return self


def fault_of(content: Any) -> str | None:
    """Say in a few words what is wrong with the content of a file; None if nothing is."""
    try:
        CalibrationFile.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = field_name(first["loc"])
        return f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    return None


def is_measured(value: Any) -> bool:
    """Whether a value that a device reports is possible."""
    try:
        Measured.model_validate(value)
    except ValidationError:
        return False
    return True
