from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    """Keep accounts, profiles and folders of the person who runs the tests out of them."""
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_INSTANCE", "QISKIT_IBM_CHANNEL", "QISKIT_IBM_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HYBRIDQ_PROFILES", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def problem():
    """A circuit whose parameters repeat and shift, observables, points and exact values."""
    theta = ParameterVector("theta", 6)
    circuit = QuantumCircuit(4)
    for qubit in range(4):
        circuit.ry(theta[qubit], qubit)
    circuit.cx(0, 1)
    circuit.rzz(theta[4], 1, 3)
    circuit.cz(2, 3)
    circuit.rx(2.0 * theta[5] + theta[0] - 0.3, 2)
    circuit.cx(3, 0)
    circuit.ry(theta[1], 3)
    observables = [
        *(SparsePauliOp.from_sparse_list([("Z", [q], 1.0)], 4) for q in range(4)),
        SparsePauliOp(["XXYI", "IZZY", "IIII"], [0.3, -1.2, 0.25]),
    ]
    points = np.random.default_rng(5).uniform(-np.pi, np.pi, (3, 6))
    return circuit, observables, points, statevector_values(circuit, observables, points)


def statevector_values(circuit, observables, points):
    """Compute expectation values point by point with qiskit.quantum_info."""
    rows = []
    for point in points:
        state = Statevector(circuit.assign_parameters(point))
        rows.append([state.expectation_value(o).real for o in observables])
    return np.array(rows)


@pytest.fixture
def oracle():
    return statevector_values
