from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.primitives import StatevectorEstimator
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.quantum_info import SparseObservable, SparsePauliOp
from qiskit_machine_learning.gradients import BaseEstimatorGradient, ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN
from qiskit_machine_learning.primitives import QMLEstimator

from hybridq.errors import InvalidValueError
from hybridq.quantum import (
    ReverseEstimatorGradient,
    TorchEstimator,
    build_circuit,
    z_observables,
)


@pytest.fixture
def circuit():
    return build_circuit(3, encoding="zz", ansatz="strongly_entangling", num_layers=1).circuit


def points(circuit, *shape):
    return np.random.default_rng(0).uniform(-3, 3, (*shape, circuit.num_parameters))


@pytest.mark.parametrize(
    ("shape", "observables"),
    [
        ((), "ZIX"),
        ((5,), "ZIX"),
        ((), ["ZIX", "YYI"]),
        ((5,), ["ZIX"] * 5),
        ((5, 1), ["ZIX", "YYI", {"III": 0.5, "XYZ": -2.0}]),
        ((2, 5, 1), ["ZIX", "YYI"]),
        ((0, 1), ["ZIX", "YYI"]),
    ],
)
def test_values_broadcast_as_qiskits_do(shape, observables, circuit):
    pub = (circuit, observables, points(circuit, *shape))
    mine = TorchEstimator().run([pub]).result()[0].data
    theirs = StatevectorEstimator().run([pub]).result()[0].data
    assert mine.evs.shape == theirs.evs.shape == mine.stds.shape
    np.testing.assert_allclose(mine.evs, theirs.evs, rtol=0, atol=1e-10)
    assert not np.any(mine.stds)


def test_kinds_of_observables(circuit):
    values = points(circuit)
    operator = SparsePauliOp(["ZZI", "IXI"], [0.3, -1.5])
    kinds = [operator, SparseObservable(operator), {"ZZI": 0.3, "IXI": -1.5}]
    pubs = [(circuit, kind, values) for kind in kinds]
    found = [float(result.data.evs) for result in TorchEstimator().run(pubs).result()]
    assert found == pytest.approx([found[0]] * 3, abs=1e-14)


def test_projectors_are_observables_too(circuit):
    values = points(circuit)
    mine = TorchEstimator().run([(circuit, SparseObservable("0+r"), values)]).result()[0].data
    plus, right = ([["I", 0.5], [letter, 0.5]] for letter in "XY")
    zero = [["I", 0.5], ["Z", 0.5]]
    terms = [(a + b + c, u * v * w) for a, u in zero for b, v in plus for c, w in right]
    theirs = StatevectorEstimator().run([(circuit, SparsePauliOp.from_list(terms), values)])
    assert float(mine.evs) == pytest.approx(float(theirs.result()[0].data.evs), abs=1e-12)


def test_several_circuits_and_none_of_a_parameter():
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    turn = QuantumCircuit(1)
    turn.rx(Parameter("t"), 0)
    measured = turn.copy()
    measured.measure_all()
    job = TorchEstimator().run(
        [(bell, ["XX", "ZI"]), (turn, "Z", [0.4]), (measured, "Z", [0.4])], precision=0.1
    )
    values = [np.atleast_1d(result.data.evs).tolist() for result in job.result()]
    assert values[0] == pytest.approx([1, 0], abs=1e-14)
    assert values[1] == values[2] == pytest.approx([np.cos(0.4)], abs=1e-14)


def test_many_jobs_at_once_share_few_functions(circuit):
    estimator = TorchEstimator()
    values = points(circuit)
    jobs = [
        estimator.run([(circuit, {"ZZZ": scale, "XII": 1.0}, values)]) for scale in range(1, 60)
    ]
    found = np.array([float(job.result()[0].data.evs) for job in jobs])
    np.testing.assert_allclose(np.diff(found), found[1] - found[0], rtol=0, atol=1e-12)
    assert len(estimator._functions._made) <= 16


def test_what_cannot_be_estimated_is_refused():
    middle = QuantumCircuit(2, 1)
    middle.h(0)
    middle.measure(0, 0)
    middle.h(0)
    with pytest.raises(InvalidValueError, match="measurements in the middle"):
        TorchEstimator().run([(middle, "ZZ")]).result()
    with pytest.raises(InvalidValueError, match="1 to 24 qubits, got 25"):
        TorchEstimator().run([(QuantumCircuit(25), "Z" * 25)]).result()
    with pytest.raises(ValueError):
        TorchEstimator().run([(QuantumCircuit(2), "Z")])


def test_single_precision(circuit):
    pub = (circuit, ["ZIX", "XYZ"], points(circuit))
    single = TorchEstimator(dtype=torch.float32).run([pub]).result()[0].data.evs
    double = TorchEstimator().run([pub]).result()[0].data.evs
    assert 0 < np.abs(single - double).max() < 1e-5


@pytest.mark.parametrize("input_gradients", [True, False])
@pytest.mark.parametrize("encoding", ["angle", "zz", "reupload"])
def test_a_plain_qnn_with_them_equals_the_stock_one(encoding, input_gradients):
    parts = build_circuit(2, encoding=encoding, ansatz="efficient_su2", num_layers=1)
    observables = [*z_observables(2), SparsePauliOp(["XY", "ZZ"], [0.5, 2.0])]

    def make(estimator, gradient):
        return EstimatorQNN(
            circuit=parts.circuit,
            observables=observables,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            input_gradients=input_gradients,
            estimator=estimator,
            gradient=gradient,
            default_precision=0.0,
        )

    oracle = QMLEstimator(default_precision=0.0)
    stock = make(oracle, ParamShiftEstimatorGradient(oracle))
    mine = make(TorchEstimator(), ReverseEstimatorGradient())
    rng = np.random.default_rng(1)
    inputs, weights = rng.uniform(-3, 3, (4, 2)), rng.uniform(-3, 3, len(parts.weight_params))
    found = [(n.forward(inputs, weights), *n.backward(inputs, weights)) for n in (mine, stock)]
    assert (found[0][1] is None) == (found[1][1] is None) == (not input_gradients)
    for one, other in zip(*found, strict=True):
        if other is not None:
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


def test_gradients_of_chosen_parameters_in_their_order():
    t = ParameterVector("t", 2)
    first, second = QuantumCircuit(1), QuantumCircuit(1)
    first.ry(t[0], 0)
    first.rz(t[1], 0)
    second.rx(2 * t[0], 0)
    job = ReverseEstimatorGradient().run(
        [first, second, first],
        [SparsePauliOp("X"), SparsePauliOp("Z"), SparsePauliOp("X")],
        [[0.3, 0.5], [0.2], [0.4, 0.1]],
        [[t[1], t[0]], None, [t[1]]],
    )
    result = job.result()
    expected = [
        [-np.sin(0.3) * np.sin(0.5), np.cos(0.3) * np.cos(0.5)],
        [-2 * np.sin(0.4)],
        [-np.sin(0.4) * np.sin(0.1)],
    ]
    for mine, theirs in zip(result.gradients, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-14)
    assert result.metadata[0]["parameters"] == [t[1], t[0]]


def test_they_are_qiskits_own_classes():
    assert isinstance(TorchEstimator(), BaseEstimatorV2)
    assert isinstance(ReverseEstimatorGradient(), BaseEstimatorGradient)
