"""Rehearse IBM hardware on a fake device, and hold what both have in common.

Both compile for the device's target, check the result against it, and run the client-side
`executor_estimator.Estimator` with the same options. That estimator measures every qubit of
a circuit and checks no coupling, so both are done here: circuits are narrowed, and refused
unless `is_isa_circuit` accepts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers import EstimatorPubLike
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target
from qiskit_ibm_runtime.executor_estimator import Estimator

from hybridq_backends.compile.on_target import prepare_on_target
from hybridq_backends.compile.subset import CutBackend, cut_of
from hybridq_backends.compile.transpile import Prepared
from hybridq_backends.devices.calibration import calibration_date
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.ibm.options import estimator_options
from hybridq_backends.noise.device import device_noise
from hybridq_backends.noise.scheduled import ScheduledSimulator
from hybridq_backends.simulators.engine import MOST_DENSITY_QUBITS, Engine
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.utils.seeds import SeedSequenceCounter, precision_of


class RuntimeEngine(Engine):
    """The base of hardware and rehearsal, which compile, check and narrow circuits alike."""

    computed_by = "ibm"
    takes_jobs = True
    device: BackendV2
    keeps_numbers = False

    def __init__(self, spec: IbmRuntime, device: BackendV2, *, made_for: str) -> None:
        """Make the engine of a device.

        Args:
            spec: The spec.
            device: The whole device.
            made_for: The name of the backend that circuits are compiled for.
        """
        self.spec = spec
        self.device = device
        self.made_for = made_for
        self.num_physical = int(device.target.num_qubits)
        self.precision = precision_of(spec.shots)

    @property
    def target(self) -> Target | None:
        """The whole device's target."""
        return self.device.target

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile for the device, and refuse what the device would refuse.

        Args:
            circuit: A checked logical circuit.
            observables: Operators on its qubits.
            initial_layout: A physical qubit for each logical one; None leaves the choice open.
        """
        return prepare_on_target(
            circuit,
            observables,
            initial_layout,
            self.device.target,
            optimization_level=self.spec.optimization_level,
            seed=self.spec.compiler_seed,
            made_for=self.made_for,
            keep_numbers=self.keeps_numbers,
        )

    def describe(self) -> dict[str, Any]:
        """Name the device, its calibration and how it is sampled."""
        return {
            "device": self.device.name,
            "calibration_date": calibration_date(self.device),
            "shots": self.spec.shots,
            "seed": self.spec.seed,
        }


class RehearsalEngine(RuntimeEngine):
    """The hardware code path on a fake device, cut to the qubits in use."""

    def __init__(self, spec: IbmRuntime) -> None:
        """Open the fake device named by `spec.rehearse`."""
        if spec.rehearse is None:
            raise InvalidValueError(
                "Expected `rehearse` to name a fake device, got none: try rehearse=FakeTorino."
            )
        device = fake_device(spec.rehearse)
        super().__init__(spec, device, made_for=f"{device.name} in rehearsal")
        self.num_qubits = min(self.num_physical, MOST_DENSITY_QUBITS)
        self._rehearsal = RehearsalEstimator(device, spec)

    @property
    def estimator(self) -> BaseEstimatorV2:
        """IBM's estimator on the cut device."""
        return self._rehearsal

    def submit(self, pub: tuple[Any, ...], seed: int | None) -> Any:
        """Run one PUB as one local job."""
        return self._rehearsal.run([pub], seed=seed)


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
