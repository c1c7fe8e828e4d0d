"""What a spec claims of its noise and its mitigation, as the probes put it to the test."""

from __future__ import annotations

import math

import numpy as np
from qiskit.transpiler import Target

from hybridq_backends.specs.spec import IbmRuntime, Noisy, Spec


def claims_noise(spec: Spec) -> bool:
    """Whether a spec claims any noise of gates or readout."""
    if isinstance(spec, Noisy):
        return spec.noise_scale > 0.0 and (not spec.is_parametric or _any_rate(spec))
    return isinstance(spec, IbmRuntime) and spec.noise_scale > 0.0


def _any_rate(spec: Noisy) -> bool:
    """Whether some parametric noise is not zero."""
    rates = (
        *(spec.error_rate_1q, spec.error_rate_2q, spec.amplitude_damping, spec.phase_damping),
        *(spec.over_rotation_1q, spec.over_rotation_2q, spec.readout_error),
        *np.ravel([spec.prob_meas1_prep0 or 0.0]),
        *np.ravel([spec.prob_meas0_prep1 or 0.0]),
    )
    return any(rates) or (spec.relaxes and any(spec.gate_times_ns))


def claims_gate_noise(spec: Spec) -> bool:
    """Whether a spec claims noise of two-qubit gates that shows in <Z> and is left in."""
    if isinstance(spec, IbmRuntime):
        return claims_noise(spec) and not spec.extrapolates
    if isinstance(spec, Noisy) and claims_noise(spec):
        decays = spec.t1_us is not None and spec.gate_times_ns[1] > 0.0
        return not spec.is_parametric or bool(
            spec.error_rate_2q or spec.amplitude_damping or decays
        )
    return False


def claims_phase_noise(spec: Spec) -> bool:
    """Whether a spec claims dephasing or over-rotation of two-qubit gates.

    A state of the computational basis shows neither.
    """
    if not isinstance(spec, Noisy) or not claims_noise(spec):
        return False
    dephases = spec.t2_us is not None and spec.gate_times_ns[1] > 0.0
    return bool(spec.over_rotation_2q or spec.phase_damping or dephases)


def is_mitigated(spec: Spec | None) -> bool:
    """Whether shots are spread over random circuits, or values are corrected afterwards."""
    return isinstance(spec, IbmRuntime) and (
        spec.twirls_measurements or spec.twirls_gates or spec.extrapolates
    )


def readout_contrast(spec: Spec | None, target: Target | None, qubit: int) -> float:
    """Predict <Z> of a qubit in |0> from the claimed probabilities of reading wrongly.

    Args:
        spec: The spec.
        target: The whole device's target; None without a device.
        qubit: Physical qubit, an index.

    Returns:
        <Z>, 1.0 without readout error.
    """
    if isinstance(spec, IbmRuntime) and spec.mitigates_readout:
        return 1.0
    if isinstance(spec, Noisy) and spec.is_parametric:
        zero, one = spec.flip_probabilities(qubit)
    elif target is None:
        zero = one = 0.0
    else:
        measured = target["measure"][qubit,]
        zero = float(getattr(measured, "prob_meas1_prep0", measured.error) or 0.0)
        one = float(getattr(measured, "prob_meas0_prep1", measured.error) or 0.0)
    # One application maps <Z> to shift + shrink <Z>; strengths between are mixtures.
    shrink, shift = 1.0 - zero - one, one - zero
    if isinstance(spec, IbmRuntime) and spec.twirls_measurements:
        shift = 0.0  # half of the shots are read with the bit flipped, and turned back
    scale = spec.noise_scale if isinstance(spec, Noisy | IbmRuntime) else 1.0
    value = 1.0
    rest = scale - math.floor(scale)
    value += rest * (shift + shrink * value - value)
    for _ in range(math.floor(scale)):
        value = shift + shrink * value
    return value
