"""How long do forward and backward of a quantum layer take, here and elsewhere?

    pip install --constraint constraints.txt --editable ".[bench]"
    python benchmarks/quantum_layer.py

For each circuit and batch, ours and all peers run in one process, interleaved, with the same number
of threads, after their outputs and gradients were found equal. Aer and JAX have thread pools of
their own, whose threads stay busy for a while after each call and slow whatever comes next, so that
ours is timed against them in a second process. A step is what a torch training step
does with the layer: inputs and weights are torch tensors that want a gradient, the outputs are
summed and differentiated, and conversions count. The table goes to
`docs/results/quantum_layer.csv` and `.md`, the plot to `docs/results/quantum_layer.png`.
"""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import peers
import torch
from timing import Step, interleave, machine, milliseconds, versions
from torch import Tensor, nn

from hybridq.quantum import ParametrizedCircuit, build_circuit

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
SIZES = ((4, 2, 32), (8, 3, 64), (12, 3, 32))
ANSAETZE = ("ry_cz", "real_amplitudes", "strongly_entangling")
PACKAGES = ("torch", "qiskit", "qiskit-aer", "qiskit-machine-learning", "pennylane")
PEERS = ("pennylane-lightning", "torchquantum-ng", "tensorcircuit-ng", "jax")


@dataclass(frozen=True)
class Candidate:
    """One way to compute the layer.

    Attributes:
        package: Whose it is.
        mode: Which of its ways.
        dtype: Of inputs and weights.
        make: From a circuit to the layer.
        before: What has to be set in the process before a call.
        largest: Most qubits it is tried with, since it takes too long above.
        ansaetze: Those it is tried with.
        counts: Whether it is a peer that ours has to beat; the others run in the second process.
    """

    package: str
    mode: str
    dtype: torch.dtype
    make: Any
    before: Step | None = None
    largest: int = 20
    ansaetze: tuple[str, ...] = ANSAETZE
    counts: bool = True

    @property
    def name(self) -> str:
        """Package, mode and precision."""
        return f"{self.package}, {self.mode}, {str(self.dtype).removeprefix('torch.')}"


def candidates() -> list[Candidate]:
    """All of them; ours come first."""
    double, single = torch.float64, torch.float32
    found = [
        Candidate("hybridq", "statevector", double, partial(peers.hybridq, backend="statevector")),
        Candidate(
            "hybridq",
            "statevector",
            single,
            partial(peers.hybridq, backend="statevector,dtype=float32"),
        ),
        Candidate(
            "hybridq",
            "aer_statevector",
            double,
            partial(peers.hybridq, backend="aer_statevector"),
            counts=False,
            largest=8,
        ),
        Candidate(
            "Qiskit stock",
            "Aer",
            single,
            peers.stock_qiskit,
            counts=False,
            largest=4,
            ansaetze=("real_amplitudes",),
        ),
    ]
    for dtype, complex_dtype in ((double, np.complex128), (single, np.complex64)):
        for device, diff, chosen in (
            ("default.qubit", "backprop", None),
            ("lightning.qubit", "adjoint", complex_dtype),
        ):
            make = partial(peers.pennylane, device=device, diff=diff, c_dtype=chosen)
            found.append(Candidate("PennyLane", f"{device} {diff}", dtype, make))
    for method in ("bmm", "einsum"):
        make = partial(peers.torchquantum, method=method)
        found.append(Candidate("TorchQuantum", method, single, make))
    for backend in ("pytorch", "jax"):
        for dtype, complex_name in ((double, "complex128"), (single, "complex64")):
            for measure in ("expectation", "state"):
                setting = {"dtype": complex_name, "backend": backend}
                make = partial(peers.tensorcircuit, measure=measure, **setting)
                before = partial(peers.choose_tensorcircuit, **setting)
                mode = f"{backend} {measure}" if backend == "pytorch" else f"jax jitted {measure}"
                is_torch = backend == "pytorch"
                found.append(Candidate("TensorCircuit", mode, dtype, make, before, counts=is_torch))
    return found


def make_step(
    candidate: Candidate, parts: ParametrizedCircuit, points: tuple[Tensor, Tensor]
) -> tuple[Step, tuple[Tensor, Tensor, Tensor]]:
    """A training step of the layer, and its outputs and gradients."""
    layer = candidate.make(parts)
    inputs, weights = (nn.Parameter(point.clone().to(candidate.dtype)) for point in points)

    def step() -> Tensor:
        inputs.grad = weights.grad = None
        outputs = layer(inputs, weights)
        outputs.sum().backward()
        return outputs

    outputs = step().detach().double()
    assert inputs.grad is not None, candidate.name
    assert weights.grad is not None, candidate.name
    return step, (outputs, inputs.grad.double(), weights.grad.double())


def compare(
    size: tuple[int, int, int], ansatz: str, peers_only: bool, threads: int, rounds: int
) -> list[dict[str, Any]]:
    """Time ours and the peers, or ours and the others, on one circuit; one row for each."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(threads)
    num_qubits, num_layers, batch = size
    parts = build_circuit(num_qubits, ansatz=ansatz, num_layers=num_layers)
    generator = torch.Generator().manual_seed(0)
    points = (
        torch.rand(batch, num_qubits, generator=generator, dtype=torch.float64) * np.pi,
        torch.randn(len(parts.weight_params), generator=generator, dtype=torch.float64),
    )
    chosen = [
        one
        for one in candidates()
        if num_qubits <= one.largest
        and ansatz in one.ansaetze
        and (one.counts == peers_only or one.mode == "statevector")
    ]
    steps: dict[str, Step] = {}
    before: dict[str, Step] = {}
    reference = None
    for one in chosen:
        if one.before is not None:
            one.before()
            before[one.name] = one.before
        steps[one.name], found = make_step(one, parts, points)
        reference = reference or found
        limit = 1e-6 if one.dtype == torch.float64 else 1e-3
        errors = [float((a - b).abs().max()) for a, b in zip(found, reference, strict=True)]
        assert max(errors[:1]) < min(limit, 1e-4), (one.name, errors)
        assert max(errors) < limit * batch, (one.name, errors)
    taken = interleave(steps, before, rounds=rounds, seconds=4)
    rows = []
    for one in chosen:
        found_ms = milliseconds(taken[one.name], 3)
        rows.append(
            {
                "qubits": num_qubits,
                "layers": num_layers,
                "batch": batch,
                "ansatz": ansatz,
                "threads": torch.get_num_threads(),
                "package": one.package,
                "mode": one.mode,
                "dtype": str(one.dtype).removeprefix("torch."),
                "process": "peers" if peers_only else "others",
                **found_ms,
                "calls": len(taken[one.name]),
            }
        )
        print(f"{size} {ansatz}: {one.name}: {found_ms['ms']} ms", flush=True)
    return rows


def best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The fastest row."""
    return min(rows, key=lambda row: row["ms"])


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each circuit: ours, and the fastest mode of each package."""
    packages = ("PennyLane", "TorchQuantum", "TensorCircuit")
    header = [
        *("size", "ansatz", "ours: double, single", "fastest peer / ours (double)", *packages),
        *("TensorCircuit on JAX; ours beside it", "stock Qiskit / ours"),
    ]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    cases = dict.fromkeys(
        (r["qubits"], r["layers"], r["batch"], r["ansatz"], r["threads"]) for r in rows
    )
    for case in cases:
        own = [
            r
            for r in rows
            if (r["qubits"], r["layers"], r["batch"], r["ansatz"], r["threads"]) == case
        ]
        among = [r for r in own if r["process"] == "peers"]
        ours = {r["dtype"]: r["ms"] for r in among if r["mode"] == "statevector"}
        others = [best([r for r in among if r["package"] == name]) for name in packages]
        beside = [r["ms"] for r in own if r["process"] == "others" and r["mode"] == "statevector"]
        jax = best([r for r in own if r["mode"].startswith("jax")])
        stock = [r["ms"] for r in own if r["package"] == "Qiskit stock"]
        fastest = min(row["ms"] for row in others)
        cells = [
            ", ".join(map(str, case[:3])),
            f"`{case[3]}`",
            f"{ours['float64']:.1f}, {ours['float32']:.1f}",
            f"{fastest / min(ours.values()):.1f} ({fastest / ours['float64']:.1f})",
            *(f"{row['ms']:.1f}" for row in others),
            f"{jax['ms']:.1f}; {min(beside):.1f}",
            f"{stock[0] / max(beside):.0f}" if stock else "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of the fastest mode of each package, on a logarithmic axis."""
    from matplotlib.figure import Figure

    names = ["hybridq", "TensorCircuit on JAX", "TensorCircuit", "TorchQuantum", "PennyLane"]
    names += ["hybridq on Aer", "Qiskit stock"]

    def shown(row: dict[str, Any]) -> str:
        if row["mode"].startswith("jax"):
            return "TensorCircuit on JAX"
        return "hybridq on Aer" if row["mode"] == "aer_statevector" else str(row["package"])

    threads = max(row["threads"] for row in rows)
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, len(SIZES), sharey=True)
    for axis, size in zip(axes, SIZES, strict=True):
        height = 0.8 / len(ANSAETZE)
        for index, ansatz in enumerate(ANSAETZE):
            own = [
                row
                for row in rows
                if (row["qubits"], row["layers"], row["batch"]) == size
                and (row["ansatz"], row["threads"]) == (ansatz, threads)
            ]
            for place, name in enumerate(names):
                times = [row["ms"] for row in own if shown(row) == name]
                if times:
                    axis.barh(
                        place - 0.4 + height * (index + 0.5),
                        min(times),
                        height=height,
                        color=f"C{index}",
                        label=ansatz if place == 0 else None,
                    )
        axis.set_xscale("log")
        axis.set_title(f"{size[0]} qubits, {size[1]} layers, batch {size[2]}", fontsize=10)
        axis.set_xlabel("forward and backward, ms")
        axis.set_yticks(range(len(names)), names)
        axis.grid(axis="x", alpha=0.3)
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure all circuits and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=36)
    parser.add_argument("--ansatz", nargs="+", default=list(ANSAETZE), choices=ANSAETZE)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    rows = []
    for threads in args.threads:
        for size in SIZES:
            for ansatz in args.ansatz:
                for peers_only in (True, False):
                    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                        task = (size, ansatz, peers_only, threads, args.rounds)
                        rows += pool.submit(compare, *task).result()
    write_csv(RESULTS / "quantum_layer.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        "Milliseconds of forward and backward together, medians of interleaved calls, each package "
        "in its fastest mode and precision; size is qubits, layers, batch; "
        f"{' or '.join(map(str, args.threads))} threads; the last two columns are from a second "
        "process. Made by "
        f"`python benchmarks/quantum_layer.py` on {machine()}; {versions(*PACKAGES, *PEERS)}. "
        "`docs/results/quantum_layer.csv` holds each mode, with quartiles.",
        "",
    ]
    write_text(RESULTS / "quantum_layer.md", "\n".join(lines))
    draw(rows, RESULTS / "quantum_layer.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
