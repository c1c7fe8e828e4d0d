"""The circuit of a quantum head, drawn by qiskit."""

from __future__ import annotations

from collections.abc import Sequence

from hybridq.evaluation.circuit_drawings import circuit_size, draw_circuit
from hybridq.evaluation.measures.circuits import BINS, PAIRS, circuit_measures
from hybridq.models.heads import head_entry
from hybridq.quantum import ParametrizedCircuit
from hybridq.quantum.modules import CircuitInfo, circuits_of
from hybridq.reports.page.elements import Figure, Part, Section, Table
from hybridq.reports.page.parts import drawing, table
from hybridq.reports.sources.models import Trained
from hybridq.utils.text import counted

MOST_QUBITS = 6
"""Above, the measures of the circuit would take minutes, and are left out."""
MOST_SIGNS = 60
"""Of an observable, as it is told."""
NUM_DATA = 1000
"""Images that the effective dimension is of: one number for all, as it says little of few."""
MEASURES = ("expressibility", "entangling_capability", "effective_dimension")


def circuits(models: Sequence[Trained], *, seed: int) -> Section:
    """One drawing for each circuit in use, and what each can do before it is trained."""
    found: dict[str, tuple[Trained, CircuitInfo]] = {}
    for trained in models:
        for circuit in circuits_of(trained.model.head):
            found.setdefault(_drawn(circuit), (trained, circuit))
    parts: list[Part] = [_figure(f"circuit-{k + 1}", *one) for k, one in enumerate(found.values())]
    small = [one for one in found.values() if one[1].circuit.num_qubits <= MOST_QUBITS]
    if small:
        parts.append(_measures(small, seed))
    return Section(
        "circuit",
        "Circuit",
        tuple(parts),
        "a run of `hybridq finetune` with a quantum head",
    )


def _drawn(circuit: CircuitInfo) -> str:
    """Write a circuit and what is measured on it as text, equal for equal ones."""
    measured = [observable.to_list() for observable in circuit.observables]
    return f"{circuit.circuit.draw('text', fold=-1, idle_wires=True)} {measured}"


def _named(trained: Trained) -> str:
    """What the circuits of a model are called: the head's label and its settings."""
    settings = trained.spec.head.model_dump(exclude={"name", "init_std", "reducer"})
    words = ", ".join(str(value) for value in settings.values() if isinstance(value, str))
    label = head_entry(trained.spec.head.name).label
    return f"{label}: {words}" if words else label


def _measures(models: Sequence[tuple[Trained, CircuitInfo]], seed: int) -> Table:
    rows = []
    for trained, circuit in models:
        parts = ParametrizedCircuit(circuit.circuit, circuit.input_params, circuit.weight_params)
        found = circuit_measures(parts, num_data=NUM_DATA, seed=seed)
        told = ["undefined" if found[key] is None else found[key] for key in MEASURES]
        rows.append([_named(trained), found["num_qubits"], found["num_weights"], *told])
    return table(
        "The circuit over random inputs and weights. Expressibility: divergence of "
        f"{PAIRS} pairs of states from Haar-random ones; of random states themselves about "
        f"{(BINS - 1) / (2 * PAIRS):.3f}, and circuits of real gates alone (RY, CZ) stay above it "
        "(Sim et al. 2019). Entangling capability: mean Meyer-Wallach measure, from 0 to 1. "
        f"Effective dimension: number of weights that {NUM_DATA} images can tell apart (Abbas et "
        "al. 2021). None of them predicts accuracy.",
        ("circuit", "qubits", "weights", *(name.replace("_", " ") for name in MEASURES)),
        rows,
        [(trained.source,) for trained, _ in models],
    )


def _figure(name: str, trained: Trained, info: CircuitInfo) -> Figure:
    circuit = info.circuit
    gates = ", ".join(f"{count} {gate.upper()}" for gate, count in circuit.count_ops().items())

    width, height = circuit_size(circuit)
    return drawing(
        name,
        f"Circuit of {trained.spec.head.name} ({_named(trained)})",
        [
            f"{circuit.num_qubits} qubits: {gates}; depth {circuit.depth()}.",
            f"{_measured(info)}.",
        ],
        lambda figure: draw_circuit(figure, circuit),
        "Parameters that are inputs are computed from the image's features, in radians; the others "
        f"are the trained weights. {_measured(info)}.",
        [trained.source],
        wide=True,
        width=width,
        height=height,
        math=True,
    )


def _measured(info: CircuitInfo) -> str:
    """Say what is measured."""
    labels = info.measured
    if len(labels) == info.circuit.num_qubits and all(
        sorted(label) == sorted("Z" + "I" * (len(label) - 1)) for label in labels
    ):
        return "Z is measured on each qubit"
    told = [one if len(one) <= MOST_SIGNS else f"{one[:MOST_SIGNS]} ..." for one in labels[:4]]
    words = f"{counted(len(labels), 'observable')} {'is' if len(labels) == 1 else 'are'} measured"
    return f"{words}: {', '.join(told)}" + (", ..." if len(labels) > 4 else "")
