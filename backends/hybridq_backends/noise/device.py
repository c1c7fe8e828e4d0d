"""Make the noise of a device snapshot, and scale channels and readout errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Delay
from qiskit.providers import BackendV2
from qiskit.quantum_info import Choi, Kraus, SuperOp
from qiskit.transpiler import Target
from qiskit_aer.noise import (
    NoiseModel,
    QuantumError,
    ReadoutError,
    RelaxationNoisePass,
)
from qiskit_aer.noise.device import basic_device_gate_errors, basic_device_readout_errors

from hybridq_backends.errors import InvalidValueError

Assignments: TypeAlias = dict[int, npt.NDArray[np.float64]]
"""The readout matrices A[true, read], (2, 2), of some qubits, by index."""


def device_noise(device: BackendV2, scale: float = 1.0) -> NoiseModel:
    """Make the noise model of a (cut) device.

    Args:
        device: A backend whose target carries errors, times, T1 and T2.
        scale: Strength, a factor: 1 is the device, exactly as Aer reads it.

    Returns:
        Gate, relaxation and readout errors.

    Raises:
        InvalidValueError: If a qubit has no readout error in its calibration.
    """
    _check_readout(device)
    if scale == 1.0:
        return NoiseModel.from_backend(device)
    model = NoiseModel(basis_gates=device.operation_names)
    if scale == 0.0:
        return model
    for name, qubits, error in basic_device_gate_errors(target=device.target):
        model.add_quantum_error(scale_channel(error, scale), name, qubits)
    for qubit, matrix in device_assignments(device.target, scale).items():
        model.add_readout_error(ReadoutError(matrix), [qubit])
    delays = _delay_pass(device.target, scale)
    if delays is not None:
        # Aer has no public way to add a pass to a noise model.
        model._custom_noise_passes.append(delays)
    return model


def _check_readout(device: BackendV2) -> None:
    """Refuse a calibration without a readout error, as of qubits that are out of order."""
    measured = device.target["measure"] if "measure" in device.target.operation_names else {}
    numbers = getattr(device, "qubits", range(int(device.target.num_qubits)))
    for places, properties in measured.items():
        known = properties is None or properties.error is not None
        if places is not None and not known and not hasattr(properties, "prob_meas1_prep0"):
            raise InvalidValueError(
                f"Expected a readout error of each qubit in use, got none of qubit "
                f"{numbers[places[0]]} in the calibration of {device.name}: give an "
                "`initial_layout` without it, or another device."
            )


def device_assignments(target: Target, scale: float = 1.0) -> Assignments:
    """Read the readout assignment matrices of a device, at a strength.

    Args:
        target: The (cut) device's target.
        scale: Strength, a factor.

    Returns:
        A matrix for each qubit with readout error.
    """
    if scale == 0.0:
        return {}
    return {
        int(qubits[0]): scale_assignment(np.asarray(error.probabilities, dtype=float), scale)
        for qubits, error in basic_device_readout_errors(target=target)
    }


def flip_matrix(
    prob_meas1_prep0: float, prob_meas0_prep1: float | None = None
) -> npt.NDArray[np.float64]:
    """Write the assignment matrix A[true, read], (2, 2), of the probabilities of misreading.

    Args:
        prob_meas1_prep0: Probability of reading 1 for a prepared 0.
        prob_meas0_prep1: Probability of reading 0 for a prepared 1; by default the same.

    Returns:
        The matrix; its rows sum to 1.
    """
    zero = prob_meas0_prep1 if prob_meas0_prep1 is not None else prob_meas1_prep0
    return np.array([[1 - prob_meas1_prep0, prob_meas1_prep0], [zero, 1 - zero]])


def scale_rate(rate: float, scale: float) -> float:
    """Scale a probability p: 1 - (1 - p)^scale, which stays a probability."""
    return float(1.0 - (1.0 - rate) ** scale)


def scale_assignment(matrix: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.float64]:
    """Scale an assignment matrix, (2, 2): floor(scale) times, then a mixture for the rest."""
    return _powered(matrix, scale).real


def scale_channel(error: QuantumError, scale: float) -> QuantumError:
    """Scale a channel E: apply it floor(scale) times, then (1 - f) identity + f E.

    Args:
        error: Any quantum error.
        scale: Strength, a factor; f is its remainder.

    Returns:
        A valid channel: powers and mixtures of channels are channels.
    """
    if error.ideal() or scale == 1.0:
        return error
    return channel_error(SuperOp(_powered(np.asarray(SuperOp(error).data), scale)))


def channel_error(channel: SuperOp) -> QuantumError:
    """Write a channel as an error of Aer, keeping its weak Kraus operators.

    Qiskit's own conversion drops eigenvalues of the Choi matrix below 1e-8.
    """
    choi = np.asarray(Choi(channel).data)
    weights, vectors = np.linalg.eigh((choi + choi.conj().T) / 2.0)
    dim = round(np.sqrt(len(choi)))
    operators = [
        np.sqrt(weight) * vector.reshape(dim, dim, order="F")
        for weight, vector in zip(weights, vectors.T, strict=True)
        if weight > 1e-15
    ]
    return QuantumError(Kraus(operators))


def _powered(matrix: npt.NDArray[np.number[Any]], scale: float) -> npt.NDArray[np.complex128]:
    """Raise a stochastic matrix or superoperator to a power, linear between integers."""
    whole = int(np.floor(scale))
    rest = scale - whole
    power = np.linalg.matrix_power(matrix, whole)
    mixture = (1.0 - rest) * np.eye(len(matrix)) + rest * matrix
    product: npt.NDArray[np.complex128] = np.asarray(power @ mixture, dtype=complex)
    return product


def _delay_pass(target: Target, scale: float) -> RelaxationNoisePass | None:
    """Relax during delays with T1 and T2 divided by the strength; None without times."""
    properties = target.qubit_properties
    if not properties:
        return None
    t1s = [_time(getattr(qubit, "t1", None)) for qubit in properties]
    t2s = [_time(getattr(qubit, "t2", None)) for qubit in properties]
    return RelaxationNoisePass(
        t1s=[t1 / scale for t1 in t1s],
        t2s=[min(t2, 2.0 * t1) / scale for t1, t2 in zip(t1s, t2s, strict=True)],
        dt=target.dt,
        op_types=Delay,
        target=target,
    )


def _time(value: float | None) -> float:
    """Read a time in seconds; unknown means infinite."""
    return np.inf if value is None else float(value)


def apply_assignments(
    probabilities: npt.NDArray[np.float64], matrices: Sequence[npt.NDArray[np.float64] | None]
) -> npt.NDArray[np.float64]:
    """Apply readout error to exact distributions.

    Args:
        probabilities: (batch, 2^k) with bit i of the outcome for measured qubit i.
        matrices: For each measured qubit A[true, read], or None without error.

    Returns:
        The distribution of the outcomes that are read, (batch, 2^k).
    """
    k = len(matrices)
    table = probabilities.reshape(-1, *(2,) * k)
    for bit, matrix in enumerate(matrices):
        if matrix is not None:
            axis = k - bit
            table = np.moveaxis(np.tensordot(table, matrix, axes=([axis], [0])), -1, axis)
    return table.reshape(len(probabilities), -1)
