"""Drawings of circuits, and circuits as plain records from which they are drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qiskit.circuit import Instruction, Parameter, ParameterExpression, QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.circuit.tools import pi_check

from hybridq.plotting.style import INK, PAPER, QUIET
from hybridq.records.findings import MOST_GATES, MOST_QUBITS, DrawnCircuit, DrawnGate

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

MOST_PARAMETERS = 4
"""Parameters of a gate that are written."""
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


def circuit_record(
    title: str, circuit: QuantumCircuit, *, caption: str = ""
) -> DrawnCircuit | None:
    """Write a circuit as a record: its gates in order, with their parameters as text.

    Args:
        title: What the circuit is.
        circuit: The circuit; a gate that is not one of Qiskit's standard gates is drawn as a box,
            and matrices among its parameters are not written.
        caption: How to read the drawing.

    Returns:
        The record; None of a circuit that is too large to be drawn.
    """
    if circuit.num_qubits > MOST_QUBITS or len(circuit.data) > MOST_GATES:
        return None
    gates = [
        DrawnGate(
            name=_legible(item.operation.name),
            qubits=[circuit.find_bit(bit).index for bit in item.qubits],
            parameters=_written(item.operation.params),
        )
        for item in circuit.data
        if item.qubits
    ]
    return DrawnCircuit(title=title, qubits=circuit.num_qubits, gates=gates, caption=caption)


def _written(parameters: Sequence[Any]) -> list[str]:
    """Write numbers and expressions; none where there are too many, or others."""
    if len(parameters) > MOST_PARAMETERS or any(
        not isinstance(one, int | float | ParameterExpression) for one in parameters
    ):
        return []
    return [_legible(str(pi_check(one, ndigits=3))) for one in parameters]


def _legible(text: str) -> str:
    """Leave out of a text what would be a formula, and what is too long."""
    return re.sub(r"[$\\\\{}^]", "?", text)[:80]


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
        if (
            one is None
            or one.num_clbits
            or (one.num_qubits, len(one.params)) != (len(gate.qubits), len(parameters))
        ):
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
