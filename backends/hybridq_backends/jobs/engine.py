"""Engines whose every run is a job: IBM hardware, and its rehearsal on a fake device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives import DataBin, PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers import EstimatorPubLike
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.providers import BackendV2

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.expvals import Expvals
from hybridq_backends.ibm.account import find_device, read_calibration
from hybridq_backends.ibm.door import Door
from hybridq_backends.ibm.job_size import ProgramSize, program_size, repetition_delay
from hybridq_backends.ibm.rehearsal import RehearsalEngine, RuntimeEngine
from hybridq_backends.jobs.budget import check_limit
from hybridq_backends.jobs.ledger.run_ledger import device_of
from hybridq_backends.jobs.local import LocalJobs
from hybridq_backends.jobs.queue import JobQueue
from hybridq_backends.jobs.runtime import RuntimeJobs
from hybridq_backends.jobs.service import JobService
from hybridq_backends.specs.ibm_runtime import IbmRuntime


def size_in(engine: RuntimeEngine, pub: tuple[Any, ...]) -> ProgramSize:
    """Measure a PUB as a job of an engine's device."""
    circuit, column, angles = pub
    return program_size(
        circuit,
        column,
        angles,
        engine.spec,
        engine.device_for(circuit),
        rep_delay=repetition_delay(engine.device),
    )


class HardwareEngine(RuntimeEngine):
    """An IBM device, reached through an account.

    Opening finds the device; the batch or session starts with the first job, so that preparing
    costs nothing.
    """

    is_local = False
    keeps_numbers = True

    def __init__(
        self,
        spec: IbmRuntime,
        device: BackendV2 | None = None,
        *,
        service: JobService | None = None,
    ) -> None:
        """Find the device.

        Args:
            spec: The spec.
            device: A device that is open already; by default the account's.
            service: Where jobs are posted; by default the device's.

        Raises:
            UnavailableError: If there is no account, or the service refuses it.
        """
        self._service = service
        self._open(spec, find_device(spec) if device is None else device)

    def _open(self, spec: IbmRuntime, device: BackendV2) -> None:
        read_calibration(Door(spec), device)
        super().__init__(spec, device, made_for=f"{device.name} through the runtime")
        self.num_qubits = self.num_physical
        service = self._service or RuntimeJobs(spec, device)
        self._queue = JobQueue(service, spec, device.name, lambda pub: size_in(self, pub))

    @property
    def estimator(self) -> BaseEstimatorV2:
        """An estimator whose jobs are those of `values`."""
        return QueueEstimator(lambda pub: self.values(pub, None))

    def device_for(self, circuit: QuantumCircuit) -> BackendV2:
        """Return the device itself: its circuits keep the numbers of its qubits."""
        return self.device

    def keep_jobs(self, folder: Path, spent: float) -> None:
        """Keep the ledger of jobs in a folder.

        If the account chooses the device, the choice of an earlier process is kept.
        """
        earlier = device_of(folder) if self.spec.device is None else None
        if earlier not in (None, self.device.name):
            self._open(self.spec, find_device(self.spec.model_copy(update={"device": earlier})))
        self._queue.keep_in(folder, spent=spent)

    def values(self, pub: tuple[Any, ...], seed: int | None) -> Expvals:
        """Run one PUB as one job; hardware takes no seed."""
        if seed is not None:
            raise InvalidValueError(
                f"Expected no `seed` on hardware, got {seed}: leave it out; only simulators "
                "repeat their shots."
            )
        return self._queue.values(pub)

    def close(self) -> None:
        """Close the batch or session, if one was started."""
        self._queue.close()


class RehearsedEngine(RehearsalEngine):
    """A rehearsal with a budget, whose jobs go through a ledger once there is a folder."""

    def __init__(self, spec: IbmRuntime) -> None:
        """Open the fake device named by `spec.rehearse`."""
        super().__init__(spec)
        self._queue: JobQueue | None = None
        self._planned = 0.0

    def keep_jobs(self, folder: Path, spent: float) -> None:
        """Run jobs through a ledger in a folder, their results beside it."""
        service = LocalJobs(self.spec, folder / "rehearsed")
        queue = JobQueue(service, self.spec, self.device.name, lambda pub: size_in(self, pub))
        queue.keep_in(folder, spent=spent)
        self._queue = queue

    def values(self, pub: tuple[Any, ...], seed: int | None) -> Expvals:
        """Run one PUB as one local job."""
        if self._queue is not None and seed is None:
            return self._queue.values(pub)
        if self.spec.max_qpu_seconds is not None:
            seconds = size_in(self, pub).qpu_seconds
            check_limit(seconds, seconds, self._planned, self.spec.max_qpu_seconds)
            self._planned += seconds
        return super().values(pub, seed)

    def close(self) -> None:
        """Let go of the ledger."""
        if self._queue is not None:
            self._queue.close()


class QueueEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """A Qiskit estimator whose PUBs are run one by one by an engine.

    A PUB in which each observable meets each row is one job. Any other PUB is one job for each
    observable, with the rows of that observable.

    Args:
        values: A function from (circuit, column of observables, rows of angles) to expectation
            values.
    """

    def __init__(self, values: Callable[[tuple[Any, ...]], Expvals]) -> None:
        self._values = values

    def run(
        self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None
    ) -> PrimitiveJob:
        """Run PUBs; see `BaseEstimatorV2.run`. The backend's shots count, whatever `precision`."""
        coerced = [EstimatorPub.coerce(pub, precision) for pub in pubs]
        results = PrimitiveResult([self._run(pub) for pub in coerced], metadata={"version": 2})
        job = PrimitiveJob(lambda: results)
        job._submit()
        return job

    def _run(self, pub: EstimatorPub) -> PubResult:
        count = pub.circuit.num_parameters
        table = np.zeros((*pub.parameter_values.shape, 0))
        if count:
            table = np.asarray(pub.parameter_values.as_array(list(pub.circuit.parameters)))
        points = table.reshape(-1, count) if count else np.zeros((pub.parameter_values.size, 0))
        observables = list(pub.observables.ravel())
        row_of = _spread(pub.parameter_values.shape, pub.shape)
        own = _spread(pub.observables.shape, pub.shape)
        evs, stds = np.zeros((2, len(row_of)))
        whole = len(row_of) == len(points) * len(observables)
        for group in [range(len(observables))] if whole else [[i] for i in range(len(observables))]:
            cells = np.isin(own, group)
            rows = np.unique(row_of[cells])
            column = ObservablesArray([[observables[index]] for index in group])
            found = self._values((pub.circuit, column, points[rows]))
            places = np.searchsorted(rows, row_of[cells]), own[cells] - group[0]
            evs[cells], stds[cells] = found.values[places], found.stds[places]
        data = DataBin(evs=evs.reshape(pub.shape), stds=stds.reshape(pub.shape), shape=pub.shape)
        return PubResult(data)


def _spread(shape: Sequence[int], whole: Sequence[int]) -> Any:
    """Map each cell of a broadcast shape to its place in a smaller shape."""
    places = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    return np.broadcast_to(places, whole).ravel()
