"""Prepare a circuit for a device: compile it for the whole device, narrow it, and check it."""

from __future__ import annotations

from collections.abc import Sequence

from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target

from hybridq_backends.compile.subset import cut_target
from hybridq_backends.compile.transpile import (
    Prepared,
    assemble,
    check_isa,
    compile_on_target,
    kept_for,
)


def prepare_on_target(
    circuit: QuantumCircuit,
    observables: Sequence[SparsePauliOp],
    initial_layout: Sequence[int] | None,
    target: Target,
    *,
    optimization_level: int,
    seed: int,
    made_for: str,
    keep_numbers: bool = False,
    timed: bool = False,
    checked: bool = True,
) -> Prepared:
    """Prepare a circuit for a device.

    Args:
        circuit: A checked logical circuit.
        observables: Operators on its qubits.
        initial_layout: A physical qubit for each logical one; the transpiler's choice if None.
        target: The whole device's.
        optimization_level: Effort of the transpiler, from 0 to 3.
        seed: Seed of the transpiler.
        made_for: What the circuit is compiled for.
        keep_numbers: Whether qubits keep their numbers, and only those above the last one in use
            are dropped; else only those in use are kept, and the circuit notes which they are.
        timed: Whether idle qubits get delays.
        checked: Whether to refuse a circuit that the device would refuse.

    Raises:
        InvalidValueError: If the circuit cannot be mapped, or the device would refuse it.
    """
    isa, ends = compile_on_target(
        circuit,
        target,
        optimization_level=optimization_level,
        seed=seed,
        initial_layout=initial_layout,
    )
    if checked:
        check_isa(isa, target)
    qubits: Sequence[int] = kept_for(isa, ends)
    if keep_numbers:
        qubits = range(qubits[-1] + 1)
    kept = cut_target(target, qubits) if not keep_numbers and (timed or checked) else target
    prepared = assemble(
        isa,
        ends,
        qubits=qubits,
        observables=observables,
        parameters=list(circuit.parameters),
        made_for=made_for,
        timing=kept if timed else None,
        mark=not keep_numbers,
    )
    if checked:
        check_isa(prepared.circuit, kept)
    return prepared
