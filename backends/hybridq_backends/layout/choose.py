"""Choose the qubits of a device on which a circuit runs, by the device's calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rustworkx
from qiskit import QuantumCircuit
from qiskit.transpiler import Target

from hybridq_backends.compile.subset import cut_target
from hybridq_backends.compile.transpile import check_isa, clean_circuit, compile_on_target, kept_for
from hybridq_backends.compile.usable import usable_qubits
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.layout.error_rates import (
    Calibration,
    is_gate,
    operations_of,
    read_calibration,
)
from hybridq_backends.layout.relabel import Compiled, moved_layouts


@dataclass(frozen=True)
class ScoredLayout:
    """A place for a circuit, with its expected error.

    Attributes:
        layout: The physical qubit that each logical one starts on: an initial layout.
        expected_error: 1 - the product of the success probabilities of all gates of the circuit
            compiled there, of the readout of the qubits where logical ones end, and, where the
            device says how long its gates take, of waiting: from its first gate on a qubit
            relaxes, which succeeds with the average fidelity 1/2 + exp(-t/T1)/6 + exp(-t/T2)/3.
        depth: Depth of that circuit, a count of layers.
        two_qubit_gates: Its two-qubit gates, a count.
        qubits: The physical qubits in use, ascending.
    """

    layout: tuple[int, ...]
    expected_error: float
    depth: int
    two_qubit_gates: int
    qubits: tuple[int, ...]


def rank_layouts(
    circuit: QuantumCircuit,
    target: Target,
    *,
    optimization_level: int = 3,
    seeds: Sequence[int] = tuple(range(8)),
    most: int = 10,
) -> list[ScoredLayout]:
    """Rank the places of a device where a circuit could run.

    The transpiler's own choices, one for each seed, and every other place where what it made
    fits; the best are compiled where they are. Qubits and gates that are broken or not
    calibrated are never used.

    Args:
        circuit: A logical circuit without measurements in the middle.
        target: The whole device's target, with its errors.
        optimization_level: Effort of the transpiler, a level from 0 to 3.
        seeds: Seeds of the transpiler. The circuits that are scored are compiled with the first:
            to have `prepare` compile the same ones, give the spec's `compiler_seed` first.
        most: The most layouts to return.

    Returns:
        Distinct layouts, the one with the least expected error first; the same for the same
        arguments.

    Raises:
        InvalidValueError: If the circuit fits nowhere, or an argument is out of range.
    """
    if not seeds or most < 1:
        raise InvalidValueError(
            f"Expected at least one of `seeds` and `most` of at least 1, got {list(seeds)} and "
            f"{most}: leave them out."
        )
    circuit = clean_circuit(circuit, int(target.num_qubits))
    calibration = read_calibration(target)
    compiled = [
        choice
        for qubits in _regions(calibration, usable_qubits(target), circuit.num_qubits)
        for choice in _choices(circuit, target, calibration, qubits, optimization_level, seeds)
    ]
    scored = sorted(
        ((calibration.expected_error(c.operations, c.ends), c.layout, c) for c in compiled),
        key=lambda entry: entry[:2],
    )
    layouts = dict.fromkeys(c.layout for error, _, c in scored if error < 1.0)
    for layout in moved_layouts([c for _, _, c in scored], calibration, most):
        layouts.setdefault(layout)
    ranked = []
    for layout in layouts:
        isa, ends = compile_on_target(
            circuit,
            target,
            optimization_level=optimization_level,
            seed=seeds[0],
            initial_layout=layout,
        )
        operations = operations_of(isa)
        error = calibration.expected_error(operations, ends)
        if error < 1.0:
            check_isa(isa, target)
            ranked.append(
                ScoredLayout(
                    layout=layout,
                    expected_error=error,
                    depth=isa.depth(),
                    two_qubit_gates=sum(len(qubits) == 2 for _, qubits in operations),
                    qubits=kept_for(isa, ends),
                )
            )
    if not ranked:
        raise InvalidValueError(
            f"Expected a device with room for {circuit.num_qubits} qubits among its calibrated "
            "qubits and gates, got none: use fewer qubits or another device."
        )
    ranked.sort(key=lambda s: (s.expected_error, s.two_qubit_gates, s.layout))
    return ranked[:most]


def _regions(calibration: Calibration, usable: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """List the connected parts of a device that work, of at least `size` qubits each.

    A qubit works if it is usable, can be read, and all its one-qubit gates work.
    """
    rates = calibration.success
    broken = {q[0] for (_, q), success in rates.items() if len(q) == 1 and success == 0.0}
    readable = {q[0] for (name, q) in rates if name == "measure"}
    graph: rustworkx.PyGraph[int, None] = rustworkx.PyGraph()
    node = {qubit: graph.add_node(qubit) for qubit in sorted(readable & set(usable) - broken)}
    for (_, q), success in rates.items():
        if len(q) == 2 and success > 0.0 and q[0] in node and q[1] in node:
            graph.add_edge(node[q[0]], node[q[1]], None)
    regions = [sorted(graph[i] for i in part) for part in rustworkx.connected_components(graph)]
    return sorted(tuple(region) for region in regions if len(region) >= size)


def _choices(
    circuit: QuantumCircuit,
    target: Target,
    calibration: Calibration,
    qubits: Sequence[int],
    optimization_level: int,
    seeds: Sequence[int],
) -> list[Compiled]:
    """Compile with each seed on one region of a device, without its broken gates."""
    region = _working(cut_target(target, qubits), qubits, calibration)
    compiled = []
    for seed in dict.fromkeys(seeds):
        isa, ends = compile_on_target(
            circuit,
            region,
            optimization_level=optimization_level,
            seed=seed,
            initial_layout=None,
        )
        starts = (
            range(circuit.num_qubits)
            if isa.layout is None
            else isa.layout.initial_index_layout(filter_ancillas=True)
        )
        compiled.append(
            Compiled(
                layout=tuple(qubits[start] for start in starts),
                ends=tuple(qubits[end] for end in ends),
                operations=[
                    (name, tuple(qubits[q] for q in places)) for name, places in operations_of(isa)
                ],
            )
        )
    return compiled


def _working(region: Target, qubits: Sequence[int], calibration: Calibration) -> Target:
    """Copy the target of a region, relabelled from `qubits`, without the gates that are broken."""
    working = Target(num_qubits=len(qubits), dt=region.dt, qubit_properties=region.qubit_properties)
    for name in region.operation_names:
        if not is_gate(region, name):
            continue
        kept = {
            places: properties
            for places, properties in region[name].items()
            if places is not None and calibration.works(name, tuple(qubits[q] for q in places))
        }
        if kept:
            working.add_instruction(region.operation_from_name(name), kept, name=name)
    return working
