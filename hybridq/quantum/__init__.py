"""Circuits, and the torch layer that runs them on any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridq.quantum.circuits import (
    ANSAETZE,
    ENCODINGS,
    ENTANGLEMENTS,
    ParametrizedCircuit,
    build_circuit,
    z_observables,
)
from hybridq.quantum.layer import QuantumLayer
from hybridq.quantum.look_up import look_up
from hybridq.quantum.modules import (
    CircuitInfo,
    QuantumModule,
    circuits_of,
    quantum_modules,
    quantum_parameters,
    running_on,
    use_backend,
)
from hybridq.quantum.qnn import ExecutableConnector, ExecutableQNN
from hybridq.quantum.statevector.estimator import ReverseEstimatorGradient, TorchEstimator
from hybridq.quantum.statevector.simulator import StatevectorEngine

if TYPE_CHECKING:
    from hybridq_backends import Executable as Executable

__all__ = [
    "ANSAETZE",
    "ENCODINGS",
    "ENTANGLEMENTS",
    "CircuitInfo",
    "ExecutableConnector",
    "ExecutableQNN",
    "ParametrizedCircuit",
    "QuantumLayer",
    "QuantumModule",
    "ReverseEstimatorGradient",
    "StatevectorEngine",
    "TorchEstimator",
    "build_circuit",
    "circuits_of",
    "look_up",
    "quantum_modules",
    "quantum_parameters",
    "running_on",
    "use_backend",
    "z_observables",
]
