"""Simulate the time that passes on a device, so that waiting qubits relax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from hybridq_backends.compile.transpile import with_delays


class ScheduledSimulator(AerSimulator):  # type: ignore[misc]
    """Aer that schedules each circuit on its target before running it.

    Make it with `from_backend`. A circuit that has delays already, as dynamical decoupling
    leaves it, keeps its own schedule.
    """

    def run(self, circuits: QuantumCircuit | Sequence[QuantumCircuit], **options: Any) -> Any:
        """Run circuits, idle qubits with delays; see `AerSimulator.run`."""
        if isinstance(circuits, QuantumCircuit):
            circuits = [circuits]
        timed = [
            circuit if "delay" in circuit.count_ops() else with_delays(circuit, self.target)
            for circuit in circuits
        ]
        return super().run(timed, **options)
