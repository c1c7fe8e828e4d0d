"""Check the delays of a circuit against the clock of a device."""

from __future__ import annotations

import math

from qiskit import QuantumCircuit
from qiskit.circuit import Delay, ParameterExpression
from qiskit.transpiler import Target

from hybridq_backends.errors import InvalidValueError

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


def check_delays(circuit: QuantumCircuit, target: Target) -> None:
    """Refuse delays that the transpiler refuses without saying why.

    Args:
        circuit: The logical circuit.
        target: The device's, with its step of time and the steps on which gates may start.

    Raises:
        InvalidValueError: If the length of a delay is a parameter, or no multiple of what the
            device starts gates on.
    """
    steps = math.lcm(int(target.pulse_alignment or 1), int(target.acquire_alignment or 1))
    for item in circuit.data:
        delay = item.operation
        if not isinstance(delay, Delay):
            continue
        if isinstance(delay.duration, ParameterExpression):
            raise InvalidValueError(
                f"Expected parameters in gates only, got {delay.duration} as the length of a "
                "delay: bind it."
            )
        length = _in_steps(delay, target.dt)
        if length is not None and length % steps:
            grid = (
                f"{steps} dt"
                if target.dt is None
                else f"{steps} dt ({steps * target.dt * 1e9:.4g} ns)"
            )
            near = max(1, round(length / steps)) * steps
            raise InvalidValueError(
                f"Expected delays of multiples of {grid}, on which this device starts its gates, "
                f'got {delay.duration} {delay.unit} ({length} dt): write {near} with unit="dt".'
            )


def _in_steps(delay: Delay, dt: float | None) -> int | None:
    """The length of a delay in steps of the device's clock; None where it cannot be told."""
    if delay.unit == "dt":
        return int(delay.duration)
    if dt is None or delay.unit not in _SECONDS:
        return None
    seconds = float(delay.duration) * _SECONDS[delay.unit]
    return round(seconds / dt)
