"""What is the error of a small circuit on a device made of?

    python benchmarks/noise_parts.py

The default circuit (4 qubits, 2 layers of `ry_cz`) at random angles and weights, compiled for three
device snapshots, exactly: RMS error of <Z> against the noiseless values with all noise, and with
parts of it left out. The table goes to `docs/results/noise_parts.csv` and `.md`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from timing import versions

from hybridq.quantum import build_circuit, z_observables
from hybridq.quantum.density.channels import circuit_channels
from hybridq.quantum.density.measurement import measured_groups
from hybridq.quantum.density.simulator import DensityEngine
from hybridq_backends import open_backend
from hybridq_backends.simulators.aer import Machine

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
DEVICES = ("FakeManilaV2", "FakeSherbrooke", "FakeTorino")
PARTS = {
    "all": (True, True, True),
    "without idle relaxation": (True, False, True),
    "without readout error": (True, True, False),
    "readout error alone": (False, False, True),
}


def timeless(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit without its delays."""
    bare = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name != "delay":
            bare.append(item)
    return bare


def errors(device: str, ansatz: str, points: int) -> dict[str, Any]:
    """RMS errors on one device."""
    parts = build_circuit(4, ansatz=ansatz)
    with open_backend("aer_noisy", device=device, shots=None) as backend:
        prepared = backend.prepare(parts.circuit, z_observables(4))
        machine = backend.machine(prepared)
    generator = torch.Generator().manual_seed(0)
    count = prepared.num_parameters
    theta = math.pi * torch.rand(points, count, generator=generator, dtype=torch.float64)
    phi = torch.from_numpy(prepared.angles(theta.numpy()))
    params = list(prepared.circuit.parameters)
    perfect = Machine(AerSimulator())

    def values(gates: bool, idle: bool, readout: bool) -> torch.Tensor:
        circuit = prepared.circuit if idle else timeless(prepared.circuit)
        model = machine.noise_model if gates else NoiseModel()
        channels = circuit_channels(circuit, params, model)
        groups = measured_groups(prepared.column, machine if readout else perfect)
        engine = DensityEngine(channels, prepared.circuit.num_qubits, [True] * phi.shape[1])
        return engine(phi, torch.stack([group.means for group in groups]).sum(dim=0))

    ideal = values(False, False, False)
    found = {
        name: float((values(*kept) - ideal).square().mean().sqrt()) for name, kept in PARTS.items()
    }
    operations = prepared.circuit.count_ops()
    two = sum(n for name, n in operations.items() if name in ("cx", "cz", "ecr"))
    return {"device": device, "ansatz": ansatz, "two_qubit_gates": two, **found}


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| device | ansatz | two-qubit gates | " + " | ".join(PARTS) + " |",
        "|---" * (3 + len(PARTS)) + "|",
        *(
            f"| {row['device']} | {row['ansatz']} | {row['two_qubit_gates']} | "
            + " | ".join(f"{row[name]:.4f}" for name in PARTS)
            + " |"
            for row in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=500)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    rows = [
        errors(device, ansatz, args.points)
        for device in DEVICES
        for ansatz in ("ry_cz", "efficient_su2")
    ]
    write_csv(RESULTS / "noise_parts.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"RMS error of <Z> over 4 qubits and {args.points} random points (angles and weights "
        "uniform in (0, pi)), exact. Made by `python benchmarks/noise_parts.py`; "
        f"{versions('qiskit', 'qiskit-aer', 'qiskit-ibm-runtime')}.",
        "",
    ]
    write_text(RESULTS / "noise_parts.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
