"""How fast is a noisy training step on the torch engine, against Aer with parameter shift?

    python benchmarks/noisy_layer.py

One step is forward, a loss, backward to angles and weights, and an update, exactly (no shots), on
the density matrix of FakeTorino, in one process and interleaved, on one thread each (Aer's threads
go on spinning after a call and slow what comes next); values and gradients are compared first. The
table goes to `docs/results/noisy_layer.csv` and `.md`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and Aer start their threads

import torch
from timing import Step, interleave, machine, quartiles, versions

from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq_backends import open_backend

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
CASES = (
    (4, 2, 32, "angle", "ry_cz"),
    (4, 2, 32, "reupload", "ry_cz"),
    (4, 2, 32, "angle", "efficient_su2"),
    (6, 2, 32, "angle", "ry_cz"),
)


def make_layer(engine: str, case: tuple[int, int, int, str, str]) -> QuantumLayer:
    """The layer of a case on one engine."""
    qubits, layers, _, encoding, ansatz = case
    parts = build_circuit(qubits, encoding=encoding, ansatz=ansatz, num_layers=layers)
    return QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=z_observables(qubits),
        backend=open_backend("fake_torino", engine=engine, shots=None),
        generator=torch.Generator().manual_seed(0),
        init_std=1.0,
    ).double()


def make_step(layer: QuantumLayer, angles: torch.Tensor) -> Step:
    """Forward, loss, backward and update."""
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)  # equal steps stay equal
    leaf = angles.clone().requires_grad_()

    def step() -> None:
        optimizer.zero_grad()
        leaf.grad = None
        layer(leaf).square().sum().backward()
        optimizer.step()

    return step


def differences(layers: dict[str, QuantumLayer], angles: torch.Tensor) -> tuple[float, float]:
    """Largest differences of values and of gradients between the engines."""
    found = []
    for layer in layers.values():
        leaf = angles.clone().requires_grad_()
        values = layer(leaf)
        grads = torch.autograd.grad(values.square().sum(), [leaf, layer.weight])
        found.append((values.detach(), torch.cat([grad.flatten() for grad in grads])))
    one, other = found
    return tuple(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| qubits, layers, batch | circuit | torch engine | Aer, parameter shift | ratio | "
        "values, gradients apart |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['qubits']}, {r['layers']}, {r['batch']} | {r['encoding']}, {r['ansatz']} | "
            f"{r['torch_ms']:.1f} ms | {r['aer_ms']:.0f} ms | **{r['ratio']:.0f}** | "
            f"{float(r['values_apart']):.1e}, {float(r['gradients_apart']):.1e} |"
            for r in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for case in CASES:
        qubits, layers, batch, encoding, ansatz = case
        generator = torch.Generator().manual_seed(1)
        angles = torch.randn(batch, qubits, generator=generator, dtype=torch.float64)
        both = {engine: make_layer(engine, case) for engine in ("torch", "aer")}
        by_value, by_gradient = differences(both, angles)
        steps = {engine: make_step(layer, angles) for engine, layer in both.items()}
        taken = interleave(steps, rounds=args.rounds, seconds=40)
        ours, aers = (quartiles(taken[engine]) for engine in ("torch", "aer"))
        rows.append(
            {
                "qubits": qubits,
                "layers": layers,
                "batch": batch,
                "encoding": encoding,
                "ansatz": ansatz,
                "torch_ms": round(1e3 * ours[1], 2),
                "torch_ms_high": round(1e3 * ours[2], 2),
                "aer_ms": round(1e3 * aers[1], 1),
                "ratio": round(aers[1] / ours[1], 1),
                "rounds": len(taken["aer"]),
                "values_apart": f"{by_value:.1e}",
                "gradients_apart": f"{by_gradient:.1e}",
            }
        )
        print(rows[-1], flush=True)
    write_csv(RESULTS / "noisy_layer.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        "Medians of interleaved exact steps on FakeTorino in one process, readout included. Aer's "
        "side is one broadcast job for all shifts, not the stock gradient. Made by "
        f"`python benchmarks/noisy_layer.py` on {machine()}, one thread; "
        f"{versions('torch', 'qiskit', 'qiskit-aer')}.",
        "",
    ]
    write_text(RESULTS / "noisy_layer.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
