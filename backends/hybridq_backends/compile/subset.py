"""Cut a device to the qubits in use.

Simulating, or measuring, all 133 qubits of a device for a circuit of four costs seconds a
run and changes nothing: with the kept qubits in ascending order, the cut device gives the
same counts for the same seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import QuantumRegister
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target

from hybridq_backends.errors import InvalidValueError

QUBITS_KEY = "kept_qubits"


class CutBackend(BackendV2):  # type: ignore[misc]
    """A device cut to some of its qubits: same gates, errors and times, fewer qubits.

    Attributes:
        qubits: The physical qubits kept, in ascending order; qubit i here is `qubits[i]`.
    """

    def __init__(self, backend: BackendV2, qubits: Iterable[int]) -> None:
        """Cut a device.

        Args:
            backend: The whole device.
            qubits: Its physical qubits to keep.
        """
        self.qubits = tuple(sorted({int(qubit) for qubit in qubits}))
        super().__init__(
            name=f"{backend.name}_cut_{len(self.qubits)}", backend_version=backend.backend_version
        )
        self._target = cut_target(backend.target, self.qubits)

    @property
    def target(self) -> Target:
        """The target with the kept qubits only."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """None: the number of circuits in a run has no limit."""
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=4096)

    def run(self, run_input: Any, **options: Any) -> Any:
        """Run circuits on Aer with the noise of the kept qubits (density matrix).

        Args:
            run_input: One ISA circuit or a list of them.
            **options: Options of `AerSimulator.run`.

        Returns:
            The Aer job.
        """
        from qiskit_aer import AerSimulator

        simulator = AerSimulator.from_backend(self, method="density_matrix")
        return simulator.run(run_input, **options)


def cut_target(target: Target, qubits: Sequence[int]) -> Target:
    """Copy a target for some of its qubits, relabelled 0, 1, ... in the order given.

    Args:
        target: The target of the whole device.
        qubits: Physical qubits to keep.

    Returns:
        A target of `len(qubits)` qubits.
    """
    position = {qubit: i for i, qubit in enumerate(qubits)}
    properties = target.qubit_properties
    cut = Target(
        num_qubits=len(qubits),
        dt=target.dt,
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
        qubit_properties=[properties[q] for q in qubits] if properties else None,
        concurrent_measurements=None,
    )
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if isinstance(operation, type):
            cut.add_instruction(operation, name=name)
            continue
        places = target[name]
        if None in places:
            cut.add_instruction(operation, {None: places[None]}, name=name)
            continue
        kept = {
            tuple(position[q] for q in where): value
            for where, value in places.items()
            if all(q in position for q in where)
        }
        if kept:
            cut.add_instruction(operation, kept, name=name)
    return cut


def used_qubits(circuit: QuantumCircuit) -> set[int]:
    """Find the indices of the qubits that some instruction other than a barrier touches."""
    return {
        circuit.find_bit(qubit).index
        for instruction in circuit.data
        if instruction.operation.name != "barrier"
        for qubit in instruction.qubits
    }


def keep_qubits(circuit: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
    """Rewrite a circuit on some of its qubits.

    Args:
        circuit: A circuit without classical bits that touches only `qubits`.
        qubits: Indices to keep; qubit `qubits[i]` becomes qubit i.

    Returns:
        A circuit of `len(qubits)` qubits, without the global phase.
    """
    position = {qubit: i for i, qubit in enumerate(qubits)}
    kept = QuantumCircuit(QuantumRegister(len(qubits), "q"))
    kept.name = circuit.name
    for instruction in circuit.data:
        indices = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        if instruction.operation.name == "barrier":
            indices = [index for index in indices if index in position]
            if indices:
                kept.barrier([position[index] for index in indices])
            continue
        kept.append(instruction.operation, [position[index] for index in indices], copy=False)
    return kept


def mark_cut(circuit: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
    """Note in a circuit's metadata which physical qubits it runs on, in place."""
    circuit.metadata = {**(circuit.metadata or {}), QUBITS_KEY: list(qubits)}
    return circuit


def cut_of(circuit: QuantumCircuit, num_qubits: int) -> tuple[int, ...]:
    """Read which physical qubits a circuit runs on.

    Args:
        circuit: A circuit from `Executable.prepare`, or an ISA circuit of the whole device.
        num_qubits: Qubits of the whole device.

    Returns:
        One physical qubit for each qubit of the circuit.

    Raises:
        InvalidValueError: If the circuit does not say it.
    """
    marked = (circuit.metadata or {}).get(QUBITS_KEY)
    if marked is not None and len(marked) == circuit.num_qubits:
        return tuple(int(qubit) for qubit in marked)
    if circuit.num_qubits == num_qubits:
        return tuple(range(num_qubits))
    raise InvalidValueError(
        f"Expected a circuit prepared for this device, got one of {circuit.num_qubits} qubits "
        "that does not say which qubits of the device it uses: call `prepare` first."
    )
