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
from hybridq.quantum.estimator import ReverseEstimatorGradient, TorchEstimator
from hybridq.quantum.layer import QuantumLayer
from hybridq.quantum.names import look_up
from hybridq.quantum.network import ExecutableConnector, ExecutableQNN
from hybridq.quantum.statevector import StatevectorEngine

if TYPE_CHECKING:
    from backends import Executable as Executable

__all__ = [
    "ANSAETZE",
    "ENCODINGS",
    "ENTANGLEMENTS",
    "ExecutableConnector",
    "ExecutableQNN",
    "ParametrizedCircuit",
    "QuantumLayer",
    "ReverseEstimatorGradient",
    "StatevectorEngine",
    "TorchEstimator",
    "build_circuit",
    "look_up",
    "z_observables",
]
