"""The quantum step of a trained model as one compiled circuit and an array of gate angles."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit import QuantumCircuit, qpy
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.observables_array import ObservablesArray
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.models.heads import CONTROLS
from hybridq.quantum.gradients.parameter_shift import ShiftRule
from hybridq.quantum.layer import QuantumLayer
from hybridq.utils.files import atomic_path, read_json, reading, write_bytes, write_json

if TYPE_CHECKING:
    from hybridq_backends import Executable

Floats = NDArray[np.float64]
Pub = tuple[QuantumCircuit, ObservablesArray, Floats]


@dataclass(frozen=True)
class Program:
    """A circuit for one device, its observables, and the angles of each image.

    Attributes:
        circuit: The ISA circuit; each gate angle is a parameter of its own (K of them).
        column: The observables, `(num_observables, 1)`, to broadcast against a batch.
        angles: Gate angles in radians, `(images, K)`, in the order of `circuit.parameters`.
    """

    circuit: QuantumCircuit
    column: ObservablesArray
    angles: Floats

    def pub(self, start: int, stop: int) -> Pub:
        """Some images in a row as one broadcast PUB."""
        return self.circuit, self.column, self.angles[start:stop]

    def save(self, folder: Path) -> None:
        """Write `circuit.qpy`, `observables.json` and `angles.npy`."""
        with atomic_path(folder / "circuit.qpy") as path, path.open("wb") as file:
            qpy.dump(self.circuit, file)
        rows = [dict(row) for row in self.column.tolist() for row in row]
        write_json(folder / "observables.json", rows)
        buffer = io.BytesIO()  # into a file numpy would hide what the disk says
        np.save(buffer, self.angles)
        write_bytes(folder / "angles.npy", buffer.getvalue())

    @classmethod
    def load(cls, folder: Path) -> Program:
        """Read what `save` wrote.

        Raises:
            InvalidValueError: If it cannot be read.
        """
        with reading(folder / "circuit.qpy", QiskitError) as path, path.open("rb") as file:
            (circuit,) = qpy.load(file)
        with reading(folder / "observables.json", QiskitError) as path:
            rows = read_json(path, "observables", "restore them.")
            if not rows or {len(term) for row in rows for term in row} != {circuit.num_qubits}:
                raise ValueError
            column = ObservablesArray([[dict(row)] for row in rows])
        with reading(folder / "angles.npy") as path:
            angles = np.load(path, allow_pickle=False)
            if angles.shape[1:] != (circuit.num_parameters,) or angles.dtype != np.float64:
                raise ValueError
        return cls(circuit, column, angles)


def check_quantum(head: str) -> None:
    """Refuse a head without a circuit.

    Raises:
        InvalidValueError: If it is one.
    """
    if head not in CONTROLS:
        raise InvalidValueError(
            f"Expected a run with a quantum head, such as pqc, got one with head {head!r}: there "
            "is nothing in it for a quantum device to compute."
        )


def shift_rule(
    layer: QuantumLayer, backend: Executable, *, layout: Sequence[int] | None = None
) -> ShiftRule:
    """The layer's circuit, prepared for a backend on the qubits that are named."""
    split = layer.qnn.split
    observables: Any = layer.qnn.observables
    return ShiftRule(split, observables, backend, initial_layout=layout)


def compile_program(rule: ShiftRule, layer: QuantumLayer, angles: Tensor) -> Program:
    """The circuit of a rule with the gate angles of each image.

    Args:
        rule: The layer's circuit on the backend where it will run.
        layer: Whose weights count.
        angles: `(images, num_inputs)`, radians.
    """
    with torch.no_grad():
        phi = rule.split.phases(angles.double(), layer.weight.double())
    prepared = rule.prepared
    return Program(prepared.circuit, prepared.column, prepared.angles(rule.parameter_values(phi)))
