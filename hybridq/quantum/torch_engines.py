"""Engines whose circuits are compiled by Aer's engines and whose values torch computes.

`hybridq_backends`, which knows nothing of torch, imports this module when a backend with
`engine=torch` is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from qiskit import QuantumCircuit
from qiskit.primitives import PubResult
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target

from hybridq.quantum.density.estimator import NoisyEstimator
from hybridq.quantum.density.expvals import NoisyRule
from hybridq.quantum.density.simulator import check_width
from hybridq.quantum.split_circuit import SplitCircuit
from hybridq.quantum.statevector.estimator import TorchEstimator
from hybridq.quantum.statevector.reverse import ReverseRule, TorchRule, torch_dtype
from hybridq_backends import Executable, Noisy, Prepared, Statevector
from hybridq_backends.expvals import Expvals, read_expvals
from hybridq_backends.simulators.aer import Machine
from hybridq_backends.simulators.engine import Engine
from hybridq_backends.utils.seeds import SeedSequenceCounter


class _Estimator(Protocol):
    """An estimator that also answers one PUB at once."""

    def run_pub(self, pub: EstimatorPub, seed: int | None = None) -> PubResult: ...


class TorchEngine(Engine):
    """The base of both torch engines: another engine compiles, this one computes.

    Args:
        base: The engine of the same backend on Aer.
    """

    computed_by = "torch"

    def __init__(self, base: Engine) -> None:
        self._base = base
        self.num_qubits = base.num_qubits
        self.num_physical = base.num_physical
        self.precision = base.precision
        self.made_for = base.made_for
        self.device: BackendV2 | None = base.device

    @property
    def target(self) -> Target | None:
        """The whole device's target."""
        return self._base.target

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile as for Aer."""
        return self._base.prepare(circuit, observables, initial_layout)

    def machine(self, circuit: QuantumCircuit) -> Machine:
        """Get the machine that Aer would use, with the noise model that is used here."""
        return self._base.machine(circuit)

    def describe(self) -> dict[str, Any]:
        """Describe the backend as the engine on Aer does."""
        return self._base.describe()

    def values(self, pub: tuple[Any, ...], seed: int | None) -> Expvals:
        """Compute one PUB in this thread, with torch's threads."""
        estimator: _Estimator = self.estimator
        coerced = EstimatorPub.coerce(pub, self.precision or None)
        return read_expvals([estimator.run_pub(coerced, seed)])


class ExactTorchEngine(TorchEngine):
    """The engine of noiseless values, computed by the `StatevectorEngine`.

    Args:
        base: The engine of the same backend on Aer.
        spec: The spec with the precision.
    """

    def __init__(self, base: Engine, spec: Statevector) -> None:
        super().__init__(base)
        self._dtype = torch_dtype(spec.dtype)
        self.rounding = 1e-9 if self._dtype == torch.float64 else 1e-5
        self._estimator = TorchEstimator(dtype=self._dtype)

    @property
    def estimator(self) -> BaseEstimatorV2:
        """The estimator on torch."""
        return self._estimator

    def rule(
        self, split: SplitCircuit, observables: Sequence[SparsePauliOp], executable: Executable
    ) -> TorchRule:
        """Make the rule that computes values and derivatives of the uncompiled circuit.

        Args:
            split: The circuit and the map to its angles.
            observables: The observables.
            executable: The executable of this engine.
        """
        return ReverseRule(split, observables, executable, dtype=self._dtype)


class NoisyTorchEngine(TorchEngine):
    """The engine of noisy values by the `DensityEngine`; shots have their exact covariance.

    Args:
        base: The engine of the same backend on Aer, whose noise model is read.
        spec: The spec with the shots and the seed of their draws.
    """

    def __init__(self, base: Engine, spec: Noisy) -> None:
        super().__init__(base)
        self._shots = spec.shots
        self._seeds = SeedSequenceCounter(spec.seed)
        self._estimator = NoisyEstimator(base.machine, shots=spec.shots, seeds=self._seeds)

    @property
    def estimator(self) -> BaseEstimatorV2:
        """The estimator on torch."""
        return self._estimator

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile as for Aer.

        Raises:
            InvalidValueError: If the compiled circuit is too wide for a density matrix.
        """
        check_width(circuit.num_qubits)
        prepared = super().prepare(circuit, observables, initial_layout)
        check_width(prepared.circuit.num_qubits)
        return prepared

    def rule(
        self, split: SplitCircuit, observables: Sequence[SparsePauliOp], executable: Executable
    ) -> TorchRule:
        """Make the rule that computes values and derivatives of the compiled circuit.

        Args:
            split: The circuit and the map to its angles.
            observables: The observables.
            executable: The executable of this engine.
        """
        return NoisyRule(split, observables, executable, shots=self._shots, seeds=self._seeds)
