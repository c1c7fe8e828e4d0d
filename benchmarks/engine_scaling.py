"""How do time and memory of the torch engine grow with qubits and batch?

    python benchmarks/engine_scaling.py

Forward and backward of angle encoding and three layers of an ansatz, each size in a process of its
own, whose peak of resident memory above that of an idle one is reported. The table goes to
`docs/results/engine_scaling.csv`, the plot to `docs/results/engine_scaling.png`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
QUBITS = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)
BATCHES = (1, 32)
ANSAETZE = ("ry_cz", "strongly_entangling")
LAYERS = 3


def peak_mib() -> float:
    """Peak of resident memory so far; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def measure(num_qubits: int, batch: int, ansatz: str, threads: int) -> dict[str, Any]:
    """One size, in this process."""
    import torch

    from hybridq.quantum import QuantumLayer, build_circuit, z_observables
    from hybridq_backends import open_backend

    torch.set_num_threads(threads)

    def layer_of(qubits: int) -> QuantumLayer:
        parts = build_circuit(qubits, ansatz=ansatz, num_layers=LAYERS)
        return QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(qubits),
            backend=open_backend("statevector"),
            init_std=1.0,
        )

    def step(layer: QuantumLayer, rows: int) -> float:
        angles = torch.rand(rows, layer.qnn.num_inputs, requires_grad=True)
        begun = time.perf_counter()
        layer(angles).sum().backward()
        return time.perf_counter() - begun

    step(layer_of(2), 1)
    idle = peak_mib()
    begun = time.perf_counter()
    layer = layer_of(num_qubits)
    compiled = time.perf_counter() - begun
    seconds = [step(layer, batch)]
    while len(seconds) < 20 and sum(seconds) < 2:
        seconds.append(step(layer, batch))
    return {
        "qubits": num_qubits,
        "layers": LAYERS,
        "batch": batch,
        "ansatz": ansatz,
        "threads": threads,
        "ms": round(1e3 * statistics.median(seconds), 3),
        "compile_ms": round(1e3 * compiled, 1),
        "peak_mib": round(peak_mib() - idle, 1),
    }


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Time and memory against qubits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axis, column, title in zip(
        figure.subplots(1, 2),
        ("ms", "peak_mib"),
        ("forward and backward, ms", "peak memory above an idle process, MiB"),
        strict=True,
    ):
        for index, ansatz in enumerate(ANSAETZE):
            for batch, style in zip(BATCHES, ("--", "-"), strict=True):
                own = [r for r in rows if (r["ansatz"], r["batch"]) == (ansatz, batch)]
                axis.plot(
                    [row["qubits"] for row in own],
                    [max(row[column], 0.1) for row in own],
                    style,
                    color=f"C{index}",
                    marker="o",
                    markersize=3,
                    label=f"{ansatz}, batch {batch}",
                )
        axis.set_yscale("log")
        axis.set_xticks(QUBITS)
        axis.set_xlabel("qubits")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
    figure.axes[1].axhline(1024, color="grey", linewidth=0.8)
    figure.axes[1].annotate("1 GiB", (2, 1024), textcoords="offset points", xytext=(0, 3))
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure each size in a process of its own and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one, args.threads)))
        return
    from hybridq.utils.files import write_csv

    rows = []
    for ansatz in ANSAETZE:
        for batch in BATCHES:
            for num_qubits in QUBITS:
                case = json.dumps([num_qubits, batch, ansatz])
                command = [sys.executable, __file__, "--threads", str(args.threads), "--one", case]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1], flush=True)
    write_csv(RESULTS / "engine_scaling.csv", list(rows[0]), [list(r.values()) for r in rows])
    draw(rows, RESULTS / "engine_scaling.png")


if __name__ == "__main__":
    main()
