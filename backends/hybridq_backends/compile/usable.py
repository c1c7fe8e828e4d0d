"""Find the qubits of a device that can be turned into any state and read."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.transpiler import Target, generate_preset_pass_manager

from hybridq_backends.compile.subset import cut_target


def usable_qubits(target: Target) -> tuple[int, ...]:
    """List the qubits that the target can turn into any state and measure.

    Devices list qubits that are out of order without their gates or without their readout, and
    the transpiler neither avoids them nor says what is wrong.

    Args:
        target: The whole device's target, of a known number of qubits.

    Returns:
        Physical qubits, ascending; all of them where none, or no qubit at all, stands out.
    """
    number = int(target.num_qubits)
    listed = target.qargs or set()
    everywhere = {None} & set(listed)
    gates = {
        qubit: frozenset(
            target.operation_names_for_qargs((qubit,)) if (qubit,) in listed or everywhere else ()
        )
        for qubit in range(number)
    }
    if len(set(gates.values())) <= 1:
        return tuple(range(number))
    reads = "measure" in target.operation_names
    turns: dict[frozenset[str], bool] = {}
    usable = []
    for qubit, names in gates.items():
        if names not in turns:
            turns[names] = (not reads or "measure" in names) and _turns(target, qubit)
        if turns[names]:
            usable.append(qubit)
    return tuple(usable) or tuple(range(number))


def _turns(target: Target, qubit: int) -> bool:
    """Whether any rotation can be written in a qubit's gates."""
    alone = cut_target(target, [qubit])
    if not alone.operation_names:  # to the transpiler, a device that can do anything
        return False
    circuit = QuantumCircuit(1)
    circuit.u(0.3, 0.5, 0.7, 0)
    manager = generate_preset_pass_manager(optimization_level=0, target=alone)
    try:
        manager.run(circuit)
    except (QiskitError, TypeError):
        return False
    return True
