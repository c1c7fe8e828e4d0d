"""The engines behind an executable, one class for each way to run circuits."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import PassManager, Target
from qiskit.transpiler.passes import Optimize1qGatesDecomposition
from qiskit_aer import AerSimulator

from hybridq_backends.compile.on_target import prepare_on_target
from hybridq_backends.compile.subset import CutBackend, cut_of
from hybridq_backends.compile.transpile import (
    PARAMETRIC_BASIS,
    Prepared,
    assemble,
    compile_to_basis,
)
from hybridq_backends.devices.calibration import calibration_date
from hybridq_backends.errors import UnavailableError
from hybridq_backends.expvals import Expvals, read_expvals
from hybridq_backends.noise.device import device_assignments, device_noise
from hybridq_backends.simulators.aer import Machine, MeasuringEstimator
from hybridq_backends.specs.noisy import Noisy
from hybridq_backends.specs.statevector import Statevector
from hybridq_backends.utils.seeds import precision_of

MOST_STATEVECTOR_QUBITS = 24
MOST_DENSITY_QUBITS = 12
MOST_QUICK_DENSITY_QUBITS = 8
MOST_TRAJECTORY_QUBITS = 20


class Engine(abc.ABC):
    """Compiles circuits for one backend and runs PUBs on it.

    Attributes:
        num_qubits: The most qubits a logical circuit may have.
        num_physical: Qubits an initial layout may name.
        made_for: The device, or the set of gates, that circuits are compiled for.
        device: The whole device; None for a simulator without one.
        precision: Standard deviation aimed at, 1 / sqrt(shots); 0.0 when exact.
        rounding: The rounding error that exact values may have.
        is_local: Whether everything runs in this process and can be copied.
        takes_jobs: Whether each run is a job in a queue.
        computed_by: The engine's name in the record of a run: `aer`, `torch`, `ibm`, ...
        rule: The function with which torch computes, see `Executable.rule`; None elsewhere.
    """

    num_qubits: int
    num_physical: int
    precision: float
    made_for: str
    rounding: float = 1e-9
    device: BackendV2 | None = None
    is_local: bool = True
    takes_jobs: bool = False
    computed_by: str = "aer"
    rule: Callable[..., Any] | None = None

    @property
    def target(self) -> Target | None:
        """The whole device's target; None where every pair of qubits is connected."""
        return None

    @property
    @abc.abstractmethod
    def estimator(self) -> BaseEstimatorV2:
        """The primitive of the backend."""

    @abc.abstractmethod
    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile a checked logical circuit with its observables.

        Args:
            circuit: A checked logical circuit.
            observables: Operators on its qubits.
            initial_layout: A physical qubit for each logical one; None leaves the choice open.
        """

    def submit(self, pub: tuple[Any, ...], seed: int | None) -> Any:
        """Send one PUB as one job; a seed replaces the job's own where shots are simulated."""
        seeded = seed is not None and self.precision > 0.0  # exact values have no shots to seed
        extra: dict[str, Any] = {"seed": seed} if seeded else {}
        return self.estimator.run([pub], precision=self.precision or None, **extra)

    def values(self, pub: tuple[Any, ...], seed: int | None) -> Expvals:
        """Run one PUB as one job, and wait for its values however long that takes."""
        return read_expvals(self.submit(pub, seed).result())

    def keep_jobs(self, folder: Path, spent: float) -> None:
        """Keep the ledger of jobs in a folder; an engine without jobs keeps nothing."""
        return

    def machine(self, circuit: QuantumCircuit) -> Machine:
        """Get the simulator of a prepared circuit, with its noise model.

        Raises:
            UnavailableError: If the engine does not run on Aer.
        """
        if isinstance(self.estimator, MeasuringEstimator):
            return self.estimator.machine_for(circuit)
        raise UnavailableError(
            f"Expected a simulator with shots or noise, got {self.made_for}: it has no noise "
            "model of its own."
        )

    def device_for(self, circuit: QuantumCircuit) -> BackendV2:
        """Get the device with the qubits that a prepared circuit has: all of them, or a cut.

        Raises:
            UnavailableError: If the engine has no device.
        """
        if self.device is None:
            raise UnavailableError(
                f"Expected a backend with a device, got {self.made_for}: there is none."
            )
        return CutBackend(self.device, cut_of(circuit, self.num_physical))

    def describe(self) -> dict[str, Any]:
        """Describe what the spec does not hold, as JSON-safe values."""
        return {}

    def close(self) -> None:
        """Release everything that is held open."""
        return


class AllToAllEngine(Engine):
    """Simulators where every pair of qubits is connected: no device, no routing."""

    def __init__(
        self,
        estimator: BaseEstimatorV2,
        basis: Sequence[str],
        num_qubits: int,
        spec: Statevector | Noisy,
        *,
        keep_numbers: bool = False,
    ) -> None:
        """Make the engine.

        Args:
            estimator: Runs circuits in `basis`.
            basis: Names of the gates circuits are compiled to.
            num_qubits: The most qubits.
            spec: Gives seed, shots and the transpiler's level.
            keep_numbers: Whether qubits keep the numbers of an initial layout, because they
                differ; else only those in use are kept.
        """
        self._estimator = estimator
        self._keep_numbers = keep_numbers
        self.num_qubits = self.num_physical = num_qubits
        self.precision = precision_of(spec.shots)
        self._basis = tuple(basis)
        self.made_for = f"any qubits, gates {' '.join(basis)}"
        self._level = spec.optimization_level
        self._seed = spec.compiler_seed

    @property
    def estimator(self) -> BaseEstimatorV2:
        """The estimator on Aer."""
        return self._estimator

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile; an initial layout renames the qubits, kept in ascending order.

        Args:
            circuit: A checked logical circuit.
            observables: Operators on its qubits.
            initial_layout: A physical qubit for each logical one; None leaves the choice open.
        """
        isa = compile_to_basis(
            circuit, self._basis, optimization_level=self._level, seed=self._seed
        )
        ends = list(range(circuit.num_qubits))
        if isa.layout is not None:
            ends = list(isa.layout.final_index_layout(filter_ancillas=True))
        if initial_layout is not None:
            wide = QuantumCircuit(max(initial_layout) + 1)
            isa = wide.compose(isa, list(initial_layout))
            ends = [initial_layout[end] for end in ends]
        return assemble(
            isa,
            ends,
            qubits=range(max(ends) + 1) if self._keep_numbers else sorted(ends),
            observables=observables,
            parameters=list(circuit.parameters),
            made_for=self.made_for,
            mark=False,
        )


class DeviceEngine(Engine):
    """A device snapshot's noise on Aer, cut to the qubits in use."""

    device: BackendV2

    def __init__(self, device: BackendV2, spec: Noisy) -> None:
        """Make the engine of a device.

        Args:
            device: The whole device.
            spec: Gives seed, shots, strength of the noise and the transpiler's level.
        """
        self.device = device
        self.made_for = f"{device.name} on Aer"
        self.num_physical = int(device.target.num_qubits)
        self.num_qubits = min(self.num_physical, most_noisy_qubits(spec.shots))
        self.precision = precision_of(spec.shots)
        self._estimator: BaseEstimatorV2 = MeasuringEstimator(
            self.machine, shots=spec.shots, seed=spec.seed
        )
        self._spec = spec
        self._machines: dict[tuple[int, ...], Machine] = {}

    @property
    def estimator(self) -> BaseEstimatorV2:
        """The estimator on Aer."""
        return self._estimator

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile for the whole device, then keep the qubits in use.

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
            optimization_level=self._spec.optimization_level,
            seed=self._spec.compiler_seed,
            made_for=self.made_for,
            timed=True,
            checked=False,
        )

    @property
    def target(self) -> Target | None:
        """The whole device's target."""
        return self.device.target

    def machine(self, circuit: QuantumCircuit) -> Machine:
        """Get the simulator of the qubits a circuit runs on, made once for each cut."""
        qubits = cut_of(circuit, self.num_physical)
        if qubits not in self._machines:
            cut = CutBackend(self.device, qubits)
            scale = self._spec.noise_scale
            method = noisy_method(len(qubits), self._spec.shots)
            simulator = AerSimulator(method=method, noise_model=device_noise(cut, scale))
            self._machines[qubits] = Machine(
                simulator, device_assignments(cut.target, scale), basis_change(cut.target)
            )
        return self._machines[qubits]

    def describe(self) -> dict[str, Any]:
        """Name the device, its calibration and how it is sampled."""
        return {
            "device": self.device.name,
            "calibration_date": calibration_date(self.device),
            "shots": self._spec.shots,
            "seed": self._spec.seed,
        }


def most_noisy_qubits(shots: int | None) -> int:
    """The most qubits with noise: exactly, or sampled."""
    return MOST_DENSITY_QUBITS if shots is None else MOST_TRAJECTORY_QUBITS


def noisy_method(num_qubits: int, shots: int | None) -> str:
    """Aer's method: the density matrix if exact or small, else a trajectory for each shot."""
    small = shots is None or num_qubits <= MOST_QUICK_DENSITY_QUBITS
    return "density_matrix" if small else "statevector"


def basis_change(target: Target | None) -> Callable[[QuantumCircuit], QuantumCircuit]:
    """Make the rewriting of basis changes into a device's one-qubit gates.

    Args:
        target: The (cut) device; None means the basis of the parametric models.

    Returns:
        A function from circuits of one-qubit gates to circuits of the device's.
    """
    if target is None:
        rewrite = Optimize1qGatesDecomposition(basis=list(PARAMETRIC_BASIS))
    else:
        rewrite = Optimize1qGatesDecomposition(target=target)
    manager = PassManager([rewrite])
    return lambda circuit: manager.run(circuit)
