"""Does the gradient vanish as the circuit grows?

    python benchmarks/barren_plateaus.py

The variance of d<Z_0>/dw over random inputs and weights, averaged over the weights of a circuit,
against its number of qubits (McClean et al., arXiv:1803.11173), for each ansatz. Inputs are uniform
between 0 and pi, as the reducer gives them. Weights are uniform between -pi and pi, or as the heads
draw them at first. The table goes to `docs/results/barren_plateaus.csv`, the plot to
`docs/results/barren_plateaus.png`.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import torch

from hybridq.quantum import ANSAETZE, StatevectorEngine, build_circuit, z_observables
from hybridq.quantum.split_circuit import split_circuit

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
QUBITS = (2, 4, 6, 8, 10, 12)
INIT_STD = 0.01
DEPTHS = {"2 layers": lambda n: 2, "as many layers as qubits": lambda n: n}
STARTS = ("uniform", "as at first")


def variance(
    num_qubits: int, ansatz: str, num_layers: int, start: str, samples: int
) -> dict[str, float]:
    """Over samples, of the gradient by each weight; then the mean and the largest over weights."""
    parts = build_circuit(num_qubits, ansatz=ansatz, num_layers=num_layers)
    split = split_circuit(parts.circuit, parts.input_params, parts.weight_params)
    engine = StatevectorEngine(split, z_observables(num_qubits)[:1], same_weights=False)
    generator = torch.Generator().manual_seed(num_qubits)
    inputs = math.pi * torch.rand(samples, num_qubits, generator=generator, dtype=torch.float64)
    shape = (samples, len(parts.weight_params))
    if start == "uniform":
        weights = math.pi * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)
    else:
        weights = INIT_STD * torch.randn(shape, generator=generator, dtype=torch.float64)
    weights.requires_grad_()
    engine(split.phases(inputs, weights)).sum().backward()
    assert weights.grad is not None
    found = weights.grad.var(dim=0)
    return {"mean_variance": float(found.mean()), "largest_variance": float(found.max())}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One panel for each depth and start, a line for each ansatz."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplots(len(STARTS), len(DEPTHS), sharex=True, sharey="row")
    for line, start in zip(panels, STARTS, strict=True):
        for axis, depth in zip(line, DEPTHS, strict=True):
            for ansatz in ANSAETZE:
                own = [
                    row
                    for row in rows
                    if (row["ansatz"], row["depth"], row["weights"]) == (ansatz, depth, start)
                ]
                axis.plot(
                    [row["qubits"] for row in own],
                    [row["mean_variance"] for row in own],
                    marker="o",
                    markersize=3,
                    label=ansatz,
                )
            axis.set_yscale("log")
            axis.set_title(f"{depth}, weights {start}", fontsize=10)
            axis.grid(alpha=0.3)
        line[0].set_ylabel("mean variance of d<Z_0>/dw")
    for axis in panels[-1]:
        axis.set_xlabel("qubits")
    panels[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=500)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    rows = [
        {
            "ansatz": ansatz,
            "qubits": num_qubits,
            "layers": layers(num_qubits),
            "depth": depth,
            "weights": start,
            "samples": args.samples,
            **variance(num_qubits, ansatz, layers(num_qubits), start, args.samples),
        }
        for ansatz in ANSAETZE
        for depth, layers in DEPTHS.items()
        for start in STARTS
        for num_qubits in QUBITS
    ]
    write_csv(RESULTS / "barren_plateaus.csv", list(rows[0]), [list(r.values()) for r in rows])
    draw(rows, RESULTS / "barren_plateaus.png")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
