"""Check what IBM's client does not check before it posts a job."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.providers import BackendV2
from qiskit_ibm_runtime.models.exceptions import BackendPropertyError

from hybridq_backends.compile.transpile import check_isa
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.layout.error_rates import (
    FREE,
    Calibration,
    Operation,
    operations_of,
    read_calibration,
)
from hybridq_backends.utils.rows import check_batch

MOST_RZZ = np.pi / 2 + 1e-10
"""The largest angle of rzz, in radians, with the client's own margin for rounding."""


def preflight(
    circuit: QuantumCircuit, column: ObservablesArray, angles: npt.ArrayLike, device: BackendV2
) -> None:
    """Check a job as far as its device's target, calibration and properties can tell.

    Args:
        circuit: A circuit in the device's instructions and with the device's qubit numbers, as
            `Prepared.circuit` is on hardware; its K parameters are plain.
        column: The observables as a column, (O, 1).
        angles: (batch, K), radians, columns in the order of `circuit.parameters`.
        device: A fake, cut, saved or IBM device.

    Raises:
        InvalidValueError: If the service would refuse the job, or its values could not be
            trusted: a gate or pair the device does not have, an angle of rzz outside 0 to
            pi/2, a faulty or uncalibrated qubit or gate, observables that do not fit, angles
            of a wrong shape or not finite.
    """
    width = int(device.target.num_qubits)
    if circuit.num_qubits > width:
        raise InvalidValueError(
            f"Expected a circuit of at most {width} qubits, got {circuit.num_qubits}: "
            f"prepare it for {device.name}, or take a larger device."
        )
    rows = _check_angles(circuit, angles)
    _check_rzz(circuit, rows)
    check_isa(circuit, device.target)
    measured = _check_observables(circuit, column)
    operations = list(dict.fromkeys(operations_of(circuit)))
    operations += [("measure", (qubit,)) for qubit in measured]
    _check_operational(operations, device)
    _check_calibrated(operations, read_calibration(device.target), device)


def _check_angles(circuit: QuantumCircuit, angles: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Check the parameters to be plain and the angles to be (batch, K) finite numbers."""
    for item in circuit.data:
        for value in item.operation.params:
            loose = isinstance(value, ParameterExpression) and bool(value.parameters)
            if loose and not isinstance(value, Parameter):
                raise InvalidValueError(
                    f"Expected plain parameters, got the expression {value} in "
                    f"`{item.operation.name}`: prepare the circuit with this backend."
                )
    return check_batch(angles, circuit.num_parameters, "angles")


def _check_rzz(circuit: QuantumCircuit, rows: npt.NDArray[np.float64]) -> None:
    """Check each angle of rzz, bound or a column of angles, to be calibrated."""
    column = {parameter: k for k, parameter in enumerate(circuit.parameters)}
    for item in circuit.data:
        if item.operation.name != "rzz":
            continue
        angle = item.operation.params[0]
        values = rows[:, column[angle]] if angle in column else np.array([float(angle)])
        bad = np.flatnonzero((values < 0.0) | (values > MOST_RZZ))
        if len(bad):
            row = int(bad[0])
            where = f" in row {row} of `angles`" if angle in column else ""
            qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
            raise InvalidValueError(
                f"Expected angles of rzz from 0 to pi/2, got {values[row]:.6g}{where} on qubits "
                f"{qubits}: prepare the circuit without fractional gates."
            )


def _check_observables(circuit: QuantumCircuit, column: ObservablesArray) -> list[int]:
    """Check the observables, and list the qubits they measure."""
    if column.ndim != 2 or column.shape[1] != 1 or not column.size:
        raise InvalidValueError(
            f"Expected observables as a column (O, 1), got shape {column.shape}: prepare them "
            "with this backend."
        )
    measured: set[int] = set()
    for number, terms in enumerate(column.ravel().tolist()):
        for label, coefficient in terms.items():
            touched = {len(label) - 1 - i for i, letter in enumerate(label) if letter != "I"}
            if len(label) != circuit.num_qubits:
                outside = sorted(q for q in touched if q >= circuit.num_qubits)
                on = f", which measures qubit {outside[0]}" if outside else ""
                raise InvalidValueError(
                    f"Expected observables of the circuit's {circuit.num_qubits} qubits, got one "
                    f"of {len(label)} in row {number}{on}: prepare both together."
                )
            if np.iscomplex(coefficient) or not np.isfinite(coefficient):
                raise InvalidValueError(
                    f"Expected real observables, got the coefficient {coefficient} of {label} in "
                    f"row {number}: make it real."
                )
            measured |= touched
    return sorted(measured)


def _check_operational(operations: list[Operation], device: BackendV2) -> None:
    """Check no qubit or gate in use to be marked as faulty in the device's properties."""
    found = getattr(device, "properties", None)
    properties: Any = found() if callable(found) else None
    if properties is None:
        return
    remedy = f"prepare the circuit anew for {device.name}, or give another `initial_layout`."
    for qubit in sorted({qubit for _, qubits in operations for qubit in qubits}):
        if not properties.is_qubit_operational(qubit):
            raise InvalidValueError(
                f"Expected operational qubits, got qubit {qubit}, which {device.name} reports as "
                f"faulty: {remedy}"
            )
    for name, qubits in operations:
        if name == "measure":
            continue
        try:
            works = properties.is_gate_operational(name, qubits)
        except BackendPropertyError:  # the properties say nothing of this gate
            continue
        if not works:
            raise InvalidValueError(
                f"Expected operational gates, got {name} on {qubits}, which {device.name} reports "
                f"as faulty: {remedy}"
            )


def _check_calibrated(
    operations: list[Operation], calibration: Calibration, device: BackendV2
) -> None:
    """Check every gate and readout in use to have an error below 1."""
    for name, qubits in operations:
        if name not in FREE and not calibration.works(name, qubits):
            raise InvalidValueError(
                f"Expected calibrated gates, got {name} on {qubits}, for which {device.name} has "
                "no error below 1: give another `initial_layout`."
            )
