"""Circuits as records, and what is drawn of them."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from pydantic import ValidationError
from qiskit.circuit import Gate, Parameter, QuantumCircuit
from qiskit.circuit.library import QFTGate, UnitaryGate

from hybridq.evaluation.circuit_drawings import (
    circuit_of,
    circuit_record,
    circuit_size,
    draw_circuit,
)
from hybridq.quantum import build_circuit
from hybridq.quantum.swap_test import swap_test_circuit
from hybridq.records.findings import DrawnCircuit

CIRCUITS = {
    "angle": build_circuit(3, encoding="angle", ansatz="strongly_entangling").circuit,
    "zz": build_circuit(3, encoding="zz", ansatz="efficient_su2").circuit,
    "reupload": build_circuit(2, encoding="reupload").circuit,
    "swap": swap_test_circuit(2, 1).circuit,
}


@pytest.mark.parametrize("name", CIRCUITS)
def test_a_record_is_drawn_as_its_circuit(name):
    circuit = CIRCUITS[name]
    record = circuit_record("t", circuit)
    again = circuit_of(DrawnCircuit.model_validate_json(record.model_dump_json()))
    assert again.count_ops() == circuit.count_ops()
    assert again.depth() == circuit.depth()
    drawn = [str(one.draw("text", fold=-1, idle_wires=True)) for one in (circuit, again)]
    gates = [
        [(item.operation.name, [one.find_bit(bit).index for bit in item.qubits]) for item in one]
        for one in (circuit, again)
    ]
    assert gates[0] == gates[1]
    if name != "zz":  # products of inputs are spaced otherwise once they are one symbol
        assert drawn[0].replace(" ", "") == drawn[1].replace(" ", "")


def test_numbers_barriers_and_gates_of_ones_own():
    circuit = QuantumCircuit(2)
    circuit.rx(0.5, 0)
    circuit.barrier()
    circuit.append(QFTGate(2), [0, 1])
    circuit.p(Parameter("phi"), 1)
    record = circuit_record("t", circuit)
    assert [gate.parameters for gate in record.gates] == [["0.5"], [], [], ["phi"]]
    assert dict(circuit_of(record).count_ops()) == {"rx": 1, "barrier": 1, "qft": 1, "p": 1}


def test_what_is_drawn_as_a_box_or_not_at_all():
    circuit = QuantumCircuit(2, 1)
    circuit.append(UnitaryGate([[0, 1], [1, 0]]), [0])
    circuit.measure(1, 0)
    circuit.append(Gate("a$\\frac{b}", 1, [Parameter("$x^2$")]), [0])
    record = circuit_record("t", circuit)
    assert [gate.parameters for gate in record.gates] == [[], [], ["?x?2?"]]
    assert "$" not in record.model_dump_json()
    made = circuit_of(record)
    draw_circuit(Figure(figsize=circuit_size(made)), made)
    assert circuit_record("t", QuantumCircuit(21)) is None
    long = QuantumCircuit(1)
    for _ in range(2001):
        long.x(0)
    assert circuit_record("t", long) is None


def test_a_circuit_fits_its_figure():
    made = circuit_of(circuit_record("t", CIRCUITS["swap"]))
    figure = Figure(figsize=circuit_size(made))
    draw_circuit(figure, made)
    assert len(figure.axes[0].patches) + len(figure.axes[0].texts) > 10


def test_a_record_holds_no_formula():
    with pytest.raises(ValidationError):
        DrawnCircuit(title="t", qubits=1, gates=[{"name": "$\\foo$", "qubits": [0]}])


@pytest.mark.parametrize("qubits", [[2], [0, 0], [-1], []])
def test_gates_that_cannot_be(qubits):
    with pytest.raises(ValidationError):
        DrawnCircuit(title="t", qubits=2, gates=[{"name": "x", "qubits": qubits}])
