"""How long does a Gram matrix of a quantum kernel take, beside Qiskit Machine Learning's?

    python benchmarks/kernel_gram.py

One process, one thread: the fidelities of the ZZ map at 8 qubits. `rows` x `rows` entries are
computed exactly by the engine of this package, by Qiskit Machine Learning's
`FidelityStatevectorKernel`, which keeps states as we do, and by its `FidelityQuantumKernel`, which
runs a circuit for each pair and draws 1,024 shots. The last is timed on fewer rows. `entries`
are those above the diagonal; `microseconds` are for one of them, and `times_ours` compares these on
the same rows. The table goes to `docs/results/kernel_gram.csv`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridq.quantum.kernels.feature_maps import build_feature_map
from hybridq.quantum.kernels.states import feature_states, fidelities

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "kernel_gram.csv"
QUBITS = 8


def ours(rows: np.ndarray) -> np.ndarray:
    """The Gram matrix by the exact engine."""
    states = feature_states(build_feature_map("zz", QUBITS), torch.from_numpy(rows))
    return fidelities(states, states).numpy()


def peers() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The two kernels of Qiskit Machine Learning, exact."""
    from qiskit.primitives import StatevectorSampler
    from qiskit_machine_learning.kernels import FidelityQuantumKernel, FidelityStatevectorKernel
    from qiskit_machine_learning.state_fidelities import ComputeUncompute

    circuit = build_feature_map("zz", QUBITS).circuit
    pairs = ComputeUncompute(sampler=StatevectorSampler(default_shots=1024, seed=0))
    return {
        "FidelityStatevectorKernel": FidelityStatevectorKernel(feature_map=circuit).evaluate,
        "FidelityQuantumKernel": FidelityQuantumKernel(
            feature_map=circuit, fidelity=pairs, enforce_psd=False
        ).evaluate,
    }


def seconds(function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, rounds: int) -> float:
    """The least seconds of some rounds."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        function(rows)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def main() -> None:
    """Time all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--few", type=int, default=20)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    inputs = rng.uniform(0, np.pi, (args.rows, QUBITS))
    rows: list[dict[str, Any]] = []
    plans = [("ours", ours, args.rows, 3), ("ours", ours, args.few, 3)]
    counts = {"FidelityStatevectorKernel": args.rows, "FidelityQuantumKernel": args.few}
    plans += [(name, one, counts[name], 1) for name, one in peers().items()]
    for name, function, count, rounds in plans:
        taken = seconds(function, inputs[:count], rounds)
        own = [row["seconds"] for row in rows if row["kernel"] == "ours" and row["rows"] == count]
        entries = count * (count - 1) // 2
        rows.append(
            {
                "kernel": name,
                "rows": count,
                "entries": entries,
                "seconds": round(taken, 4),
                "microseconds": round(1e6 * taken / entries, 2),
                "times_ours": round(taken / own[0], 1) if own else 1.0,
            }
        )
        print(" | ".join(map(str, rows[-1].values())), flush=True)
    write_csv(OUT, list(rows[0]), [list(row.values()) for row in rows])


if __name__ == "__main__":
    main()
