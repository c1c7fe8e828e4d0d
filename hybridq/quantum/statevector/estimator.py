"""The torch engine as Qiskit's own primitives, for an `EstimatorQNN` or any other user of them."""

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
from hybridq_backends.compile.transpile import clean_circuit, coerce_observables, fingerprint
from hybridq_backends.simulators.engine import MOST_STATEVECTOR_QUBITS

FloatArray = NDArray[np.float64]

_MOST_KEPT = 16


class TorchEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """Exact expectation values on the torch engine, as a Qiskit estimator.

    Circuits need no transpilation. Values are exact whatever `precision` is asked for: it is the
    largest error allowed, and none is added.

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
    """Exact gradients of expectation values by reverse-mode differentiation on the torch engine.

    All points of one circuit are one batch, and each of its observables one backward pass,
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
        """Gradients by all parameters, `(num_observables, batch, num_parameters)`."""
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
    """From circuits to torch functions, of which the least recently used are forgotten.

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
        """The function of a circuit.

        Args:
            circuit: Any circuit, maybe with final measurements.
            observables: What is measured.
            points: Parameter values `(batch, num_parameters)` it will be called with; what only
                depends on those that are the same in all rows is computed once. None: each may
                differ, and have its own gradient.
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
    """Expectation values as a function of all parameters of a circuit, in its own order.

    Args:
        circuit: The circuit.
        observables: What is measured.
        same: Which parameters are the same in all rows, `(num_parameters,)`.
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
        """Parameters `(batch, num_parameters)` to values `(batch, num_observables)`, double."""
        weights = theta[:1, self._same].flatten()
        return self._engine(self._phases(theta[:, ~self._same], weights))


def _distinct(observables: Sequence[SparsePauliOp]) -> tuple[list[SparsePauliOp], list[int]]:
    """The different ones among observables, and which of them each is."""
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
    """An entry of an observables array, whose letters may also be projectors, as a Pauli sum."""
    observable = SparseObservable.from_list(list(terms.items()))
    return SparsePauliOp.from_sparse_observable(observable.as_paulis())
