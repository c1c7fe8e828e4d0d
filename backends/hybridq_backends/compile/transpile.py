"""Compile circuits to the instructions of a backend, and lay the observables out with them."""

from __future__ import annotations

import hashlib
import io
import operator
import reprlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from qiskit import QuantumCircuit, qpy
from qiskit.circuit import ControlFlowOp, Parameter, QuantumRegister
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import PassManager, Target, TranspilerError, generate_preset_pass_manager
from qiskit.transpiler.passes import ALAPScheduleAnalysis, PadDelay

from hybridq_backends.compile.delays import check_delays
from hybridq_backends.compile.gate_angles import AngleMap, split_angles
from hybridq_backends.compile.subset import cut_target, keep_qubits, mark_cut, used_qubits
from hybridq_backends.compile.usable import usable_qubits
from hybridq_backends.errors import InvalidValueError

EXACT_BASIS = (
    *("rx", "ry", "rz", "rxx", "ryy", "rzz", "p"),
    *("h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx", "sxdg"),
    *("cx", "cy", "cz", "ecr", "swap", "id"),
)
"""Gates of the noiseless simulator: common ones, each rotation with a two-term shift rule."""
PARAMETRIC_BASIS = ("rz", "sx", "x", "cx")
"""Gates of the parametric noise models: rz is noiseless, noise is attached to the others."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A circuit ready to run on one backend, for any number of batches.

    Attributes:
        circuit: The ISA circuit with one plain parameter for each gate angle (K of them).
        isa_circuit: The same circuit with the logical parameters.
        observables: Observables on the qubits of those circuits.
        parameters: The P logical parameters, in the column order of parameter values.
        angles: The map from logical parameters to the gate angles of `circuit`.
        qubits: The physical qubit behind each qubit of those circuits, ascending.
        layout: For each logical qubit, the qubit of those circuits where it ends.
        column: The observables as a column (O, 1), to broadcast against a batch.
        made_for: The backend that it was compiled for; other backends refuse it.
    """

    circuit: QuantumCircuit
    isa_circuit: QuantumCircuit
    observables: tuple[SparsePauliOp, ...]
    parameters: tuple[Parameter, ...]
    angles: AngleMap
    qubits: tuple[int, ...]
    layout: tuple[int, ...]
    column: ObservablesArray
    made_for: str

    @property
    def num_parameters(self) -> int:
        """The number P of logical parameters."""
        return len(self.parameters)

    @property
    def num_angles(self) -> int:
        """The number K of parameterised gate angles of the ISA circuit."""
        return len(self.angles.offset)

    @property
    def num_observables(self) -> int:
        """The number O of observables."""
        return len(self.observables)


def check_prepared(prepared: object) -> None:
    """Refuse a circuit that was not prepared.

    Raises:
        InvalidValueError: If it is anything but what `prepare` returns.
    """
    if not isinstance(prepared, Prepared):
        raise InvalidValueError(
            f"Expected what `prepare` returned, got {type(prepared).__name__}: call "
            "`prepare(circuit, observables)` first, and run what it gives."
        )


def clean_circuit(circuit: QuantumCircuit, num_qubits: int) -> QuantumCircuit:
    """Check a logical circuit and drop its final measurements.

    Args:
        circuit: The circuit that the user gave.
        num_qubits: The most qubits the backend takes.

    Returns:
        A circuit without classical bits.

    Raises:
        InvalidValueError: On too many qubits, control flow or measurements in the middle.
    """
    if not 1 <= circuit.num_qubits <= num_qubits:
        raise InvalidValueError(
            f"Expected a circuit of 1 to {num_qubits} qubits, got {circuit.num_qubits}: "
            "use fewer qubits or another backend."
        )
    if circuit.num_clbits:
        circuit = circuit.remove_final_measurements(inplace=False)
    for instruction in circuit.data:
        operation = instruction.operation
        if instruction.clbits or isinstance(operation, ControlFlowOp) or circuit.num_vars:
            raise InvalidValueError(
                "Expected a circuit without measurements in the middle or control flow, got "
                f"`{operation.name}`: expectation values need a plain circuit."
            )
    if circuit.num_clbits:
        return keep_qubits(circuit, range(circuit.num_qubits))
    return circuit


def check_layout(layout: Sequence[int], num_logical: int, num_physical: int) -> tuple[int, ...]:
    """Check an initial layout: one distinct physical qubit for each logical one.

    Args:
        layout: A physical qubit for each logical one.
        num_logical: The number of logical qubits.
        num_physical: The number of physical qubits.

    Raises:
        InvalidValueError: If it is not.
    """
    try:
        if isinstance(layout, Set | Mapping):
            raise TypeError("no order")
        places = tuple(operator.index(qubit) for qubit in layout)
    except TypeError as error:
        raise InvalidValueError(
            f"Expected `initial_layout` as a list of {num_logical} physical qubits, got "
            f"{reprlib.repr(layout)}: write their numbers, as in {list(range(num_logical))}."
        ) from error
    valid = len(set(places)) == len(places) == num_logical
    if not valid or not all(0 <= qubit < num_physical for qubit in places):
        raise InvalidValueError(
            f"Expected `initial_layout` to be {num_logical} distinct qubits from 0 to "
            f"{num_physical - 1}, got {list(places)}: name one for each logical qubit."
        )
    return places


def compile_on_target(
    circuit: QuantumCircuit,
    target: Target,
    *,
    optimization_level: int,
    seed: int,
    initial_layout: Sequence[int] | None,
) -> tuple[QuantumCircuit, tuple[int, ...]]:
    """Transpile for a device.

    Args:
        circuit: The logical circuit.
        target: The target of the whole device.
        optimization_level: Effort of the transpiler, from 0 to 3.
        seed: Seed of the transpiler.
        initial_layout: A physical qubit for each logical one; None leaves the choice open.

    Returns:
        The ISA circuit, as wide as the device, and the physical qubit where each logical
        qubit ends.

    Raises:
        InvalidValueError: If the circuit cannot be mapped.
    """
    check_delays(circuit, target)
    places, num_qubits = _places(circuit, target, initial_layout), target.num_qubits
    if places is not None:
        target = cut_target(target, places)
        if initial_layout is not None:
            initial_layout = [places.index(qubit) for qubit in initial_layout]
    manager = generate_preset_pass_manager(
        optimization_level=optimization_level,
        target=target,
        seed_transpiler=seed,
        initial_layout=None if initial_layout is None else list(initial_layout),
    )
    isa = _transpiled(manager, circuit)
    ends = tuple(range(circuit.num_qubits))
    if isa.layout is not None:
        ends = tuple(isa.layout.final_index_layout(filter_ancillas=True))
    if places is None:
        return isa, ends
    whole = QuantumCircuit(QuantumRegister(num_qubits, "q"), name=circuit.name)
    return whole.compose(isa, places[: isa.num_qubits]), tuple(places[end] for end in ends)


def _places(
    circuit: QuantumCircuit, target: Target, initial_layout: Sequence[int] | None
) -> tuple[int, ...] | None:
    """List the qubits of a device that can be worked with; None where all can.

    Raises:
        InvalidValueError: If there are too few, or the layout names another.
    """
    if target.num_qubits is None:
        return None
    usable = usable_qubits(target)
    if len(usable) == target.num_qubits:
        return None
    if circuit.num_qubits > len(usable):
        raise InvalidValueError(
            f"Expected a circuit of at most {len(usable)} qubits, as many as the device has with "
            f"all their gates and a readout, got {circuit.num_qubits}: use fewer."
        )
    lost = sorted(set(initial_layout or ()) - set(usable))
    if lost:
        raise InvalidValueError(
            f"Expected `initial_layout` on qubits with all their gates and a readout, got qubit "
            f"{lost[0]}, which lacks some: choose among {', '.join(map(str, usable))}."
        )
    return usable


def compile_to_basis(
    circuit: QuantumCircuit,
    basis: Sequence[str],
    *,
    optimization_level: int,
    seed: int,
) -> QuantumCircuit:
    """Transpile to a set of gates, where every pair of qubits is connected.

    Args:
        circuit: The logical circuit.
        basis: Names of the gates.
        optimization_level: Effort of the transpiler, from 0 to 3.
        seed: Seed of the transpiler.

    Raises:
        InvalidValueError: If the circuit cannot be translated.
    """
    manager = generate_preset_pass_manager(
        optimization_level=optimization_level, basis_gates=list(basis), seed_transpiler=seed
    )
    return _transpiled(manager, circuit)


def _transpiled(manager: object, circuit: QuantumCircuit) -> QuantumCircuit:
    """Run a pass manager, and turn its errors into one line."""
    try:
        return manager.run(circuit)  # type: ignore[attr-defined]
    except QiskitError as error:
        raise InvalidValueError(
            f"Expected a circuit that this backend can run, got one the transpiler refuses "
            f"({' '.join(str(error.message).split())}): change the circuit or the layout."
        ) from error


def assemble(
    isa: QuantumCircuit,
    ends: Sequence[int],
    *,
    qubits: Sequence[int],
    observables: Sequence[SparsePauliOp],
    parameters: Sequence[Parameter],
    made_for: str,
    timing: Target | None = None,
    mark: bool = True,
) -> Prepared:
    """Put a prepared circuit together from the transpiled one.

    Args:
        isa: The transpiled circuit, as wide as the device.
        ends: The physical qubit where each logical qubit ends.
        qubits: The physical qubits to keep, ascending.
        observables: Operators on the logical qubits.
        parameters: Logical parameters in column order.
        made_for: What the circuit is compiled for.
        timing: Where to read how long gates take, on the kept qubits; with it, idle qubits get
            delays.
        mark: Whether to note the physical qubits in the circuits' metadata.

    Returns:
        The prepared circuit.
    """
    narrow = keep_qubits(isa, qubits)
    if timing is not None:
        narrow = with_delays(narrow, timing)
    if mark:
        mark_cut(narrow, qubits)
    position = {qubit: i for i, qubit in enumerate(qubits)}
    layout = tuple(position[qubit] for qubit in ends)
    laid_out = tuple(o.apply_layout(list(layout), num_qubits=len(qubits)) for o in observables)
    plain, angles = split_angles(narrow, parameters)
    return Prepared(
        circuit=plain,
        isa_circuit=narrow,
        observables=laid_out,
        parameters=tuple(parameters),
        angles=angles,
        qubits=tuple(qubits),
        layout=layout,
        column=ObservablesArray([[observable] for observable in laid_out]),
        made_for=made_for,
    )


def with_delays(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """Start each gate as late as possible, and fill the time that a qubit waits with a delay.

    Args:
        circuit: An ISA circuit.
        target: Its device, with the duration of each of its gates.

    Returns:
        The same circuit with delays, during which a noise model lets qubits relax.

    Raises:
        InvalidValueError: If the device does not say how long a gate takes.
    """
    manager = PassManager([ALAPScheduleAnalysis(target=target), PadDelay(target=target)])
    try:
        return manager.run(circuit)
    except TranspilerError as error:
        raise InvalidValueError(
            f"Expected a device that says how long its gates take, got one that does not "
            f"({' '.join(str(error.message).split())}): take another snapshot."
        ) from error


def kept_for(isa: QuantumCircuit, ends: Sequence[int]) -> tuple[int, ...]:
    """List the qubits a transpiled circuit needs, ascending: touched ones and logical ends."""
    return tuple(sorted(used_qubits(isa) | set(ends)))


def fingerprint(
    circuit: QuantumCircuit,
    observables: Sequence[SparsePauliOp],
    initial_layout: Sequence[int] | None,
) -> str:
    """Hash what `prepare` was asked for; equal parts give equal hashes.

    Args:
        circuit: The logical circuit.
        observables: Operators on its qubits.
        initial_layout: A physical qubit for each logical one, or None.
    """
    buffer = io.BytesIO()
    qpy.dump(circuit, buffer)
    digest = hashlib.sha256(buffer.getvalue())
    for observable in observables:
        digest.update(repr(observable.to_list()).encode())
    digest.update(repr(initial_layout).encode())
    return digest.hexdigest()


def check_isa(circuit: QuantumCircuit, target: Target) -> None:
    """Refuse a circuit that the device would refuse.

    Raises:
        InvalidValueError: If an instruction is not in the target.
    """
    from qiskit_ibm_runtime.utils.utils import is_isa_circuit

    complaint = is_isa_circuit(circuit, target)
    if complaint:
        raise InvalidValueError(
            f"Expected a circuit in the device's instructions, got one that is not ({complaint}): "
            "prepare it with this backend."
        )
