"""The torch engine as primitives of Qiskit, for an `EstimatorQNN` and others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.primitives import DataBin, PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers.estimator_pub import EstimatorPub, EstimatorPubLike
from qiskit.quantum_info import SparseObservable, SparsePauliOp
from qiskit.quantum_info.operators.base_operator import BaseOperator
from qiskit_machine_learning.gradients import BaseEstimatorGradient, EstimatorGradientResult
from torch import Tensor

from hybridq.quantum.split_circuit import split_circuit
from hybridq.quantum.statevector.simulator import StatevectorEngine
from hybridq_backends.compile.observables import coerce_observables
from hybridq_backends.compile.transpile import clean_circuit, fingerprint
from hybridq_backends.simulators.engine import MOST_STATEVECTOR_QUBITS

FloatArray = NDArray[np.float64]

_MOST_KEPT = 16


class TorchEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """A Qiskit estimator that computes exact expectation values on the torch engine.

    Circuits need no transpilation. `precision` is the largest error allowed; values are exact and
    no error is added.

    Args:
        dtype: Precision of the numbers, `torch.float64` or `torch.float32`.
    """

    def __init__(self, *, dtype: torch.dtype = torch.float64) -> None:
        self._functions = Functions(dtype)

    def run(
        self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None
    ) -> PrimitiveJob:
        """Estimate the observables of each PUB; see `BaseEstimatorV2.run`.

        Raises:
            InvalidValueError: If a circuit has measurements in the middle, control flow, resets
                or too many qubits, or an observable is not Hermitian.
        """
        coerced = [EstimatorPub.coerce(pub, precision) for pub in pubs]
        job = PrimitiveJob(self._run, coerced)
        job._submit()
        return job

    def _run(self, pubs: Sequence[EstimatorPub]) -> PrimitiveResult:
        return PrimitiveResult([self.run_pub(pub) for pub in pubs], metadata={"version": 2})

    def run_pub(self, pub: EstimatorPub, seed: int | None = None) -> PubResult:
        """Estimate the observables of one PUB, in this thread; there are no shots to seed."""
        params = pub.parameter_values.as_array(list(pub.circuit.parameters))
        rows = np.arange(int(np.prod(params.shape[:-1]))).reshape(params.shape[:-1])
        asked, places = _distinct([_operator(item) for item in pub.observables.ravel()])
        columns = np.asarray(places, dtype=int).reshape(pub.observables.shape)
        points = params.reshape(rows.size, params.shape[-1])
        function = self._functions.of(pub.circuit, asked, points)
        with torch.no_grad():
            values = function(torch.from_numpy(points)).numpy()
        evs = values[np.broadcast_to(rows, pub.shape), np.broadcast_to(columns, pub.shape)]
        data = DataBin(evs=evs, stds=np.zeros_like(evs), shape=pub.shape)
        return PubResult(data, metadata={"target_precision": pub.precision})


class ReverseEstimatorGradient(BaseEstimatorGradient):  # type: ignore[misc]
    """A Qiskit gradient that differentiates expectation values exactly in reverse mode.

    All points of one circuit are one batch, and each of its observables takes one backward pass,
    whatever the number of parameters.

    Args:
        dtype: Precision of the numbers, `torch.float64` or `torch.float32`.
    """

    def __init__(self, *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(TorchEstimator(dtype=dtype))
        self._functions = Functions(dtype)

    def _run(
        self,
        circuits: Sequence[QuantumCircuit],
        observables: Sequence[BaseOperator],
        parameter_values: Sequence[Sequence[float]] | FloatArray,
        parameters: Sequence[Sequence[Parameter]],
        **options: Any,
    ) -> EstimatorGradientResult:
        groups: dict[int, list[int]] = {}
        for place, circuit in enumerate(circuits):
            groups.setdefault(id(circuit), []).append(place)
        gradients: list[Any] = [None] * len(circuits)
        for places in groups.values():
            circuit = circuits[places[0]]
            column = {param: index for index, param in enumerate(circuit.parameters)}
            points = np.asarray([parameter_values[place] for place in places], dtype=float)
            distinct, rows = np.unique(points, axis=0, return_inverse=True)
            asked, chosen = _distinct([SparsePauliOp(observables[place]) for place in places])
            found = self._gradients(circuit, asked, distinct)
            for place, row, which in zip(places, rows.ravel(), chosen, strict=True):
                wanted = [column[param] for param in parameters[place]]
                gradients[place] = found[which, row, wanted]
        metadata = [{"parameters": wanted} for wanted in parameters]
        return EstimatorGradientResult(gradients=gradients, metadata=metadata, options=options)

    def _gradients(
        self, circuit: QuantumCircuit, observables: Sequence[SparsePauliOp], points: FloatArray
    ) -> FloatArray:
        """Compute gradients by all parameters, `(num_observables, batch, num_parameters)`."""
        theta = torch.from_numpy(points).requires_grad_()
        with torch.enable_grad():
            values = self._functions.of(circuit, observables, None)(theta)
        rows = [
            torch.autograd.grad(column.sum(), theta, retain_graph=True, materialize_grads=True)[0]
            for column in values.T
        ]
        found: FloatArray = torch.stack(rows).numpy()
        return found


class Functions:
    """A cache of the torch functions of circuits, which drops the least recently used.

    Args:
        dtype: Precision of the numbers.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._made: OrderedDict[Any, _Function] = OrderedDict()

    def of(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        points: FloatArray | None,
    ) -> _Function:
        """Return the function of a circuit.

        Args:
            circuit: Any circuit, maybe with final measurements.
            observables: The observables.
            points: Parameter values `(batch, num_parameters)` of the coming call; parts that depend
                only on columns of equal values are computed once. None if all values may differ
                and have their own gradients.
        """
        circuit = clean_circuit(circuit, MOST_STATEVECTOR_QUBITS)
        operators = coerce_observables(observables, circuit.num_qubits)
        same = np.zeros(circuit.num_parameters, dtype=bool)
        if points is not None and len(points):
            same = (points == points[:1]).all(axis=0)
        key = (fingerprint(circuit, operators, None), same.tobytes())
        # each step is atomic: jobs run in threads of their own
        function = self._made.pop(key, None)
        if function is None:
            function = _Function(circuit, operators, same, self._dtype)
        self._made[key] = function
        while len(self._made) > _MOST_KEPT:
            self._made.popitem(last=False)
        return function


class _Function:
    """A function from all parameters of a circuit, in its own order, to expectation values.

    Args:
        circuit: The circuit.
        observables: The observables.
        same: Whether each parameter is the same in all rows, `(num_parameters,)`.
        dtype: Precision of the numbers.
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        observables: Sequence[SparsePauliOp],
        same: NDArray[np.bool_],
        dtype: torch.dtype,
    ) -> None:
        params = np.array(list(circuit.parameters), dtype=object)
        self._same = torch.from_numpy(same)
        split = split_circuit(circuit, params[~same].tolist(), params[same].tolist())
        self._phases = split.phases
        self._engine = StatevectorEngine(split, observables, dtype=dtype)

    def __call__(self, theta: Tensor) -> Tensor:
        """Map parameters `(batch, num_parameters)` to values `(batch, num_observables)`, double."""
        weights = theta[:1, self._same].flatten()
        return self._engine(self._phases(theta[:, ~self._same], weights))


def _distinct(observables: Sequence[SparsePauliOp]) -> tuple[list[SparsePauliOp], list[int]]:
    """List the different observables, and for each observable its index among them."""
    found: dict[Any, int] = {}
    asked: list[SparsePauliOp] = []
    places = []
    for observable in observables:
        key = tuple(observable.to_list())
        if key not in found:
            found[key] = len(asked)
            asked.append(observable)
        places.append(found[key])
    return asked, places


def _operator(terms: Mapping[str, complex]) -> SparsePauliOp:
    """Turn an entry of an observables array, which may hold projectors, into a Pauli sum."""
    observable = SparseObservable.from_list(list(terms.items()))
    return SparsePauliOp.from_sparse_observable(observable.as_paulis())
