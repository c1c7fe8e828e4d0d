"""Running on an estimator of another make, with the precision that it has itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target

from hybridq_backends.compile.transpile import (
    EXACT_BASIS,
    Prepared,
    assemble,
    compile_on_target,
    kept_for,
)
from hybridq_backends.errors import InvalidValueError, UnavailableError
from hybridq_backends.expvals import Expvals
from hybridq_backends.noise.record import noise_record
from hybridq_backends.simulators.engine import MOST_STATEVECTOR_QUBITS, AllToAllEngine, Engine
from hybridq_backends.specs.statevector import Statevector

_LEVEL = 1
_SEED = 0
_INSTEAD = {
    "qiskit_ibm_runtime": "the backend that it runs on, or the name of a profile",
    "hybridq": "the name of a profile, such as 'statevector'",
    "hybridq_backends": "the executable that it belongs to",
}
"""What to give instead of an estimator, by the package that it comes from."""


class PrimitiveEngine(Engine):
    """A ready `EstimatorV2`: every PUB is one call of its `run`.

    Circuits are compiled for the backend that the estimator says it runs on; where it says none,
    into common gates. The precision is the estimator's default, NaN where it does not say.
    """

    computed_by = "primitive"
    is_local = False

    def __init__(self, estimator: BaseEstimatorV2) -> None:
        """Wrap an estimator.

        Args:
            estimator: The estimator.

        Raises:
            InvalidValueError: If it is one of IBM's client, whose jobs would bypass budget and
                ledger, or that of an executable, whose circuits only the executable compiles.
        """
        self._estimator = estimator
        self._name = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        made_by = self._name.partition(".")[0]
        if made_by in _INSTEAD:
            raise InvalidValueError(
                f"Expected an estimator of another make, got {self._name}: give "
                f"{_INSTEAD[made_by]}."
            )
        self.device = _backend_of(estimator)
        self.precision = _precision_of(estimator)
        common = Statevector(optimization_level=_LEVEL, seed=_SEED)
        self._common = AllToAllEngine(estimator, EXACT_BASIS, MOST_STATEVECTOR_QUBITS, common)
        target = self.target
        most = None if target is None else target.num_qubits
        self.num_qubits = self.num_physical = int(most or MOST_STATEVECTOR_QUBITS)
        self.made_for = (
            self._common.made_for if self.device is None else f"{self.device.name} by {self._name}"
        )

    @property
    def estimator(self) -> BaseEstimatorV2:
        """The estimator itself."""
        return self._estimator

    @property
    def target(self) -> Target | None:
        """The target of the estimator's backend, if it says one."""
        return None if self.device is None else self.device.target

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        initial_layout: Sequence[int] | None,
    ) -> Prepared:
        """Compile for the estimator's backend, on the numbers that its qubits have."""
        target = self.target
        if target is None:
            return self._common.prepare(circuit, observables, initial_layout)
        isa, ends = compile_on_target(
            circuit, target, optimization_level=_LEVEL, seed=_SEED, initial_layout=initial_layout
        )
        coupled = target.build_coupling_map() is not None
        width = self.num_qubits if coupled else kept_for(isa, ends)[-1] + 1
        return assemble(
            isa,
            ends,
            qubits=range(width),
            observables=observables,
            parameters=list(circuit.parameters),
            made_for=self.made_for,
            mark=False,
        )

    def submit(self, pub: tuple[Any, ...], seed: int | None) -> Any:
        """Send one PUB as one job, at the estimator's own precision.

        Raises:
            InvalidValueError: If there is a seed, which estimators do not take.
        """
        if seed is not None:
            raise InvalidValueError(
                f"Expected no `seed` with an estimator of your own, got {seed}: give the seed to "
                f"{type(self._estimator).__name__} when it is made."
            )
        return self._estimator.run([pub])

    def values(self, pub: tuple[Any, ...], seed: int | None) -> Expvals:
        """Run one PUB as one job.

        Raises:
            UnavailableError: If the estimator fails; one line with its cause.
        """
        try:
            return super().values(pub, seed)
        except InvalidValueError:
            raise
        except Exception as error:
            cause = " ".join(str(error).split())
            raise UnavailableError(
                f"Expected {self._name} to run a circuit of {pub[0].num_qubits} qubits, got "
                f"{type(error).__name__} ({cause}): give another estimator, or its backend."
            ) from error

    def describe(self) -> dict[str, Any]:
        """Name the class that computes, its backend if it says one, and nothing that is unknown."""
        device = {}
        if self.device is not None:
            device = {"device": self.device.name, **noise_record(self.device)}
        known = None if math.isnan(self.precision) else self.precision
        return {"primitive": self._name, **device, "precision": known}


def _backend_of(estimator: BaseEstimatorV2) -> BackendV2 | None:
    """Find the backend that an estimator runs on; Aer's keeps its own to itself."""
    found = getattr(estimator, "backend", None) or getattr(estimator, "_backend", None)
    return found if isinstance(found, BackendV2) else None


def _precision_of(estimator: BaseEstimatorV2) -> float:
    """Read the default precision of an estimator; NaN where it does not say one."""
    for holder in (estimator, getattr(estimator, "options", None)):
        found = getattr(holder, "default_precision", None)
        if isinstance(found, int | float):
            return float(found)
    return math.nan
