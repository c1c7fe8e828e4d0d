"""The circuits of a submission, compiled for its device, with the angles of all rows."""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, qpy
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.observables_array import ObservablesArray

from hybridq.utils.files import atomic_path, read_json, reading, write_bytes, write_json
from hybridq_backends import Deferred
from hybridq_backends.jobs.post import Pub

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A circuit for one device, its observables, and the angles of all rows that run on it.

    Attributes:
        circuit: The ISA circuit; each gate angle is a parameter of its own (K of them).
        column: The observables, `(num_observables, 1)`, to broadcast against a batch.
        angles: Gate angles in radians, `(rows, K)`, in the order of `circuit.parameters`.
    """

    circuit: QuantumCircuit
    column: ObservablesArray
    angles: Floats


@dataclass(frozen=True)
class Program:
    """All circuits of a submission; rows are numbered one part after the other."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, later: Deferred) -> Program:
        """Make the program of the requests of a model."""
        return cls(
            tuple(
                Part(one.prepared.circuit, one.prepared.column, one.prepared.angles(one.rows))
                for one in later.requests
            )
        )

    @cached_property
    def edges(self) -> list[int]:
        """The first row of each part."""
        return [0, *np.cumsum([len(part.angles) for part in self.parts])[:-1].tolist()]

    def part_of(self, row: int) -> int:
        """Find the number of the part that a row belongs to."""
        return bisect_right(self.edges, row) - 1

    def pub(self, start: int, stop: int) -> Pub:
        """Make one broadcast PUB of consecutive rows, all of one part."""
        number = self.part_of(start)
        part, first = self.parts[number], self.edges[number]
        return part.circuit, part.column, part.angles[start - first : stop - first]

    def save(self, folder: Path) -> None:
        """Write `circuit.qpy`, `observables.json` and `angles.npz`."""
        with atomic_path(folder / "circuit.qpy") as path, path.open("wb") as file:
            qpy.dump([part.circuit for part in self.parts], file)
        observables = [
            [dict(row) for rows in part.column.tolist() for row in rows] for part in self.parts
        ]
        write_json(folder / "observables.json", observables)
        buffer = io.BytesIO()  # into a file numpy would hide what the disk says
        arrays: dict[str, Any] = {str(k): part.angles for k, part in enumerate(self.parts)}
        np.savez(buffer, **arrays)
        write_bytes(folder / "angles.npz", buffer.getvalue())

    @classmethod
    def load(cls, folder: Path) -> Program:
        """Read the files of `save`, or those of earlier versions, which had one circuit.

        Raises:
            InvalidValueError: If it cannot be read.
        """
        with reading(folder / "circuit.qpy", QiskitError) as path, path.open("rb") as file:
            circuits = qpy.load(file)
        with reading(folder / "observables.json", QiskitError) as path:
            found = read_json(path, "observables", "restore them.")
            columns = [
                _column(rows, circuit)
                for rows, circuit in zip(_by_circuit(found), circuits, strict=True)
            ]
        with reading(_angles_in(folder)) as path:
            angles = _read_angles(path)
            for one, circuit in zip(angles, circuits, strict=True):
                if one.shape[1:] != (circuit.num_parameters,) or one.dtype != np.float64:
                    raise ValueError
        return cls(tuple(map(Part, circuits, columns, angles)))


def _by_circuit(found: Any) -> list[Any]:
    """List the observables of each circuit; files of earlier versions have one circuit."""
    return [found] if found and isinstance(found[0], dict) else found


def _column(rows: Any, circuit: QuantumCircuit) -> ObservablesArray:
    if not rows or {len(term) for row in rows for term in row} != {circuit.num_qubits}:
        raise ValueError
    return ObservablesArray([[dict(row)] for row in rows])


def _angles_in(folder: Path) -> Path:
    old = folder / "angles.npy"
    return old if old.is_file() else folder / "angles.npz"


def _read_angles(path: Path) -> list[Floats]:
    with open(path, "rb") as file:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return [found]
        return [found[str(place)] for place in range(len(found.files))]
