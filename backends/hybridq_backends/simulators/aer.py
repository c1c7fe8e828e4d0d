"""Estimators on Qiskit Aer, exact and sampling, with noise and readout error.

Both run all points of a broadcast PUB in one call of the simulator, with the parameters
bound inside it. They differ from Aer's own `EstimatorV2` in three ways: `precision` never adds
Gaussian noise to exact values, shots are really sampled, and readout error is included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister
from qiskit.primitives import PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers import DataBin, EstimatorPubLike
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.quantum_info import Pauli, PauliList
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_aer.primitives import EstimatorV2

from hybridq_backends.compile.pauli_tables import (
    broadcast_terms,
    coefficient_table,
    measured_mask,
    outcome_signs,
    support,
)
from hybridq_backends.noise.device import Assignments, apply_assignments
from hybridq_backends.utils.seeds import SeedSequenceCounter, derive_seed, shots_of

FloatArray: TypeAlias = npt.NDArray[np.float64]
_MOST_POINTS = 8192
_MOST_PROBABILITIES = 2**22


class ExactEstimator(EstimatorV2):  # type: ignore[misc]
    """Exact expectation values of noiseless circuits; `precision` is ignored, stds are 0."""

    def __init__(self) -> None:
        """Make the estimator with its simulator."""
        super().__init__(options={"backend_options": {"method": "statevector"}})

    def _run_pub(self, pub: EstimatorPub) -> PubResult:
        labels, coefficients = coefficient_table(pub.observables)
        circuit, points = _points(pub)
        for i, label in enumerate(labels):
            qubits = support(label)
            if qubits:
                word = "".join(label[len(label) - 1 - q] for q in reversed(qubits))
                circuit.save_expectation_value(Pauli(word), qubits, label=f"term_{i}")
        terms = np.ones((len(points), len(labels)))
        saved = [i for i, label in enumerate(labels) if support(label)]
        if saved:
            for start, part in _chunks(points, _MOST_POINTS):
                for row, data in enumerate(_run(self._backend, [circuit], part)):
                    for i in saved:
                        terms[start + row, i] = np.real(getattr(data, f"term_{i}"))
        values = terms @ coefficients.T
        evs = broadcast_terms(values, pub)
        return PubResult(DataBin(evs=evs, stds=np.zeros_like(evs), shape=evs.shape))


@dataclass(frozen=True)
class Machine:
    """A simulator with what is needed to measure on it.

    Attributes:
        simulator: Aer with its noise model.
        assignments: Readout matrices by qubit, for exact distributions.
        to_basis: Rewrites basis-change circuits in the gates that carry the noise.
    """

    simulator: AerSimulator
    assignments: Assignments = field(default_factory=dict)
    to_basis: Callable[[QuantumCircuit], QuantumCircuit] = lambda circuit: circuit

    @property
    def noise_model(self) -> NoiseModel:
        """The simulator's noise model, an ideal one where it has none."""
        model = self.simulator.options.noise_model
        return NoiseModel() if model is None else model


class MeasuringEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """Expectation values from measured distributions, sampled or exact.

    Qubit-wise commuting terms share a circuit. With `shots` the outcomes are counted; without,
    the exact distribution is read and passed through the readout matrices: the same numbers in
    the limit of many shots, basis changes with their gate noise included.
    """

    def __init__(
        self, machine_for: Callable[[QuantumCircuit], Machine], *, shots: int | None, seed: int
    ) -> None:
        """Make the estimator.

        Args:
            machine_for: Chooses the machine for a circuit.
            shots: Shots for one circuit unless `run` gives a precision; None is exact.
            seed: Seed of the first job; later jobs derive theirs from it.
        """
        self.machine_for = machine_for
        self._shots = shots
        self._seeds = SeedSequenceCounter(seed)

    def run(
        self,
        pubs: Iterable[EstimatorPubLike],
        *,
        precision: float | None = None,
        seed: int | None = None,
    ) -> PrimitiveJob[PrimitiveResult[PubResult]]:
        """Run PUBs.

        Args:
            pubs: (circuit, observables, parameter values) each.
            precision: Standard deviation asked for, 1 / sqrt(shots); ignored when exact.
            seed: Seed of this job's shots; the default is the next of the sequence.

        Returns:
            A job with a `PrimitiveResult`.
        """
        # The precision of a PUB decides its shots; without any, the shots are our own.
        coerced = [EstimatorPub.coerce(pub, precision) for pub in pubs]
        job = PrimitiveJob(self._run, coerced, self._seeds.next() if seed is None else seed)
        job._submit()
        return job

    def _run(self, pubs: Sequence[EstimatorPub], seed: int) -> PrimitiveResult[PubResult]:
        results = [self._run_pub(pub, derive_seed(seed, i, 0)) for i, pub in enumerate(pubs)]
        return PrimitiveResult(results, metadata={"version": 2})

    def _run_pub(self, pub: EstimatorPub, seed: int) -> PubResult:
        labels, coefficients = coefficient_table(pub.observables)
        shots = None if self._shots is None else shots_of(pub.precision, self._shots)
        machine = self.machine_for(pub.circuit)
        circuit, points = _points(pub)
        values = np.zeros((len(points), len(coefficients)))
        variances = np.zeros_like(values)
        groups = []
        for group in commuting_groups(labels):
            if measured_mask(group):
                groups.append(group)
                continue
            values += coefficients[:, [labels.index(label) for label in group]].sum(axis=1)
        if groups:
            circuits = [_measured(circuit, group, machine, shots) for group in groups]
            width = max(measured_mask(group).bit_count() for group in groups)
            most = max(1, min(_MOST_POINTS, _MOST_PROBABILITIES >> width))
            for start, part in _chunks(points, most):
                part_seed = derive_seed(seed, start)
                data = _run(machine.simulator, circuits, part, shots=shots, seed=part_seed)
                for i, group in enumerate(groups):
                    rows = data[i * len(part) : (i + 1) * len(part)]
                    share = coefficients[:, [labels.index(label) for label in group]]
                    mean, variance = _moments(rows, group, share, machine, shots)
                    values[start : start + len(part)] += mean
                    variances[start : start + len(part)] += variance
        evs = broadcast_terms(values, pub)
        stds = np.zeros_like(evs)
        if shots is not None:
            stds = broadcast_terms(np.sqrt(variances / shots), pub)
        return PubResult(DataBin(evs=evs, stds=stds, shape=evs.shape), metadata={"shots": shots})


def sample_counts(
    simulator: AerSimulator, circuit: QuantumCircuit, *, shots: int, seed: int
) -> dict[int, int]:
    """Measure all qubits of a bound circuit.

    Args:
        simulator: Where to run.
        circuit: A circuit without parameters and classical bits.
        shots: Shots, a count.
        seed: Seed of the simulator.

    Returns:
        Counts by outcome; bit i of an outcome is qubit i.
    """
    measured = circuit.copy()
    measured.measure_all()
    (data,) = _run(simulator, [measured], np.zeros((1, 0)), shots=shots, seed=seed)
    return {int(outcome, 16): int(count) for outcome, count in data.counts.items()}


def _points(pub: EstimatorPub) -> tuple[QuantumCircuit, FloatArray]:
    """Copy a PUB's circuit and flatten its values to (points, parameters) in its order.

    The copy has no global phase: it changes no expectation value, and Aer cannot bind it.
    """
    circuit = pub.circuit.copy()
    circuit.global_phase = 0.0
    count = int(np.prod(pub.parameter_values.shape, dtype=int))
    if not circuit.num_parameters:
        return circuit, np.zeros((count, 0))
    array = np.asarray(pub.parameter_values.as_array(circuit.parameters), dtype=np.float64)
    return circuit, array.reshape(count, circuit.num_parameters)


def _chunks(points: FloatArray, most: int) -> Iterable[tuple[int, FloatArray]]:
    """Cut points into parts, each with the index of its first."""
    for start in range(0, len(points), most):
        yield start, points[start : start + most]


def commuting_groups(labels: Sequence[str]) -> list[list[str]]:
    """Group Pauli labels that can be measured together, qubit by qubit."""
    grouped = PauliList(list(labels)).group_commuting(qubit_wise=True)
    return sorted(sorted(group.to_labels()) for group in grouped)


def measurement_basis(group: Sequence[str], machine: Machine) -> QuantumCircuit:
    """Write the gates, in the machine's basis, after which reading all qubits measures a group.

    Args:
        group: Pauli labels that commute qubit by qubit.
        machine: Where they are measured.

    Returns:
        A circuit on all qubits, empty where only Z is measured.
    """
    n = len(group[0])
    change = QuantumCircuit(n)
    for qubit in range(n):
        letters = {label[n - 1 - qubit] for label in group} - {"I"}
        if letters == {"Y"}:
            change.sdg(qubit)
        if letters and letters != {"Z"}:
            change.h(qubit)
    return machine.to_basis(change) if change.data else change


def _measured(
    circuit: QuantumCircuit, group: Sequence[str], machine: Machine, shots: int | None
) -> QuantumCircuit:
    """Append the basis change and the measurement of a group of terms."""
    measured = circuit.compose(measurement_basis(group, machine), circuit.qubits)
    mask = measured_mask(group)
    qubits = [qubit for qubit in range(circuit.num_qubits) if mask >> qubit & 1]
    if shots is None:
        measured.save_probabilities(qubits, label="probabilities")
        return measured
    register = ClassicalRegister(len(qubits), "read")
    measured.add_register(register)
    measured.measure(qubits, register)
    return measured


def _run(
    simulator: AerSimulator,
    circuits: Sequence[QuantumCircuit],
    points: FloatArray,
    *,
    shots: int | None = None,
    seed: int | None = None,
) -> list[Any]:
    """Run circuits at all points in one call: data circuit by circuit, point by point.

    Binding inside the simulator halves the time of a broadcast and changes no value.
    """
    options: dict[str, Any] = {} if shots is None else {"shots": shots}
    if seed is not None:
        options["seed_simulator"] = seed % 2**31
    parameters = list(circuits[0].parameters)
    repeats = 1
    if parameters:
        binds = {parameter: points[:, i] for i, parameter in enumerate(parameters)}
        batch = list(circuits)
        options["parameter_binds"] = [binds] * len(batch)
        options["runtime_parameter_bind_enable"] = True
    elif shots is None:
        batch, repeats = list(circuits), len(points)
    else:
        batch = [circuit for circuit in circuits for _ in range(len(points))]
    result = simulator.run(batch, **options).result()
    if not result.success:
        raise RuntimeError(f"Aer could not run the circuits: {result.status}")
    return [experiment.data for experiment in result.results for _ in range(repeats)]


def _moments(
    rows: Sequence[Any],
    group: Sequence[str],
    coefficients: FloatArray,
    machine: Machine,
    shots: int | None,
) -> tuple[FloatArray, FloatArray]:
    """Compute means and one-shot variances, (points, observables), of a group's terms."""
    mask = measured_mask(group)
    qubits = [qubit for qubit in range(mask.bit_length()) if mask >> qubit & 1]
    if shots is None:
        table = np.array([row.probabilities for row in rows], dtype=np.float64)
        table = apply_assignments(table, [machine.assignments.get(qubit) for qubit in qubits])
        scores = outcome_signs(np.arange(2 ** len(qubits)), group, qubits) @ coefficients.T
        mean = table @ scores
        return mean, np.zeros_like(mean)
    means, variances = [], []
    for row in rows:
        outcomes = np.array([int(word, 16) for word in row.counts], dtype=np.int64)
        shares = np.array(list(row.counts.values()), dtype=np.float64) / shots
        scores = outcome_signs(outcomes, group, qubits) @ coefficients.T
        mean = shares @ scores
        means.append(mean)
        variances.append(np.maximum(shares @ scores**2 - mean**2, 0.0))
    return np.array(means), np.array(variances)
