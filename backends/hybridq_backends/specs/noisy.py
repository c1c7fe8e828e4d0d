"""The spec of a noisy simulator: a device's noise, or parametric noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.fields import (
    Angle,
    FlipRate,
    GateTime,
    OptionalName,
    QubitRates,
    Rate,
    Shots,
    Time,
)

GATE_TIME_1Q_NS = 35.0
GATE_TIME_2Q_NS = 300.0
"""The gate times that are used if T1 or T2 is given without them, in nanoseconds."""

RATE_FIELDS = (
    "error_rate_1q",
    "error_rate_2q",
    "t1_us",
    "t2_us",
    "gate_time_1q_ns",
    "gate_time_2q_ns",
    "amplitude_damping",
    "phase_damping",
    "over_rotation_1q",
    "over_rotation_2q",
    "readout_error",
    "prob_meas1_prep0",
    "prob_meas0_prep1",
)
"""The fields of parametric noise, which a device excludes."""

_READOUT_PAIR = ("prob_meas1_prep0", "prob_meas0_prep1")
"""The fields of readout error that exclude `readout_error`."""


class Noisy(Spec):
    """A simulator with the noise of a device snapshot, or with a parametric noise model.

    Give a `device` or parametric noise, not both. Parametric noise sits on sx, x and cx (rz
    is virtual and has none). After a gate its channels act in this order: over-rotation,
    depolarising, thermal relaxation, amplitude damping, phase damping.

    `noise_scale` s scales each channel for itself, and always gives valid channels: T1 and T2
    are divided by s; a probability p of gate noise becomes 1 - (1 - p)^s; the angle of an
    over-rotation is multiplied by sqrt(s); any other channel E, and each readout assignment
    matrix, is applied floor(s) times and then mixed as (1 - f) identity + f E with f the
    remainder.
    """

    kind: Literal["noisy"] = "noisy"
    """Kind of backend (the word that tells specs apart)."""
    engine: Literal["aer", "torch"] = "aer"
    """Who computes: Qiskit Aer, or the package's own torch engine."""
    shots: Shots = 4096
    """Shots for one circuit, a count; none means exact expectation values."""
    device: OptionalName = None
    """Name of a fake device, such as FakeTorino, or a calibration saved as a .json file."""
    error_rate_1q: Rate = None
    """Depolarising rate of one-qubit gates (sx, x; rz is virtual), a probability."""
    error_rate_2q: Rate = None
    """Depolarising rate of the two-qubit gate (cx), a probability."""
    t1_us: Time = None
    """Relaxation time T1, microseconds; acts during gates and delays. None is endless."""
    t2_us: Time = None
    """Dephasing time T2, microseconds, at most 2 T1; none is 2 T1, no pure dephasing."""
    gate_time_1q_ns: GateTime = None
    """Time of sx and x with T1 and T2, nanoseconds; none is 35."""
    gate_time_2q_ns: GateTime = None
    """Time of cx with T1 and T2, nanoseconds; none is 300."""
    amplitude_damping: Rate = None
    """Probability that an excited qubit decays, for each qubit of each sx, x, cx."""
    phase_damping: Rate = None
    """Probability p of phase damping for each qubit of each sx, x, cx (coherence: sqrt(1-p))."""
    over_rotation_1q: Angle = None
    """Angle of an extra RX after sx and x, radians."""
    over_rotation_2q: Angle = None
    """Angle of an extra RZX (Z on the control, X on the target) after cx, radians."""
    readout_error: FlipRate = None
    """Probability that a measured bit is read flipped, from 0 to 0.5."""
    prob_meas1_prep0: QubitRates = None
    """Probability of reading 1 on a qubit in 0: one, or one for each qubit (0.01/0.02)."""
    prob_meas0_prep1: QubitRates = None
    """Probability of reading 0 on a qubit in 1: one, or one for each qubit (0.01/0.02)."""
    noise_scale: float = Field(default=1.0, ge=0.0, le=100.0)
    """Strength of the noise, a factor: 0 is none, 1 the device or the rates as given."""
    optimization_level: int = Field(default=3, ge=0, le=3)
    """Effort of the transpiler, a level from 0 to 3."""

    @property
    def is_parametric(self) -> bool:
        """Whether the noise is given by rates, not by a device."""
        return self.device is None

    @property
    def relaxes(self) -> bool:
        """Whether qubits relax or dephase with time."""
        return self.t1_us is not None or self.t2_us is not None

    @property
    def gate_times_ns(self) -> tuple[float, float]:
        """Times of one- and of two-qubit gates, nanoseconds."""
        one, two = self.gate_time_1q_ns, self.gate_time_2q_ns
        return GATE_TIME_1Q_NS if one is None else one, GATE_TIME_2Q_NS if two is None else two

    @property
    def num_listed_qubits(self) -> int | None:
        """The number of qubits with their own readout error; None if all have the same."""
        lists = (self.prob_meas1_prep0, self.prob_meas0_prep1)
        return next((len(given) for given in lists if isinstance(given, tuple)), None)

    def flip_probabilities(self, qubit: int) -> tuple[float, float]:
        """Get the probabilities of reading a parametric qubit wrongly, at strength 1.

        Args:
            qubit: Physical qubit, an index.

        Returns:
            The probabilities of reading 1 for a prepared 0, and 0 for a prepared 1.
        """
        if self.readout_error is not None:
            return self.readout_error, self.readout_error
        one, zero = (
            given[qubit] if isinstance(given, tuple) else given or 0.0
            for given in (self.prob_meas1_prep0, self.prob_meas0_prep1)
        )
        return one, zero

    @property
    def is_differentiable(self) -> bool:
        """Whether the torch engine computes."""
        return self.engine == "torch"

    @property
    def scales_noise(self) -> bool:
        """True for every noisy simulator."""
        return True

    @property
    def snapshot(self) -> str | None:
        """The device snapshot, or None."""
        return self.device

    @property
    def has_noise(self) -> bool:
        """Whether a device or a rate is given that is not zero, nor scaled to nothing."""
        return self.noise_scale > 0.0 and (not self.is_parametric or self._has_rate)

    @property
    def has_gate_noise(self) -> bool:
        """Whether two-qubit gates depolarise or decay."""
        decays = self.t1_us is not None and self.gate_times_ns[1] > 0.0
        rates = self.error_rate_2q or self.amplitude_damping or decays
        return self.has_noise and bool(not self.is_parametric or rates)

    @property
    def has_phase_noise(self) -> bool:
        """Whether rates claim dephasing or over-rotation of two-qubit gates."""
        dephases = self.t2_us is not None and self.gate_times_ns[1] > 0.0
        return self.has_noise and bool(self.over_rotation_2q or self.phase_damping or dephases)

    @property
    def _has_rate(self) -> bool:
        """Whether some parametric noise is not zero."""
        flips = (self.prob_meas1_prep0, self.prob_meas0_prep1)
        rates = (
            *(self.error_rate_1q, self.error_rate_2q, self.amplitude_damping, self.phase_damping),
            *(self.over_rotation_1q, self.over_rotation_2q, self.readout_error),
            *(rate for one in flips for rate in (one if isinstance(one, tuple) else (one,))),
        )
        return any(rates) or (self.relaxes and any(self.gate_times_ns))

    def readout_error_of(self, qubit: int, target: Any) -> tuple[float, float]:
        """Get the rates of the spec, or those of the device."""
        if self.is_parametric:
            return self.flip_probabilities(qubit)
        return super().readout_error_of(qubit, target)

    @classmethod
    def without_excluded(cls, fields: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Drop a profile's device when rates are asked for, and its rates for a device.

        Readout error in one form drops the profile's in the other form.
        """
        rates = [name for name in RATE_FIELDS if changes.get(name) is not None]
        if changes.get("device") is not None and not rates:
            return {**fields, **dict.fromkeys(RATE_FIELDS)}
        if rates and "device" not in changes:
            fields = {**fields, "device": None}
        if "readout_error" in rates:
            return {**fields, **dict.fromkeys(_READOUT_PAIR)}
        if not set(_READOUT_PAIR).isdisjoint(rates):
            return {**fields, "readout_error": None}
        return fields

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
                "or one of `error_rate_1q`, `error_rate_2q`, `readout_error`, `t1_us`, ..."
            )
        return self

    @model_validator(mode="after")
    def _times_belong_together(self) -> Self:
        """Refuse gate times without T1 or T2, and a T2 above 2 T1."""
        if not self.relaxes and (self.gate_time_1q_ns, self.gate_time_2q_ns) != (None, None):
            raise ValueError(
                "Expected `t1_us` or `t2_us` beside a gate time, got neither: give one, or "
                "leave the gate time out."
            )
        if self.t1_us is not None and self.t2_us is not None and self.t2_us > 2.0 * self.t1_us:
            raise ValueError(
                f"Expected `t2_us` of at most twice `t1_us` ({2.0 * self.t1_us:g}), got "
                f"{self.t2_us:g}: correct one of them."
            )
        return self

    @model_validator(mode="after")
    def _one_readout(self) -> Self:
        """Refuse two ways to give readout error, and lists of different lengths."""
        pair = (self.prob_meas1_prep0, self.prob_meas0_prep1)
        if self.readout_error is not None and pair != (None, None):
            raise ValueError(
                "Expected `readout_error` or `prob_meas1_prep0` and `prob_meas0_prep1`, got "
                "both: set `readout_error=none`, or leave the others out."
            )
        lengths = [len(given) for given in pair if isinstance(given, tuple)]
        if len(set(lengths)) > 1:
            raise ValueError(
                "Expected `prob_meas1_prep0` and `prob_meas0_prep1` for the same qubits, got "
                f"{lengths[0]} and {lengths[1]}: make the lists equally long."
            )
        return self
