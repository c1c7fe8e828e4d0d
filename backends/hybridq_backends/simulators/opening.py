"""Open simulators on Qiskit Aer, or on the torch engine, whose circuits Aer's compiles."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qiskit import QuantumCircuit
from qiskit.primitives.base import BaseEstimatorV2
from qiskit_aer import AerSimulator

from hybridq_backends.compile.transpile import EXACT_BASIS, PARAMETRIC_BASIS
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.noise.parametric import parametric_assignments, parametric_noise
from hybridq_backends.simulators.aer import ExactEstimator, Machine, MeasuringEstimator
from hybridq_backends.simulators.engine import (
    MOST_STATEVECTOR_QUBITS,
    AllToAllEngine,
    DeviceEngine,
    Engine,
    basis_change,
    most_noisy_qubits,
    noisy_method,
)
from hybridq_backends.specs.noisy import Noisy
from hybridq_backends.specs.statevector import Statevector

TORCH = "hybridq.quantum.torch_engines"
"""The module of the torch engines, in the package above, imported when one is opened."""


def open_statevector(spec: Statevector) -> Engine:
    """Open a noiseless simulator."""
    base = _noiseless(spec)
    return _on_torch("ExactTorchEngine", base, spec) if spec.is_differentiable else base


def open_noisy(spec: Noisy) -> Engine:
    """Open a noisy simulator: of a device, or of rates.

    Raises:
        InvalidValueError: If there is no such device, or readout error is listed for more qubits
            than can be simulated.
    """
    if spec.device is None:
        base = _parametric(spec)
    else:
        base = DeviceEngine(fake_device(spec.device), spec)
    return _on_torch("NoisyTorchEngine", base, spec) if spec.is_differentiable else base


def _on_torch(name: str, base: Engine, spec: Any) -> Engine:
    engine: Engine = getattr(import_module(TORCH), name)(base, spec)
    return engine


def _noiseless(spec: Statevector) -> Engine:
    """Make Aer's engine of a noiseless simulator."""
    estimator: BaseEstimatorV2
    if spec.shots is None:
        estimator = ExactEstimator()
    else:
        machine = Machine(AerSimulator(method="statevector"))
        estimator = MeasuringEstimator(lambda _: machine, shots=spec.shots, seed=spec.seed)
    return AllToAllEngine(estimator, EXACT_BASIS, MOST_STATEVECTOR_QUBITS, spec)


def _parametric(spec: Noisy) -> Engine:
    """Make the engine of a parametric noise model.

    Raises:
        InvalidValueError: If readout error is listed for more qubits than can be simulated.
    """
    listed = spec.num_listed_qubits
    most = most_noisy_qubits(spec.shots)
    num_qubits = most if listed is None else listed
    if num_qubits > most:
        raise InvalidValueError(
            f"Expected readout error for at most {most} qubits, got {num_qubits} "
            "probabilities: shorten the list."
        )
    model = parametric_noise(spec)
    assignments = parametric_assignments(spec, num_qubits)
    to_basis = basis_change(None)
    machines = {
        method: Machine(AerSimulator(method=method, noise_model=model), assignments, to_basis)
        for method in ("density_matrix", "statevector")
    }

    def machine_for(circuit: QuantumCircuit) -> Machine:
        return machines[noisy_method(circuit.num_qubits, spec.shots)]

    estimator = MeasuringEstimator(machine_for, shots=spec.shots, seed=spec.seed)
    return AllToAllEngine(
        estimator, PARAMETRIC_BASIS, num_qubits, spec, keep_numbers=listed is not None
    )
