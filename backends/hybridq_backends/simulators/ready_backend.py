"""Run circuits on any Qiskit backend, on the qubits that were chosen.

Circuits are prepared as on any device, narrowed to the qubits in use. Before they are sent they
are put back on the physical qubits, since the backend numbers its qubits. The changes of basis for
a measurement are written in the gates of each qubit.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import QuantumRegister
from qiskit.primitives import BackendEstimatorV2, PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers import DataBin, EstimatorPubLike
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.providers import BackendV2, Options
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target, generate_preset_pass_manager

from hybridq_backends.compile.on_target import prepare_on_target
from hybridq_backends.compile.pauli_tables import (
    broadcast_terms,
    coefficient_table,
    measured_mask,
    support,
)
from hybridq_backends.compile.subset import cut_of, cut_target
from hybridq_backends.compile.transpile import Prepared
from hybridq_backends.devices.calibration import calibration_date
from hybridq_backends.noise.record import noise_record
from hybridq_backends.simulators.aer import commuting_groups
from hybridq_backends.simulators.engine import MOST_STATEVECTOR_QUBITS, Engine
from hybridq_backends.utils.seeds import SeedSequenceCounter, precision_of, shots_of

_LEVEL = 3
_SEED = "seed_simulator"


class ReadyEngine(Engine):
    """Any Qiskit backend, run through `BackendEstimatorV2`."""

    computed_by = "backend"
    device: BackendV2

    def __init__(self, backend: BackendV2, *, shots: int, seed: int) -> None:
        """Wrap a backend.

        Args:
            backend: The backend.
            shots: Shots for one circuit, a count.
            seed: Seed of the transpiler and, where the backend takes one, of the shots.
        """
        self.device = backend
        self.made_for = f"{backend.name} as it is"
        number = backend.target.num_qubits
        self.num_qubits = self.num_physical = int(number or MOST_STATEVECTOR_QUBITS)
        self.precision = precision_of(shots)
        self._shots = shots
        self._seed = seed
        self._estimator = PlacingEstimator(backend, self.num_physical, shots=shots, seed=seed)

    @property
    def estimator(self) -> BaseEstimatorV2:
        """The estimator on the backend."""
        return self._estimator

    @property
    def target(self) -> Target:
        """The backend's target."""
        return self.device.target

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile for the whole backend, and keep the qubits in use with their numbers.

        Args:
            circuit: A checked logical circuit.
            observables: Operators on its qubits.
            initial_layout: A physical qubit for each logical one; None leaves the choice open.
        """
        return prepare_on_target(
            circuit,
            observables,
            initial_layout,
            self.target,
            optimization_level=_LEVEL,
            seed=self._seed,
            made_for=self.made_for,
            checked=self.target.num_qubits is not None,  # else any number, all alike
        )

    def submit(self, pub: tuple[Any, ...], seed: int | None) -> Any:
        """Send one PUB as one job, with its own seed."""
        return self._estimator.run([pub], seed=seed)

    def describe(self) -> dict[str, Any]:
        """Name the backend, its calibration, its noise model and how it is sampled."""
        return {
            "device": self.device.name,
            "calibration_date": calibration_date(self.device),
            "shots": self._shots,
            "seed": self._seed,
            **noise_record(self.device),
        }


class PlacingEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """`BackendEstimatorV2` on the physical qubits that circuits were prepared for."""

    def __init__(self, backend: BackendV2, num_qubits: int, *, shots: int, seed: int) -> None:
        """Make the estimator of a backend.

        Args:
            backend: The backend.
            num_qubits: Its qubits, a count.
            shots: Shots for one circuit unless `run` gives a precision.
            seed: Seed of the first job; later jobs derive theirs from it.
        """
        self._target = backend.target
        self._num_qubits = num_qubits
        self._has_couplings = self._target.build_coupling_map() is not None
        self._shots = shots
        self._seeds = SeedSequenceCounter(seed)
        self._inner = BackendEstimatorV2(backend=_Plain(backend))
        self._changes: dict[tuple[int, str], QuantumCircuit] = {}

    def run(
        self,
        pubs: Iterable[EstimatorPubLike],
        *,
        precision: float | None = None,
        seed: int | None = None,
    ) -> PrimitiveJob[PrimitiveResult[PubResult]]:
        """Run PUBs.

        Args:
            pubs: (circuit, observables, parameter values) each; circuits from `prepare`, or as
                wide as the backend.
            precision: Standard deviation asked for, 1 / sqrt(shots); the default is the shots of
                the estimator.
            seed: Seed of this job's shots, where the backend takes one; the default is the next
                of the sequence.

        Returns:
            A job with a `PrimitiveResult`.
        """
        coerced = [EstimatorPub.coerce(pub, precision) for pub in pubs]
        job = PrimitiveJob(self._run, coerced, self._seeds.next() if seed is None else seed)
        job._submit()
        return job

    def _run(self, pubs: Sequence[EstimatorPub], seed: int) -> PrimitiveResult[PubResult]:
        self._inner.options.seed_simulator = seed
        tables = [coefficient_table(pub.observables) for pub in pubs]
        groups = [
            [group for group in commuting_groups(labels) if measured_mask(group)]
            for labels, _ in tables
        ]
        parts = list(zip(pubs, tables, groups, strict=True))
        sent = [self._measuring(pub, group) for pub, _, own in parts for group in own]
        results = iter(self._inner.run(sent).result() if sent else ())
        return PrimitiveResult(
            [
                _combined(pub, table, own, [next(results).data for _ in own])
                for pub, table, own in parts
            ],
            metadata={"version": 2},
        )

    def _measuring(self, pub: EstimatorPub, group: Sequence[str]) -> EstimatorPub:
        """Put a circuit on its physical qubits, with the change of basis for a group of terms."""
        qubits = cut_of(pub.circuit, self._num_qubits)
        width = self._num_qubits if self._has_couplings else max(qubits) + 1
        circuit = QuantumCircuit(QuantumRegister(width, "q"), name=pub.circuit.name)
        circuit.compose(pub.circuit, qubits, inplace=True)
        letters = {position: label[-1 - position] for label in group for position in support(label)}
        for position, letter in sorted(letters.items()):
            if letter != "Z":
                change = self._change(qubits[position], letter)
                circuit.compose(change, [qubits[position]], inplace=True)
        terms = [
            [SparsePauliOp.from_sparse_list([("Z" * len(at), at, 1.0)], width)]
            for at in ([qubits[position] for position in support(label)] for label in group)
        ]
        # A little above 1 / sqrt(shots), which may be rounded to one shot more.
        shots = shots_of(pub.precision, self._shots)
        precision = 1.0 / np.sqrt(shots - 0.5)
        values = pub.parameter_values.ravel()
        return EstimatorPub.coerce((circuit, terms, values, float(precision)))

    def _change(self, qubit: int, letter: str) -> QuantumCircuit:
        """Write the change from X or Y to Z in the gates of a qubit."""
        if (qubit, letter) not in self._changes:
            change = QuantumCircuit(1)
            if letter == "Y":
                change.sdg(0)
            change.h(0)
            manager = generate_preset_pass_manager(
                optimization_level=1, target=cut_target(self._target, [qubit])
            )
            self._changes[qubit, letter] = manager.run(change)
        return self._changes[qubit, letter]


def _combined(
    pub: EstimatorPub, table: tuple[list[str], Any], groups: Sequence[Sequence[str]], data: Any
) -> PubResult:
    """Add up the terms of each observable, and their standard errors as if fully correlated."""
    labels, coefficients = table
    points = int(np.prod(pub.parameter_values.shape, dtype=int))
    evs = np.ones((points, len(labels)))
    stds = np.zeros_like(evs)
    for group, found in zip(groups, data, strict=True):
        columns = [labels.index(label) for label in group]
        evs[:, columns] = np.asarray(found.evs).T
        stds[:, columns] = np.asarray(found.stds).T
    values = broadcast_terms(evs @ coefficients.T, pub)
    errors = broadcast_terms(stds @ np.abs(coefficients).T, pub)
    return PubResult(DataBin(evs=values, stds=errors, shape=values.shape))


class _Plain(BackendV2):  # type: ignore[misc]
    """A wrapper that passes a backend only the options it takes: not all take a seed."""

    def __init__(self, backend: BackendV2) -> None:
        super().__init__(name=backend.name, backend_version=backend.backend_version)
        self._backend = backend
        self._takes_seed = _takes_seed(backend)

    @property
    def target(self) -> Target:
        """The backend's target."""
        return self._backend.target

    @property
    def max_circuits(self) -> int | None:
        """The most circuits of one call."""
        most: int | None = self._backend.max_circuits
        return most

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        """Run circuits on the backend."""
        if not self._takes_seed:
            options.pop(_SEED, None)
        return self._backend.run(run_input, **options)


def _takes_seed(backend: BackendV2) -> bool:
    """Whether a backend's `run` takes the seed of a simulator: by name, or among its options."""
    parameters = inspect.signature(backend.run).parameters.values()
    if any(parameter.name == _SEED for parameter in parameters):
        return True
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return takes_any and hasattr(backend.options, _SEED)
