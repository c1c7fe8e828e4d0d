"""The evolution of a chain of Rydberg atoms as circuits of gates, by Trotter's formula."""

from __future__ import annotations

from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from hybridq.errors import InvalidValueError
from hybridq.quantum.circuits import ParametrizedCircuit
from hybridq.quantum.reservoir.rydberg import RydbergChain

MOST_STEPS = 1000


def trotter_circuits(
    chain: RydbergChain, steps: int, *, reach: int = 1
) -> list[ParametrizedCircuit]:
    """Make a circuit for each time of a chain, from all atoms in the ground state to that time.

    A step is the second-order formula: half of the Rabi drive, all detunings and interactions, and
    the other half; what two steps have beside each other is one gate. Its error falls with the
    square of the steps. Interactions fall with the sixth power of the distance, so that those of
    atoms far apart are left out, which the error has in it.

    Args:
        chain: The atoms.
        steps: Steps between two times.
        reach: How many places apart atoms are at most that interact; 1 for neighbours, whose gates
            fit a line of qubits.

    Returns:
        Circuits whose inputs are the detunings in radians per microsecond.

    Raises:
        InvalidValueError: If steps or reach are out of range.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise InvalidValueError(
            f"Expected from 1 to {MOST_STEPS:,} Trotter steps, got {steps}: change them."
        )
    if reach < 1:
        raise InvalidValueError(f"Expected atoms at least 1 place apart, got {reach}: raise it.")
    detunings = tuple(ParameterVector("detuning", chain.num_atoms))
    growing, kept = QuantumCircuit(chain.num_atoms), []
    now = half = 0.0
    for time in chain.times:
        duration = (time - now) / steps
        for _ in range(steps):
            _drive(growing, half + chain.rabi * duration / 2)
            _turn(growing, chain, detunings, duration, reach)
            half = chain.rabi * duration / 2
        ended = growing.copy()
        _drive(ended, half)
        kept.append(ParametrizedCircuit(ended, detunings, ()))
        now = time
    return kept


def _drive(circuit: QuantumCircuit, angle: float) -> None:
    """Turn every atom about X."""
    for atom in range(circuit.num_qubits):
        circuit.rx(angle, atom)


def _turn(
    circuit: QuantumCircuit,
    chain: RydbergChain,
    detunings: tuple[Parameter, ...],
    duration: float,
    reach: int,
) -> None:
    """Let detunings and interactions act for some microseconds, with n = (1 - Z)/2."""
    shifts = [0.0] * chain.num_atoms
    for first in range(chain.num_atoms):
        for second in range(first + 1, min(first + reach + 1, chain.num_atoms)):
            strength = chain.interaction(second - first)
            circuit.rzz(strength * duration / 2, first, second)
            shifts[first] += strength / 2
            shifts[second] += strength / 2
    for atom, detuning in enumerate(detunings):
        circuit.rz(duration * (detuning - shifts[atom]), atom)


def reservoir_observables(num_atoms: int) -> list[SparsePauliOp]:
    """Make Z of every atom and then ZZ of every pair j < k, as `readouts` orders them."""
    pairs = [(j, k) for j in range(num_atoms) for k in range(j + 1, num_atoms)]
    atoms = [(j,) for j in range(num_atoms)]
    return [
        SparsePauliOp.from_sparse_list([("Z" * len(own), own, 1.0)], num_qubits=num_atoms)
        for own in [*atoms, *pairs]
    ]
