"""IBM hardware through qiskit-ibm-runtime, and its rehearsal on a fake device.

Both compile for the device's target, check the result against it, and run the client-side
`executor_estimator.Estimator` with the same options. That estimator measures every qubit of
a circuit and checks no coupling, so both are done here: circuits are narrowed, and refused
unless `is_isa_circuit` accepts them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers import EstimatorPubLike
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target
from qiskit_ibm_runtime import Batch, Session
from qiskit_ibm_runtime.executor_estimator import Estimator

from hybridq_backends.compile.subset import CutBackend, cut_of
from hybridq_backends.compile.transpile import (
    Prepared,
    assemble,
    check_isa,
    compile_on_target,
    kept_for,
)
from hybridq_backends.devices.calibration import calibration_date
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.expvals import Expvals, read_expvals
from hybridq_backends.ibm.account import find_device, open_mode, read_calibration, watch_posts
from hybridq_backends.ibm.door import Door
from hybridq_backends.ibm.exceptions import Act
from hybridq_backends.ibm.job_size import program_size, repetition_delay
from hybridq_backends.ibm.options import estimator_options
from hybridq_backends.ibm.trouble import ServiceError
from hybridq_backends.noise.device import device_noise
from hybridq_backends.noise.scheduled import ScheduledSimulator
from hybridq_backends.simulators.engine import MOST_DENSITY_QUBITS, Engine
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.utils.seeds import SeedSequenceCounter, precision_of

logger = logging.getLogger(__name__)

FREE_SECONDS = 60.0
"""Estimated QPU seconds up to which nobody is asked."""


class _RuntimeEngine(Engine):
    """What hardware and rehearsal share: compiling, checking, narrowing."""

    computed_by = "ibm"
    takes_jobs = True
    device: BackendV2
    _spec: IbmRuntime
    _planned_seconds = 0.0
    _spent_seconds = 0.0  # of them, those before this process
    _note: Callable[[float], None] | None = None

    @property
    def target(self) -> Target | None:
        """The whole device's target."""
        return self.device.target

    def _compile(
        self, circuit: QuantumCircuit, initial_layout: Sequence[int] | None
    ) -> tuple[QuantumCircuit, tuple[int, ...]]:
        """Transpile for the whole device and check the result."""
        isa, ends = compile_on_target(
            circuit,
            self.device.target,
            optimization_level=self._spec.optimization_level,
            seed=self._spec.compiler_seed,
            initial_layout=initial_layout,
        )
        check_isa(isa, self.device.target)
        return isa, ends

    def _plan(self, pub: tuple[Any, ...]) -> None:
        """Count what a job is estimated to take, and refuse it above what all may.

        Raises:
            InvalidValueError: If it would be too much; nothing is posted then.
        """
        limit = self._spec.max_qpu_seconds
        if limit is None:
            if self.is_local:  # a rehearsal, which costs nothing
                return
            limit = FREE_SECONDS
        circuit, column, angles = pub
        size = program_size(
            circuit,
            column,
            angles,
            self._spec,
            self.device_for(circuit),
            rep_delay=repetition_delay(self.device),
        )
        planned = self._planned_seconds + size.qpu_seconds
        if planned > limit:
            raise InvalidValueError(
                f"Expected jobs of at most {limit:g} QPU seconds in all, got one more of "
                f"{size.qpu_seconds:.1f} after {self._planned_seconds:.1f} (estimated): raise "
                "max_qpu_seconds=... in the backend, take fewer shots or images, or use `hybridq "
                "submit`."
            )
        if self._note is not None:
            self._note(planned)
        self._planned_seconds = planned

    def count_from(self, seconds: float, note: Callable[[float], None]) -> None:
        """Go on counting planned QPU seconds, and tell each total before its job is posted."""
        self._planned_seconds = self._spent_seconds = seconds
        self._note = note

    def describe(self) -> dict[str, Any]:
        """Name the device, its calibration and how it is sampled."""
        return {
            "device": self.device.name,
            "calibration_date": calibration_date(self.device),
            "shots": self._spec.shots,
            "seed": self._spec.seed,
        }


class HardwareEngine(_RuntimeEngine):
    """An IBM device, reached through an account.

    Opening finds the device; the batch or session starts with the first job or the first
    use of `estimator`, so that preparing costs nothing.
    """

    is_local = False

    def __init__(self, spec: IbmRuntime, device: BackendV2 | None = None) -> None:
        """Find the device.

        Args:
            spec: The spec.
            device: A device that is open already; by default the account's.

        Raises:
            UnavailableError: If there is no account, or the service refuses it.
        """
        self._spec = spec
        self._door = Door(spec)
        self.device = find_device(spec) if device is None else device
        read_calibration(self._door, self.device)
        self.made_for = f"{self.device.name} through the runtime"
        self.num_qubits = self.num_physical = int(self.device.target.num_qubits)
        self.precision = precision_of(spec.shots)
        self._mode: Batch | Session | None = None
        self._runtime: BaseEstimatorV2 | None = None

    @property
    def estimator(self) -> BaseEstimatorV2:
        """IBM's estimator, in the spec's mode."""
        if self._runtime is None:
            budget = self._spec.max_qpu_seconds
            left = None if budget is None else max(1, math.ceil(budget - self._spent_seconds))
            if self._mode is None:
                self._mode = self._door.ask(lambda: open_mode(self._spec, self.device, left))
            self._runtime = self._door.ask(self._made)
        return self._runtime

    def _made(self) -> BaseEstimatorV2:
        return Estimator(mode=self._mode or self.device, options=estimator_options(self._spec))

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile for the device; keep its qubits' numbers, drop those above the last used."""
        isa, ends = self._compile(circuit, initial_layout)
        width = kept_for(isa, ends)[-1] + 1
        prepared = assemble(
            isa,
            ends,
            qubits=range(width),
            observables=observables,
            parameters=list(circuit.parameters),
            made_for=self.made_for,
            mark=False,
        )
        check_isa(prepared.circuit, self.device.target)
        return prepared

    def device_for(self, circuit: QuantumCircuit) -> BackendV2:
        """The device itself: its circuits keep the numbers of its qubits."""
        return self.device

    def submit(self, pub: tuple[Any, ...], seed: int | None) -> Any:
        """Send one PUB as one job; hardware takes no seed."""
        if seed is not None:
            raise InvalidValueError(
                f"Expected no `seed` on hardware, got {seed}: leave it out; only simulators "
                "repeat their shots."
            )
        self._plan(pub)
        watch_posts(self.device)
        estimator = self.estimator
        try:
            return self._door.ask(lambda: estimator.run([pub]), Act.POST)
        except ServiceError as error:
            if not error.maybe_accepted:
                raise
            raise ServiceError(
                f"{error} A job may have been accepted all the same: look at "
                "https://quantum.cloud.ibm.com/workloads before you do.",
                error.trouble,
                maybe_accepted=True,
            ) from error.__cause__

    def values(self, pub: tuple[Any, ...], seed: int | None) -> Expvals:
        """Run one PUB as one job, and wait for its values; each request has a limit of time.

        Raises:
            ServiceError: If the job fails, or the service does not give its result.
        """
        job = self.submit(pub, seed)
        return self._door.wait(lambda: read_expvals(job.result()), Act.READ)

    def close(self) -> None:
        """Close the batch or session, if one was started; that it was not is told."""
        if self._mode is None:
            return
        try:
            self._door.ask(self._mode.close)
        except ServiceError as error:
            logger.warning("the batch or session was not closed, IBM does it in time: %s", error)


class RehearsalEngine(_RuntimeEngine):
    """The hardware code path on a fake device, cut to the qubits in use."""

    def __init__(self, spec: IbmRuntime) -> None:
        """Open the fake device named by `spec.rehearse`."""
        if spec.rehearse is None:
            raise InvalidValueError(
                "Expected `rehearse` to name a fake device, got none: try rehearse=FakeTorino."
            )
        self._spec = spec
        self.device = fake_device(spec.rehearse)
        self.made_for = f"{self.device.name} in rehearsal"
        self.num_physical = int(self.device.target.num_qubits)
        self.num_qubits = min(self.num_physical, MOST_DENSITY_QUBITS)
        self.precision = precision_of(spec.shots)
        self._rehearsal = RehearsalEstimator(self.device, spec)

    @property
    def estimator(self) -> BaseEstimatorV2:
        """IBM's estimator on the cut device."""
        return self._rehearsal

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile as for hardware, then keep the qubits in use."""
        isa, ends = self._compile(circuit, initial_layout)
        prepared = assemble(
            isa,
            ends,
            qubits=kept_for(isa, ends),
            observables=observables,
            parameters=list(circuit.parameters),
            made_for=self.made_for,
        )
        check_isa(prepared.circuit, self._rehearsal.cut(prepared.qubits)[0].target)
        return prepared

    def submit(self, pub: tuple[Any, ...], seed: int | None) -> Any:
        """Run one PUB as one local job."""
        self._plan(pub)
        return self._rehearsal.run([pub], seed=seed)


def open_runtime(spec: IbmRuntime) -> Engine:
    """Open IBM hardware, or its rehearsal."""
    return HardwareEngine(spec) if spec.is_paid else RehearsalEngine(spec)


class RehearsalEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """IBM's client-side estimator in local mode, on the cut a circuit was prepared for.

    It gets a simulator that is built already: from a fake device it would build one for
    every run.
    """

    def __init__(self, device: BackendV2, spec: IbmRuntime) -> None:
        """Make the estimator of a device."""
        self._device = device
        self._spec = spec
        self._seeds = SeedSequenceCounter(spec.seed)
        self._cuts: dict[tuple[int, ...], tuple[CutBackend, ScheduledSimulator]] = {}

    def cut(self, qubits: Sequence[int]) -> tuple[CutBackend, ScheduledSimulator]:
        """Get the cut device and its simulator, made once."""
        key = tuple(qubits)
        if key not in self._cuts:
            cut = CutBackend(self._device, key)
            simulator = ScheduledSimulator.from_backend(
                cut,
                method="density_matrix",
                noise_model=device_noise(cut, self._spec.noise_scale),
                runtime_parameter_bind_enable=True,
            )
            self._cuts[key] = (cut, simulator)
        return self._cuts[key]

    def run(
        self,
        pubs: Iterable[EstimatorPubLike],
        *,
        precision: float | None = None,
        seed: int | None = None,
    ) -> Any:
        """Run PUBs as one local job.

        Args:
            pubs: (circuit, observables, parameter values) each, all on the same qubits.
            precision: Standard deviation asked for; the default is the spec's shots.
            seed: Seed of this job's shots; the default is the next of the sequence.

        Returns:
            The local job.

        Raises:
            InvalidValueError: If the circuits were prepared for different qubits.
        """
        coerced = [EstimatorPub.coerce(pub) for pub in pubs]
        cuts = {cut_of(pub.circuit, int(self._device.num_qubits)) for pub in coerced}
        if len(cuts) != 1:
            raise InvalidValueError(
                f"Expected circuits on the same qubits in one job, got {len(cuts)} sets: "
                "run them one by one."
            )
        _, simulator = self.cut(cuts.pop())
        options = estimator_options(self._spec, seed=self._seeds.next() if seed is None else seed)
        return Estimator(mode=simulator, options=options).run(coerced, precision=precision)
