"""Read the noise that Aer's model adds to a circuit, operation by operation.

Aer keeps the parts of a `NoiseModel` in attributes without a public reader; this is the one
place that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Instruction
from qiskit.quantum_info import SuperOp
from qiskit_aer.noise import NoiseModel, QuantumError

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.noise.device import Assignments


@dataclass(frozen=True)
class NoisyOperation:
    """One operation of a circuit with the noise that follows it.

    Attributes:
        operation: A gate, or a channel such as the relaxation of a delay.
        qubits: Indices of its qubits, the first is the lowest bit of its matrix.
        noise: The channel after it, on the same qubits; None without noise.
    """

    operation: Instruction
    qubits: tuple[int, ...]
    noise: SuperOp | None


def noisy_operations(circuit: QuantumCircuit, model: NoiseModel) -> Iterator[NoisyOperation]:
    """Walk through a circuit with a noise model, delays included.

    Args:
        circuit: A circuit in the gates that carry the noise, without measurements.
        model: The noise model, on the qubits of the circuit.

    Yields:
        Its operations in their order, without barriers; a delay is the noise that the model's
        passes put in its place.

    Raises:
        InvalidValueError: On a classical bit, or noise on other qubits than those of its gate.
    """
    if circuit.num_clbits:
        raise InvalidValueError(
            f"Expected a circuit without classical bits, got {circuit.num_clbits}: remove "
            "measurements."
        )
    passes = model._pass_manager()
    if passes is not None and any(isinstance(item.operation, Delay) for item in circuit.data):
        circuit = passes.run(circuit)
    superops: dict[int, SuperOp] = {}
    for item in circuit.data:
        operation = item.operation
        if operation.name in ("barrier", "delay"):
            continue
        qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        error = error_after(model, operation, qubits)
        noise = None
        if error is not None and not error.ideal():
            if error.num_qubits != len(qubits):
                raise InvalidValueError(
                    f"Expected the noise of `{operation.name}` on its {len(qubits)} qubits, got "
                    f"one on {error.num_qubits}: attach it to the gate's own qubits."
                )
            if id(error) not in superops:
                superops[id(error)] = SuperOp(error)
            noise = superops[id(error)]
        yield NoisyOperation(operation, qubits, noise)


def error_after(
    model: NoiseModel, operation: Instruction, qubits: tuple[int, ...]
) -> QuantumError | None:
    """Find the error a model attaches to an operation, by its label if it has one, as Aer does.

    The error of its own qubits comes before that of all.

    Args:
        model: The noise model.
        operation: The operation.
        qubits: Indices of its qubits.
    """
    name = operation.name if operation.label is None else operation.label
    local: QuantumError | None = model._local_quantum_errors.get(name, {}).get(qubits)
    if local is not None:
        return local
    everywhere: QuantumError | None = model._default_quantum_errors.get(name)
    return everywhere


def readout_assignments(model: NoiseModel, num_qubits: int) -> Assignments:
    """Read the assignment matrices of a model.

    Args:
        model: The noise model.
        num_qubits: Qubits 0 to `num_qubits` - 1 are asked for.

    Returns:
        A matrix A[true, read], (2, 2), for each qubit with readout error.

    Raises:
        InvalidValueError: If readout errors of several qubits are correlated.
    """
    joint = [qubits for qubits in model._local_readout_errors if len(qubits) != 1]
    everywhere = model._default_readout_error
    if joint or (everywhere is not None and everywhere.number_of_qubits != 1):
        raise InvalidValueError(
            "Expected readout errors of single qubits, got a correlated one: give an assignment "
            "matrix for each qubit."
        )
    found = {}
    for qubit in range(num_qubits):
        error = model._local_readout_errors.get((qubit,), everywhere)
        if error is not None:
            found[qubit] = np.asarray(error.probabilities, dtype=float)
    return found
