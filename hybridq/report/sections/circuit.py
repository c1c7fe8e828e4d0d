"""The circuit of a quantum head, drawn by qiskit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridq.evaluation.measures.circuits import BINS, PAIRS, circuit_measures
from hybridq.models.heads.base import make_circuit
from hybridq.report.page.elements import Cell, Figure, Part, Section, Table
from hybridq.report.page.svg import INK, PAPER, QUIET, draw
from hybridq.report.sources.models import Trained

MOST_QUBITS = 6
"""Above, the measures of the circuit would take minutes, and are left out."""
FOLD = 10
"""Columns of gates in a row of the drawing."""
SIDE = 0.78
"""Inches of a column and of a wire."""
NUM_DATA = 1000
"""Images that the effective dimension is of: one number for all, as it says little of few."""
MEASURES = {
    "expressibility": "expressibility",
    "entangling_capability": "entangling capability",
    "effective_dimension": "effective dimension",
}
STYLE = {
    "name": "bw",
    "backgroundcolor": "none",
    "textcolor": INK,
    "gatetextcolor": INK,
    "subtextcolor": INK,
    "linecolor": QUIET,
    "creglinecolor": QUIET,
    "gatefacecolor": PAPER,
    "barrierfacecolor": QUIET,
    "edgecolor": INK,
    "fontsize": 11,
    "subfontsize": 9,
}


def circuits(models: Sequence[Trained], *, seed: int) -> Section:
    """One drawing for each circuit in use, and what each can do before it is trained."""
    found: dict[str, Trained] = {}
    for trained in models:
        if trained.model.head.has_quantum:
            key = trained.spec.head.model_dump_json(exclude={"name", "init_std"})
            found.setdefault(key, trained)
    parts: list[Part] = [
        _figure(f"circuit-{k + 1}", trained) for k, trained in enumerate(found.values())
    ]
    small = [t for t in found.values() if t.spec.head.num_qubits <= MOST_QUBITS]
    if small:
        parts.append(_measures(small, seed))
    return Section(
        "circuit",
        "Circuit",
        tuple(parts),
        "a run of `hybridq finetune` with a quantum head",
    )


def _measures(models: Sequence[Trained], seed: int) -> Table:
    rows = []
    for trained in models:
        head = trained.spec.head
        found = circuit_measures(make_circuit(head), num_data=NUM_DATA, seed=seed)
        name = f"{head.encoding}, {head.ansatz}, {head.entanglement}"
        rows.append(
            (
                Cell(name),
                *(_count(found[key]) for key in ("num_qubits", "num_weights")),
                *(_decimal(found[key]) for key in MEASURES),
            )
        )
    return Table(
        "The circuit over random inputs and weights. Expressibility: divergence of "
        f"{PAIRS} pairs of states from Haar-random ones; of random states themselves about "
        f"{(BINS - 1) / (2 * PAIRS):.3f}, and circuits of real gates alone (RY, CZ) stay above it "
        "(Sim et al. 2019). Entangling capability: mean Meyer-Wallach measure, from 0 to 1. "
        f"Effective dimension: number of weights that {NUM_DATA} images can tell apart (Abbas et "
        "al. 2021). None of them predicts accuracy.",
        ("circuit", "qubits", "weights", *MEASURES.values()),
        tuple(rows),
        tuple((trained.source,) for trained in models),
    )


def _count(value: int) -> Cell:
    return Cell(str(value), value)


def _decimal(value: float | None) -> Cell:
    return Cell("undefined") if value is None else Cell(f"{value:.3f}", value)


def _figure(name: str, trained: Trained) -> Figure:
    head = trained.spec.head
    circuit = make_circuit(head).circuit
    gates = ", ".join(f"{count} {gate.upper()}" for gate, count in circuit.count_ops().items())
    title = f"Circuit of {head.name}: {head.encoding} encoding, {head.ansatz} ansatz"
    description = (
        f"{title}. {head.num_qubits} qubits, {head.num_layers} layers, entanglement "
        f"{head.entanglement}: {gates}; depth {circuit.depth()}. Z is measured on each qubit."
    )

    def plot(figure: Any) -> None:
        axes = figure.subplots()
        axes.grid(visible=False)
        circuit.draw("mpl", style=STYLE, ax=axes, fold=FOLD)
        axes.axis("off")

    columns = min(circuit.depth(), FOLD)
    rows = -(-circuit.depth() // FOLD)
    width = SIDE * (columns + 2.5)
    height = SIDE * rows * (head.num_qubits + 1)
    svg = draw(name, title, description, plot, width=width, height=height, math=True)
    caption = (
        "x are the angles of the image's features, in radians, w the trained weights; then Z "
        "is measured on each qubit."
    )
    return Figure(name, title, description, svg, caption, (trained.source,), wide=True)
