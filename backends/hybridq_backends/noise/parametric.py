"""Make parametric noise models: channels of gates, relaxation, readout error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Delay, Instruction
from qiskit.circuit.library import RXGate, RZXGate
from qiskit.quantum_info import Kraus, SuperOp
from qiskit.utils.units import apply_prefix
from qiskit_aer.noise import (
    LocalNoisePass,
    NoiseModel,
    QuantumError,
    ReadoutError,
    depolarizing_error,
)

from hybridq_backends.compile.transpile import PARAMETRIC_BASIS
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.noise.device import (
    Assignments,
    channel_error,
    flip_matrix,
    scale_assignment,
    scale_rate,
)
from hybridq_backends.specs.noisy import Noisy

_UNITS = ("s", "ms", "us", "ns", "ps")


def parametric_noise(spec: Noisy) -> NoiseModel:
    """Make the noise model of a spec without a device, at its strength.

    Noise sits on sx, x and cx, to which circuits are transpiled, and on delays. Readout error
    is the same on all qubits unless the spec lists it qubit by qubit.

    Args:
        spec: The spec.

    Returns:
        The noise model; ideal at strength 0.
    """
    model = NoiseModel(basis_gates=list(PARAMETRIC_BASIS))
    for names, num_qubits in ((["sx", "x"], 1), (["cx"], 2)):
        errors = gate_errors(spec, num_qubits)
        if errors:
            model.add_all_qubit_quantum_error(reduce(QuantumError.compose, errors), names)
    if spec.num_listed_qubits is None:
        matrix = _assignment(spec, 0)
        if not np.array_equal(matrix, np.eye(2)):
            model.add_all_qubit_readout_error(ReadoutError(matrix))
    else:
        for qubit, matrix in parametric_assignments(spec, spec.num_listed_qubits).items():
            model.add_readout_error(ReadoutError(matrix), [qubit])
    if spec.relaxes and spec.noise_scale > 0.0:
        # Aer has no public way to add a pass to a noise model.
        model._custom_noise_passes.append(_delay_pass(spec))
    return model


def parametric_assignments(spec: Noisy, num_qubits: int) -> Assignments:
    """Write the readout assignment matrices of a spec without a device, at its strength.

    Args:
        spec: The spec.
        num_qubits: Qubits, a count; no more than the spec lists.

    Returns:
        A matrix for each qubit.
    """
    return {qubit: _assignment(spec, qubit) for qubit in range(num_qubits)}


def gate_errors(spec: Noisy, num_qubits: int) -> list[QuantumError]:
    """List the errors after a gate, each scaled, in the order in which they act.

    Each is in Aer's own form (depolarising a mixture of Pauli gates), which trajectories need.

    Args:
        spec: The spec.
        num_qubits: 1 for sx and x, 2 for cx (control, target).

    Returns:
        Over-rotation, depolarising, thermal relaxation, amplitude and phase damping: those
        that do anything.
    """
    scale = spec.noise_scale
    one = num_qubits == 1
    angle = (spec.over_rotation_1q if one else spec.over_rotation_2q) or 0.0
    depolarising = scale_rate((spec.error_rate_1q if one else spec.error_rate_2q) or 0.0, scale)
    seconds = spec.gate_times_ns[num_qubits - 1] * 1e-9
    damping = scale_rate(spec.amplitude_damping or 0.0, scale)
    dephasing = scale_rate(spec.phase_damping or 0.0, scale)
    errors = []
    if scale * angle:
        rotation = RXGate if one else RZXGate
        errors.append(QuantumError(rotation(math.sqrt(scale) * angle)))
    if depolarising:
        errors.append(depolarizing_error(depolarising, num_qubits))
    if scale * seconds and spec.relaxes:
        errors.append(_on_each(relaxation(spec, seconds), num_qubits))
    if damping:
        errors.append(_on_each(amplitude_damping(damping), num_qubits))
    if dephasing:
        errors.append(_on_each(phase_damping(dephasing), num_qubits))
    return errors


def amplitude_damping(probability: float) -> SuperOp:
    """Write the decay of |1> to |0> with some probability; coherence shrinks by its root."""
    keep = math.sqrt(1.0 - probability)
    return SuperOp(Kraus([np.diag([1.0, keep]), [[0.0, math.sqrt(probability)], [0.0, 0.0]]]))


def phase_damping(probability: float) -> SuperOp:
    """Write phase damping of probability p, which shrinks coherence by sqrt(1 - p)."""
    keep = math.sqrt(1.0 - probability)
    return SuperOp(Kraus([np.diag([1.0, keep]), np.diag([0.0, math.sqrt(probability)])]))


def relaxation(spec: Noisy, seconds: float) -> SuperOp:
    """Write thermal relaxation (towards |0>) of one qubit with T1 / s and T2 / s.

    It is amplitude damping by 1 - exp(-t / T1), and phase damping for what coherence loses
    beyond that: altogether exp(-t / T2).

    Args:
        spec: Gives T1, T2 and the strength s.
        seconds: Time t, seconds.

    Returns:
        The channel.
    """
    time_us = 1e6 * seconds * spec.noise_scale
    rate_1 = 0.0 if spec.t1_us is None else 1.0 / spec.t1_us
    rate_2 = rate_1 / 2.0 if spec.t2_us is None else 1.0 / spec.t2_us
    pure = max(0.0, 2.0 * rate_2 - rate_1)
    decay = amplitude_damping(-math.expm1(-time_us * rate_1))
    return decay.compose(phase_damping(-math.expm1(-time_us * pure)))


def _on_each(channel: SuperOp, num_qubits: int) -> QuantumError:
    """Let a one-qubit channel act on each qubit of a gate."""
    error = channel_error(channel)
    return error if num_qubits == 1 else error.tensor(error)


def _assignment(spec: Noisy, qubit: int) -> npt.NDArray[np.float64]:
    """Write the assignment matrix of a qubit at the spec's strength."""
    return scale_assignment(flip_matrix(*spec.flip_probabilities(qubit)), spec.noise_scale)


def _delay_pass(spec: Noisy) -> LocalNoisePass:
    """Relax during delays; exactly, where Aer's own pass drops weak Kraus operators."""

    def relax(delay: Instruction, _: Sequence[int]) -> QuantumError:
        if delay.unit not in _UNITS:
            raise InvalidValueError(
                f"Expected delays in seconds (s, ms, us, ns, ps) with parametric noise, got the "
                f"unit {delay.unit!r}: there is no device clock, write delay(100, qubit, 'ns')."
            )
        return channel_error(relaxation(spec, apply_prefix(float(delay.duration), delay.unit)))

    return LocalNoisePass(relax, op_types=Delay, method="append")
