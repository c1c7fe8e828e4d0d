"""The executable: the only face of a backend that the rest of the code sees."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from hybridq_backends.compile.observables import Observables, coerce_observables
from hybridq_backends.compile.transpile import (
    Prepared,
    check_layout,
    check_prepared,
    clean_circuit,
    fingerprint,
)
from hybridq_backends.devices.calibration import SnapshotBackend
from hybridq_backends.errors import InvalidValueError, UnavailableError
from hybridq_backends.expvals import Expvals, FloatArray
from hybridq_backends.simulators.aer import Machine
from hybridq_backends.simulators.engine import DeviceEngine, Engine
from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.specs.kinds import KINDS, build_spec, find_kind
from hybridq_backends.specs.noisy import Noisy
from hybridq_backends.utils.rows import check_batch

_PACKAGES = ("qiskit", "qiskit-aer", "qiskit-ibm-runtime")


class Executable:
    """A backend that is open: compiles circuits for it and runs batches, one job each.

    Use it as a context manager, or call `close`. Simulators can be copied and pickled; the
    copy opens the same spec anew.
    """

    def __init__(self, engine: Engine, spec: Spec | None, profile: str) -> None:
        """Wrap an engine; use `open_backend` instead.

        Args:
            engine: The engine that runs the circuits.
            spec: The spec that it was opened from, if there is one.
            profile: The name under which it was opened.
        """
        self.spec = spec
        self.profile = profile
        self._engine = engine
        self._cache: dict[str, Prepared] = {}
        self._num_jobs = 0
        self._closed = False

    @classmethod
    def from_backend(
        cls, backend: BackendV2, *, shots: int | None = 4096, seed: int = 0
    ) -> Executable:
        """Take any ready Qiskit backend.

        A fake device or a saved calibration is cut to the qubits in use, an IBM device runs
        through the runtime in job mode, anything else through `BackendEstimatorV2`: its `run`
        receives circuits on the physical qubits that `prepared.qubits` names.

        Args:
            backend: The backend; it needs a target and `run(circuits, shots=...)`.
            shots: Shots for one circuit, a count; None for exact values of a fake device or a
                saved calibration.
            seed: Seed of the transpiler and of simulated shots.

        Returns:
            The executable.

        Raises:
            InvalidValueError: If shots or seed are out of range.
        """
        from qiskit_ibm_runtime import IBMBackend
        from qiskit_ibm_runtime.fake_provider.fake_backend import FakeBackendV2

        name = str(backend.name)
        build_spec({"kind": "statevector", "shots": shots, "seed": seed}, name=name)
        engine: Engine
        if isinstance(backend, FakeBackendV2 | SnapshotBackend):
            engine = DeviceEngine(backend, Noisy(device=name, shots=shots, seed=seed))
        elif shots is None:
            raise InvalidValueError(
                f"Expected `shots` of backend {name!r}, which samples, got None: give a number."
            )
        elif isinstance(backend, IBMBackend):
            from hybridq_backends.jobs.engine import HardwareEngine

            engine = HardwareEngine(IbmRuntime(mode="job", shots=shots, seed=seed), backend)
        else:
            from hybridq_backends.simulators.ready_backend import ReadyEngine

            engine = ReadyEngine(backend, shots=shots, seed=seed)
        return cls(engine, None, name)

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Observables,
        *,
        initial_layout: Sequence[int] | None = None,
    ) -> Prepared:
        """Compile a circuit and lay its observables out; the result is kept for the next call.

        Args:
            circuit: A logical circuit; measurements at its end are dropped, others refused.
            observables: Hermitian operators on the logical qubits, in every form that Qiskit
                takes: one or a list of `"ZZI"`, `Pauli`, `SparsePauliOp`, `{"ZZI": 0.5}`.
            initial_layout: A physical qubit of the whole device for each logical qubit.

        Returns:
            The prepared circuit, for any number of batches.

        Raises:
            InvalidValueError: If the backend cannot take the circuit, an observable or the
                layout.
        """
        self.check_open()
        circuit = clean_circuit(circuit, self.num_qubits)
        operators = coerce_observables(observables, circuit.num_qubits)
        if initial_layout is not None:
            initial_layout = check_layout(
                initial_layout, circuit.num_qubits, self._engine.num_physical
            )
        key = fingerprint(circuit, operators, initial_layout)
        if key not in self._cache:
            self._cache[key] = self._engine.prepare(circuit, operators, initial_layout)
        return self._cache[key]

    def run(
        self, prepared: Prepared, parameter_values: npt.ArrayLike, *, seed: int | None = None
    ) -> Expvals:
        """Run a batch as one broadcast PUB in one job, and wait for its values.

        On hardware that takes as long as the queue. Each request to the service has a limit of
        time, the wait has none.

        Args:
            prepared: What `prepare` of this executable gave.
            parameter_values: (batch, num_parameters), radians, columns in the order of
                `prepared.parameters`; (batch, 0) for a circuit without parameters.
            seed: Seed of this job's simulated shots; by default the first job takes the
                spec's seed and each later one derives its own.

        Returns:
            Values and standard errors, each (batch, num_observables).

        Raises:
            InvalidValueError: On a wrong shape, values not finite, or a circuit not prepared.
            UnavailableError: On hardware, for what the service does not do; one line without
                secrets.
        """
        check_prepared(prepared)
        theta = check_batch(parameter_values, prepared.num_parameters, "parameter_values")
        return self._run_angles(prepared, prepared.angles(theta), seed)

    def run_angles(
        self, prepared: Prepared, angles: npt.ArrayLike, *, seed: int | None = None
    ) -> Expvals:
        """Run a batch of gate angles, as parameter-shift needs, as one PUB in one job.

        Args:
            prepared: What `prepare` of this executable gave.
            angles: (batch, num_angles), radians, in the order of
                `prepared.circuit.parameters`; see `prepared.angles`.
            seed: The seed that `run` takes.

        Returns:
            Values and standard errors, each (batch, num_observables).

        Raises:
            InvalidValueError: On a wrong shape or values that are not finite.
            UnavailableError: As in `run`.
        """
        check_prepared(prepared)
        return self._run_angles(prepared, check_batch(angles, prepared.num_angles, "angles"), seed)

    def _run_angles(self, prepared: Prepared, phi: FloatArray, seed: int | None) -> Expvals:
        """Send the PUB and arrange the result as (batch, num_observables)."""
        self.check_open()
        if prepared.made_for != self._engine.made_for:
            raise InvalidValueError(
                f"Expected a circuit prepared for {self._engine.made_for}, got one for "
                f"{prepared.made_for}: call `prepare` of this backend."
            )
        if not np.isfinite(phi).all():
            raise InvalidValueError("Expected finite gate angles, got nan or inf: check inputs.")
        # A circuit without parameters broadcasts over a batch of empty rows.
        pub = (prepared.circuit, prepared.column, phi)
        self._num_jobs += 1
        return self._engine.values(pub, seed)

    def keep_jobs(self, folder: Path, *, spent: float = 0.0) -> None:
        """Keep the ledger of jobs in a folder; call it before the first job.

        Backends that post no jobs keep nothing. If another process with the same folder asks for
        the same rows again, the jobs that were posted before answer it, and `max_qpu_seconds`
        limits all of them together.

        Args:
            folder: The folder, such as that of a run.
            spent: QPU seconds of the budget that are used already.
        """
        self._engine.keep_jobs(folder, spent)

    def machine(self, prepared: Prepared) -> Machine:
        """Get the simulator of a prepared circuit, with the noise model on its qubits.

        Raises:
            UnavailableError: If the backend is not a sampled or noisy simulator on Aer.
        """
        self.check_open()
        return self._engine.machine(prepared.circuit)

    @property
    def estimator(self) -> BaseEstimatorV2:
        """A Qiskit estimator that computes as `run` does."""
        return self._engine.estimator

    @property
    def engine(self) -> str:
        """What computes: `aer`, `torch`, `ibm`, or `backend` for any other Qiskit backend."""
        return self._engine.computed_by

    @property
    def takes_jobs(self) -> bool:
        """Whether each run is a job in a queue, so that few are better than many."""
        return self._engine.takes_jobs

    @property
    def rule(self) -> Callable[..., Any] | None:
        """The function with which torch computes values and derivatives, or None.

        It is None where derivatives take shifted runs. It is called with a split circuit,
        observables and this executable; see `hybridq.quantum`.
        """
        return self._engine.rule

    @property
    def is_local(self) -> bool:
        """Whether it is a simulator in this process, which can be copied and pickled."""
        return self.spec is not None and self._engine.is_local

    @property
    def precision(self) -> float:
        """Standard deviation of an expectation value: 1 / sqrt(shots), or 0.0 when exact."""
        return self._engine.precision

    @property
    def rounding(self) -> float:
        """The rounding error that exact values may have."""
        return self._engine.rounding

    @property
    def is_exact(self) -> bool:
        """Whether values carry no shot noise."""
        return self._engine.precision == 0.0

    @property
    def num_qubits(self) -> int:
        """The most qubits a circuit may have here."""
        return self._engine.num_qubits

    @property
    def device(self) -> BackendV2:
        """The whole device.

        Raises:
            UnavailableError: If there is no device behind the backend.
        """
        device = self._engine.device
        if device is None:
            raise UnavailableError(
                f"Expected a backend with a device, got {self.profile!r}: take one of a device, "
                "such as fake_torino or ibm."
            )
        return device

    def device_for(self, prepared: Prepared) -> BackendV2:
        """Get the device with the qubits that a prepared circuit has: all of them, or a cut.

        Raises:
            UnavailableError: If there is no device behind the backend.
        """
        return self._engine.device_for(prepared.circuit)

    def simulated(self) -> Executable:
        """Open the noise of the same device on Aer, exactly: the device as it was calibrated.

        Raises:
            UnavailableError: If there is no device behind the backend.
        """
        device = self.device
        scale = getattr(self.spec, "noise_scale", 1.0)
        spec = Noisy(device=device.name, shots=None, noise_scale=scale)
        return Executable(DeviceEngine(device, spec), None, f"{device.name} on Aer")

    @property
    def target(self) -> Target | None:
        """The whole device's target; None where every pair of qubits is connected."""
        return self._engine.target

    @property
    def num_jobs(self) -> int:
        """How many jobs `run` and `run_angles` have sent."""
        return self._num_jobs

    def describe(self) -> dict[str, Any]:
        """Describe the backend for a run's record.

        Returns:
            JSON-safe values: profile, the spec's fields, device, calibration date, precision
            and versions of the Qiskit packages. Never a secret.
        """
        fields = {} if self.spec is None else self.spec.model_dump(mode="json")
        return {
            "profile": self.profile,
            "kind": "backend",
            **fields,
            "engine": self.engine,
            "precision": self.precision,
            "num_qubits": self.num_qubits,
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
            **self._engine.describe(),
        }

    def close(self) -> None:
        """Close sessions and batches; nothing can be run afterwards."""
        if not self._closed:
            self._closed = True
            self._engine.close()

    def __enter__(self) -> Self:
        """Enter a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave a `with` block and close."""
        self.close()

    def __repr__(self) -> str:
        """Show the profile and the size, never the account."""
        return f"Executable({self.profile!r}, num_qubits={self.num_qubits})"

    def __reduce__(self) -> tuple[Callable[..., Executable], tuple[Spec, str]]:
        """Copy by opening the same spec anew, without its secrets."""
        if self.spec is None or not self.is_local:
            raise TypeError(
                f"Expected a simulator to copy or pickle, got {self.profile!r}: open it again."
            )
        return open_spec, (self.spec.without_secrets(), self.profile)

    def check_open(self) -> None:
        """Refuse work after `close`.

        Raises:
            InvalidValueError: If it is closed.
        """
        if self._closed:
            raise InvalidValueError(
                f"Expected an open backend, got {self.profile!r} closed: open it again."
            )


def open_spec(spec: Spec, profile: str) -> Executable:
    """Open what a spec describes, by the entry of its kind.

    Args:
        spec: The spec.
        profile: The name it is asked for by.

    Raises:
        InvalidValueError: On an unknown kind or device, or a value out of range.
        UnavailableError: If an account or an engine is missing.
    """
    kind = find_kind(spec.kind)
    if kind is None:
        raise InvalidValueError(
            f"Expected a kind of backend among {', '.join(KINDS)}, got {spec.kind!r}: enter it in "
            "KINDS, or install the distribution that has it."
        )
    return Executable(kind.opened(spec), spec, profile)
