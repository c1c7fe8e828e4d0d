"""Read how likely each gate and readout of a device succeeds, and the cost of waiting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit.transpiler import Target

Operation: TypeAlias = tuple[str, tuple[int, ...]]
"""The name of a gate and the physical qubits it acts on."""

FREE = frozenset({"rz", "barrier", "delay", "reset"})
"""Operations without a calibrated error: rz only moves a phase, the others are no gates."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The calibration of a device's gates, read once from its target.

    Attributes:
        success: 1 - error of each gate and readout (`measure`); 0.0 if the error is missing or at
            least 1, with which devices mark broken gates.
        duration: The duration of each, in seconds.
        relaxation: T1 and T2 of each qubit, in seconds; infinite if unknown.
        is_timed: Whether every usable gate has a duration; otherwise waiting costs nothing.
    """

    success: dict[Operation, float]
    duration: dict[Operation, float]
    relaxation: tuple[tuple[float, float], ...]
    is_timed: bool

    def works(self, name: str, qubits: tuple[int, ...]) -> bool:
        """Whether an operation is there, calibrated, and not broken."""
        return name in FREE or self.success.get((name, qubits), 0.0) > 0.0

    def loss(self, name: str, qubits: tuple[int, ...]) -> float:
        """Compute -log of the success probability of an operation; infinite if it is broken."""
        if name in FREE:
            return 0.0
        success = self.success.get((name, qubits), 0.0)
        return -math.log(success) if success > 0.0 else math.inf

    def waiting_loss(self, qubit: int, seconds: float) -> float:
        """Compute -log of the fidelity of waiting, 1/2 + exp(-t/T1)/6 + exp(-t/T2)/3."""
        if seconds <= 0.0:
            return 0.0
        t1, t2 = self.relaxation[qubit]
        return -math.log(0.5 + math.exp(-seconds / t1) / 6 + math.exp(-seconds / t2) / 3)

    def waits(self, operations: Iterable[Operation], ends: Iterable[int]) -> dict[int, float]:
        """Measure how long qubits wait, each gate starting as late as possible.

        Args:
            operations: A circuit.
            ends: The qubits that are measured, all at the same time.

        Returns:
            Seconds for each qubit, from its first gate to its readout, or to its last gate
            where it is not measured.
        """
        clock = dict.fromkeys(ends, 0.0)  # seconds before the readout
        waited: dict[int, float] = {}
        for name, qubits in reversed(list(operations)):
            start = max(clock.get(qubit, 0.0) for qubit in qubits)
            for qubit in qubits:
                waited[qubit] = waited.get(qubit, 0.0) + start - clock.get(qubit, start)
                clock[qubit] = start + self.duration.get((name, qubits), 0.0)
        return waited

    def expected_error(self, operations: Sequence[Operation], ends: Iterable[int]) -> float:
        """Estimate how likely a run of a circuit goes wrong.

        Args:
            operations: The circuit.
            ends: The qubits that are measured.

        Returns:
            1 - the product of the success probabilities of all gates, of the readout of
            `ends`, and of waiting; 1.0 if anything is broken.
        """
        ends = tuple(ends)
        loss = sum(self.loss(name, qubits) for name, qubits in operations)
        loss += sum(self.loss("measure", (qubit,)) for qubit in ends)
        if self.is_timed and math.isfinite(loss):
            waits = self.waits(operations, ends)
            loss += sum(self.waiting_loss(qubit, time) for qubit, time in waits.items())
        return -math.expm1(-loss)


def read_calibration(target: Target) -> Calibration:
    """Read errors and times of a device.

    Args:
        target: The device's target.

    Returns:
        Errors and durations of its gates and readouts, T1 and T2 of its qubits.
    """
    success: dict[Operation, float] = {}
    duration: dict[Operation, float] = {}
    is_timed = True
    for name in target.operation_names:
        if not is_gate(target, name):
            continue
        for qubits, properties in target[name].items():
            if qubits is None:
                continue
            error = getattr(properties, "error", None)
            time = getattr(properties, "duration", None)
            if name in FREE:
                success[name, qubits] = 1.0
            else:
                works = error is not None and 0.0 <= error < 1.0
                success[name, qubits] = 1.0 - float(error) if works else 0.0  # type: ignore[arg-type]
            if time is not None:
                duration[name, qubits] = float(time)
            elif name not in FREE and success[name, qubits] > 0.0:
                is_timed = False
    known = target.qubit_properties or [None] * int(target.num_qubits)
    relaxation = tuple(
        tuple(_time(getattr(qubit, name, None)) for name in ("t1", "t2")) for qubit in known
    )
    return Calibration(success, duration, relaxation, is_timed)  # type: ignore[arg-type]


def is_gate(target: Target, name: str) -> bool:
    """Whether an operation of a target is a gate or the readout, and not control flow."""
    operation = target.operation_from_name(name)
    return name == "measure" or isinstance(operation, Gate)


def operations_of(circuit: QuantumCircuit) -> list[Operation]:
    """List the operations of a circuit other than barriers and delays."""
    index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    return [
        (item.operation.name, tuple(index[qubit] for qubit in item.qubits))
        for item in circuit.data
        if item.operation.name not in {"barrier", "delay"}
    ]


def _time(value: float | None) -> float:
    """Read a time in seconds; unknown or nonsense means infinite."""
    return math.inf if value is None or value <= 0.0 else float(value)
