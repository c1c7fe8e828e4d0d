"""Drawings of circuits, and circuits as plain records from which they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.circuit import Instruction, Parameter, QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.circuit.tools import pi_check

from hybridq.plotting.style import INK, PAPER, QUIET
from hybridq.records.findings import DrawnCircuit, DrawnGate

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

FOLD = 10
"""Columns of gates in a row of a drawing."""
SIDE = 0.78
"""Inches of a column and of a wire."""
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


def circuit_record(title: str, circuit: QuantumCircuit, *, caption: str = "") -> DrawnCircuit:
    """Write a circuit as a record: its gates in order, with their parameters as text.

    Args:
        title: What the circuit is.
        circuit: The circuit; a gate that is not one of Qiskit's standard gates is drawn as a box.
        caption: How to read the drawing.
    """
    gates = [
        DrawnGate(
            name=item.operation.name,
            qubits=[circuit.find_bit(bit).index for bit in item.qubits],
            parameters=[str(pi_check(one, ndigits=3)) for one in item.operation.params],
        )
        for item in circuit.data
    ]
    return DrawnCircuit(title=title, qubits=circuit.num_qubits, gates=gates, caption=caption)


def circuit_of(drawn: DrawnCircuit) -> QuantumCircuit:
    """Make of a record a circuit that is drawn like the one it was written from."""
    known = get_standard_gate_name_mapping()
    circuit = QuantumCircuit(drawn.qubits)
    texts = dict.fromkeys(text for gate in drawn.gates for text in gate.parameters)
    named = {text: Parameter(text) for text in texts}
    for gate in drawn.gates:
        if gate.name == "barrier":
            circuit.barrier(gate.qubits)
            continue
        parameters = [named[text] for text in gate.parameters]
        one = known.get(gate.name)
        if one is None or (one.num_qubits, len(one.params)) != (len(gate.qubits), len(parameters)):
            made = Instruction(gate.name, len(gate.qubits), 0, parameters)
        else:
            made = one.base_class(*parameters)
        circuit.append(made, gate.qubits)
    return circuit


def circuit_size(circuit: QuantumCircuit, fold: int = FOLD) -> tuple[float, float]:
    """Compute the inches, width and height, that a drawing of a circuit takes.

    Args:
        circuit: The circuit.
        fold: Columns of gates in a row of the drawing.
    """
    rows = max(1, -(-circuit.depth() // fold))
    width = SIDE * (min(circuit.depth(), fold) + 2.5)
    return width, SIDE * rows * (circuit.num_qubits + 1)


def draw_circuit(figure: Figure | SubFigure, circuit: QuantumCircuit, fold: int = FOLD) -> None:
    """Draw a circuit on an empty figure, with `fold` columns of gates in a row."""
    axes = figure.subplots()
    axes.grid(visible=False)
    circuit.draw("mpl", style=STYLE, ax=axes, fold=fold)
    axes.axis("off")
