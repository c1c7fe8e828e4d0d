"""Move a compiled circuit to the other places of a device where it fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from hybridq_backends.layout.error_rates import FREE, Calibration, Operation
from hybridq_backends.layout.subgraph_search import Coupling, Pattern, cheapest_places

_MOST_PATTERNS = 3


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled circuit, on physical qubits.

    Attributes:
        layout: The physical qubit where each logical one starts.
        ends: The physical qubit where each logical one ends.
        operations: Its operations, in order.
    """

    layout: tuple[int, ...]
    ends: tuple[int, ...]
    operations: list[Operation]


def moved_layouts(
    compiled: Iterable[Compiled], calibration: Calibration, most: int
) -> list[tuple[int, ...]]:
    """Move circuits to every place where they fit, and list the best initial layouts.

    The error at a new place is estimated by relabelling, without compiling anew.

    Args:
        compiled: Circuits, the best first; of the first few that differ in more than their
            place each is moved.
        calibration: Errors and times of the device.
        most: How many layouts to list.

    Returns:
        Initial layouts, the least expected error first.
    """
    found: dict[tuple[int, ...], float] = {}
    seen: set[tuple[object, ...]] = set()
    for circuit in compiled:
        used = sorted({q for _, qubits in circuit.operations for q in qubits} | {*circuit.ends})
        position = {qubit: i for i, qubit in enumerate(used)}
        operations = [(n, tuple(position[q] for q in qubits)) for n, qubits in circuit.operations]
        ends = [position[qubit] for qubit in circuit.ends]
        shape = (tuple(operations), tuple(ends))
        if shape in seen or len(seen) == _MOST_PATTERNS:
            continue
        seen.add(shape)
        waits = calibration.waits(circuit.operations, circuit.ends) if calibration.is_timed else {}
        pattern = _pattern(
            operations, ends, {position[q]: t for q, t in waits.items()}, len(used), calibration
        )
        for _, places in cheapest_places(pattern, most=4 * most):
            moved = [(name, tuple(places[q] for q in qubits)) for name, qubits in operations]
            layout = tuple(places[position[qubit]] for qubit in circuit.layout)
            error = calibration.expected_error(
                [_as_directed(operation, calibration) for operation in moved],
                [places[end] for end in ends],
            )
            found[layout] = min(error, found.get(layout, 1.0))
    return sorted(found, key=lambda layout: (found[layout], layout))[:most]


def _pattern(
    operations: Iterable[Operation],
    ends: Iterable[int],
    waits: dict[int, float],
    size: int,
    calibration: Calibration,
) -> Pattern:
    """Compute the cost of each qubit and pair of a circuit at each place of the device."""
    counts = Counter(operations)
    counts.update(("measure", (end,)) for end in ends)
    num_places = len(calibration.relaxation)
    nodes = [
        [calibration.waiting_loss(place, waits.get(node, 0.0)) for place in range(num_places)]
        for node in range(size)
    ]
    couplings: dict[Coupling, dict[Coupling, float]] = {}
    for (name, qubits), count in counts.items():
        if len(qubits) == 1 and name not in FREE:
            row = nodes[qubits[0]]
            for place in range(len(row)):
                row[place] += count * calibration.loss(name, (place,))
        elif len(qubits) == 2:
            u, v = sorted(qubits)
            costs = _pair_costs(name, qubits != (u, v), calibration)
            before = couplings.get((u, v))
            couplings[u, v] = {
                pair: count * cost + (before[pair] if before else 0.0)
                for pair, cost in costs.items()
                if before is None or pair in before
            }
    return Pattern(nodes, couplings)


def _pair_costs(name: str, is_flipped: bool, calibration: Calibration) -> dict[Coupling, float]:
    """List -log success of a two-qubit gate on each ordered pair, either direction serving."""
    costs = {}
    for (gate, qubits), success in calibration.success.items():
        if gate == name and success > 0.0:
            a, b = qubits
            for pair in ((a, b), (b, a)):
                directed = _as_directed((name, pair), calibration)
                costs[pair[::-1] if is_flipped else pair] = calibration.loss(*directed)
    return costs


def _as_directed(operation: Operation, calibration: Calibration) -> Operation:
    """Turn a two-qubit gate round if the device has it only in the other direction."""
    name, qubits = operation
    if len(qubits) == 2 and operation not in calibration.success:
        return name, qubits[::-1]
    return operation
