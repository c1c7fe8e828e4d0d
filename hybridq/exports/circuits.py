"""Circuits with bound weights as files, and their observables as text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit, qasm3, qpy
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from hybridq.quantum import QuantumLayer


def bound_circuit(layer: QuantumLayer) -> tuple[QuantumCircuit, list[str]]:
    """Give the circuit of a layer its weights, and plain names to its inputs.

    Returns:
        The circuit, whose parameters are the inputs alone, and the names of the inputs in the order
        of the columns of angles.
    """
    (info,) = layer.circuits()
    weights = layer.weight.detach().cpu().double().tolist()
    values: dict[Parameter, float | Parameter] = dict(zip(info.weight_params, weights, strict=True))
    names = [f"x{number}" for number in range(len(info.input_params))]
    values |= {
        parameter: Parameter(name) for parameter, name in zip(info.input_params, names, strict=True)
    }
    circuit: QuantumCircuit = info.circuit.assign_parameters(values)
    circuit.metadata = {}
    return circuit, names


def as_qpy(circuit: QuantumCircuit) -> bytes:
    """Write a circuit in Qiskit's own format."""
    buffer = io.BytesIO()
    qpy.dump(circuit, buffer)
    return buffer.getvalue()


def as_qasm3(circuit: QuantumCircuit) -> bytes:
    """Write a circuit in OpenQASM 3, in which each input is an `input float[64]`."""
    text: str = qasm3.dumps(circuit)
    return text.encode()


def observables_text(observables: Sequence[SparsePauliOp]) -> list[list[list[Any]]]:
    """Write each observable as a list of `[label, coefficient]`, qubit 0 on the right."""
    return [
        [[label, float(coefficient.real)] for label, coefficient in operator.to_list()]
        for operator in observables
    ]
