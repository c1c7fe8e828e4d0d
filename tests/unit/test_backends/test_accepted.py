"""Every form of a backend and of observables gives the same values."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import (
    BackendEstimatorV2,
    PrimitiveJob,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator, Pauli, PauliList, SparseObservable, SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_aer.primitives import EstimatorV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from hybridq_backends import Deferred, Noisy, Statevector, check_backend, open_backend
from hybridq_backends import opened_backend as opened
from hybridq_backends.errors import InvalidValueError, UnavailableError

pytestmark = pytest.mark.filterwarnings("ignore:.*no QubitProperties")

SHOTS = 4096
FIVE_SIGMA = 5 * 2 / math.sqrt(SHOTS)  # of the widest observable of `problem`


class Silent(BaseEstimatorV2):
    """An estimator that tells nothing of itself."""

    def run(self, pubs, *, precision=None):
        assert precision is None
        job = PrimitiveJob(lambda: StatevectorEstimator().run(pubs).result())
        job._submit()
        return job


class RuntimeEstimator(Silent):
    """One that seems to come from IBM's client."""

    __module__ = "qiskit_ibm_runtime.executor_estimator"


def run(backend, problem, **overrides):
    circuit, observables, points, _ = problem
    with opened(backend, **overrides) as executable:
        prepared = executable.prepare(circuit, observables)
        return executable, executable.run(prepared, points).values


EXACT = {
    "name": "aer_statevector",
    "fields": "aer_shots,shots=none",
    "spec": Statevector(shots=None),
    "noise": Noisy(device="FakeManilaV2", shots=None, noise_scale=0.0),
    "statevector estimator": StatevectorEstimator(),
    "aer estimator": EstimatorV2(),
    "aer estimator of a backend": EstimatorV2.from_backend(AerSimulator(method="statevector")),
    "silent estimator": Silent(),
}


@pytest.mark.parametrize("form", EXACT)
def test_exact_forms_agree(form, problem):
    executable, values = run(EXACT[form], problem)
    np.testing.assert_allclose(values, problem[3], atol=1e-9)
    assert json.loads(json.dumps(executable.describe())) == executable.describe()


LINE = [[0, 1], [1, 2], [2, 3], [3, 4]]
SAMPLED = {
    "aer simulator": lambda: AerSimulator(),
    "generic": lambda: GenericBackendV2(5, seed=1, noise_info=False),
    "backend estimator": lambda: BackendEstimatorV2(backend=AerSimulator()),
    "on a device": lambda: BackendEstimatorV2(
        backend=GenericBackendV2(5, seed=1, noise_info=False, coupling_map=LINE)
    ),
}


@pytest.mark.parametrize("form", SAMPLED)
def test_sampled_forms_agree(form, problem):
    executable, values = run(SAMPLED[form](), problem)
    np.testing.assert_allclose(values, problem[3], atol=FIVE_SIGMA)
    assert np.abs(values - problem[3]).max() > 1e-6
    assert executable.precision == pytest.approx(1 / math.sqrt(SHOTS))


def test_a_fake_device_is_its_profile(problem):
    _, by_name = run("fake_manila", problem, shots=None)
    device, values = run(FakeManilaV2(), problem, shots=None)
    assert device.engine == "aer"
    np.testing.assert_allclose(values, by_name, atol=1e-9)
    assert np.abs(by_name - problem[3]).max() > 0.05  # the noise is there
    sampled, again = (run(FakeManilaV2(), problem, shots=100, seed=3)[1] for _ in range(2))
    np.testing.assert_array_equal(sampled, again)
    assert np.abs(sampled - by_name).max() > 1e-3


def test_a_primitive_says_what_it_is(problem):
    names = {
        "qiskit.primitives.statevector_estimator.StatevectorEstimator": StatevectorEstimator(
            default_precision=0.25
        ),
        "qiskit_aer.primitives.estimator_v2.EstimatorV2": EstimatorV2(
            options={"default_precision": 0.25}
        ),
        f"{Silent.__module__}.Silent": Silent(),
    }
    for name, estimator in names.items():
        executable = open_backend(estimator)
        record = executable.describe()
        assert (executable.engine, record["engine"], record["primitive"]) == (
            "primitive",
            "primitive",
            name,
        )
        assert record["precision"] == (None if isinstance(estimator, Silent) else 0.25)
        assert "shots" not in record
        assert not executable.is_exact
        assert executable.estimator is estimator
        assert (executable.spec, executable.is_local) == (None, False)
        json.dumps(record, allow_nan=False)
    on_device = open_backend(BackendEstimatorV2(backend=FakeManilaV2())).describe()
    assert on_device["device"] == "fake_manila"


def test_noise_of_an_estimators_own_backend():
    """Its circuits are made of the gates and qubits that its noise is about."""
    noise = NoiseModel(basis_gates=["rz", "sx", "x", "cx"])
    noise.add_all_qubit_quantum_error(depolarizing_error(0.3, 1), ["sx", "x"])
    noise.add_quantum_error(depolarizing_error(1.0, 1), ["sx", "x"], [1])
    options = {"backend_options": {"noise_model": noise, "method": "density_matrix"}}
    circuit = QuantumCircuit(2)
    circuit.ry(np.pi, 0)
    with opened(EstimatorV2(options=options)) as executable:
        for qubit, kept in ((0, 0.7), (1, 0.0)):
            prepared = executable.prepare(circuit, ["IZ"], initial_layout=[qubit, 1 - qubit])
            gates = prepared.circuit.count_ops()
            assert set(gates) <= {"rz", "sx", "x", "cx"}
            noisy = gates.get("sx", 0) + gates.get("x", 0)
            (value,) = executable.run(prepared, [[]]).values[0]
            assert value == pytest.approx(-(kept**noisy), abs=1e-9)


def test_what_an_estimator_cannot_do_is_one_line(problem):
    class Broken(Silent):
        def run(self, pubs, *, precision=None):
            raise RuntimeError("no\nconnection")

    circuit, observables, points, _ = problem
    broken = open_backend(Broken())
    prepared = broken.prepare(circuit, observables)
    with pytest.raises(UnavailableError, match=r"4 qubits, got RuntimeError \(no connection\)"):
        broken.run(prepared, points)
    ready = open_backend(StatevectorEstimator())
    with pytest.raises(InvalidValueError, match=r"no `seed`.* StatevectorEstimator when"):
        ready.run(ready.prepare(circuit, observables), points, seed=3)


def test_who_opens_closes(problem):
    """What a name opens is closed after the block, and what comes open is not."""
    with opened("aer_statevector") as executable:
        pass
    with pytest.raises(InvalidValueError, match="closed"):
        executable.check_open()
    with open_backend("aer_statevector") as mine:
        assert open_backend(mine) is mine
        with opened(mine) as same:
            assert same is mine
        mine.check_open()
        assert check_backend(mine).passed
        mine.check_open()
    with pytest.raises(InvalidValueError, match="closed"):
        open_backend(mine)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (None, "got None: name a profile, such as 'statevector'"),
        (3, "an open executable, a Qiskit backend or an EstimatorV2, got 3"),
        (AerSimulator, r"make one of the class, AerSimulator\(\.\.\.\)"),
        (EstimatorV2, r"make one of the class, EstimatorV2\(\.\.\.\)"),
        (StatevectorSampler(), "give an estimator"),
        (RuntimeEstimator(), "give the backend that it runs on"),
        ("statvector", "did you mean 'statevector'"),
    ],
)
def test_anything_else_is_one_line(backend, words):
    with pytest.raises(InvalidValueError, match=words) as caught:
        open_backend(backend)
    assert "\n" not in str(caught.value)


def test_estimators_of_executables_are_refused():
    with open_backend("fake_manila") as executable:
        with pytest.raises(InvalidValueError, match="give the executable that it belongs to"):
            open_backend(executable.estimator)
        with pytest.raises(InvalidValueError, match=r"no fields.*got `shots`"):
            open_backend(executable, shots=3)
    with pytest.raises(InvalidValueError, match=r"Expected seed or shots .* got `device`"):
        open_backend(AerSimulator(), device="x")
    with pytest.raises(InvalidValueError, match=r"`shots`.*got 0"):
        open_backend(AerSimulator(), shots=0)
    with pytest.raises(InvalidValueError, match="which samples, got None"):
        open_backend(AerSimulator(), shots=None)


SUM = SparsePauliOp(["ZZI", "IXY"], [0.5, -1.0])
ONE_SUM = {
    "operator": SUM,
    "sparse": SparseObservable.from_sparse_pauli_op(SUM),
    "dict": {"ZZI": 0.5, "IXY": -1.0},
    "dict of Paulis": {Pauli("ZZI"): 0.5, Pauli("-IXY"): 1.0},
    "matrix": Operator(SUM),
    "array": ObservablesArray({"ZZI": 0.5, "IXY": -1.0}),
}
TWO = {
    "labels": ["ZZI", "IXY"],
    "numpy": np.array(["ZZI", "IXY"]),
    "Paulis": (Pauli("ZZI"), Pauli("IXY")),
    "list": PauliList(["ZZI", "IXY"]),
    "array": ObservablesArray(["ZZI", "IXY"]),
    "mixed": [SparsePauliOp("ZZI"), {"IXY": 1.0}],
    "iterator": "made below",
}


@pytest.fixture
def three():
    theta = Parameter("t")
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.rx(0.4 + qubit, qubit)
        circuit.ry(theta, qubit)
    circuit.cx(0, 1)
    return circuit


@pytest.mark.parametrize("form", ONE_SUM)
def test_a_sum_in_every_form(form, three, oracle):
    with open_backend("aer_statevector") as backend:
        for given in (ONE_SUM[form], [ONE_SUM[form]] if form != "array" else ONE_SUM[form]):
            values = backend.run(backend.prepare(three, given), [[0.7]]).values
            np.testing.assert_allclose(values, oracle(three, [SUM], [[0.7]]), atol=1e-9)
        later = Deferred(backend)
        assert later.prepare(three, ONE_SUM[form]).num_observables == 1


@pytest.mark.parametrize("form", TWO)
def test_two_in_every_form(form, three, oracle):
    given = iter(["ZZI", "IXY"]) if form == "iterator" else TWO[form]
    wanted = oracle(three, [SparsePauliOp("ZZI"), SparsePauliOp("IXY")], [[0.7]])
    with open_backend("aer_statevector") as backend:
        values = backend.run(backend.prepare(three, given), [[0.7]]).values
    assert np.abs(wanted).min() > 0.01
    np.testing.assert_allclose(values, wanted, atol=1e-9)


def test_projectors(three, oracle):
    """Labels of Qiskit's extended alphabet: 0 is (1 + Z) / 2."""
    wanted = oracle(three, [SparsePauliOp(["IZI", "ZZI"], [0.5, 0.5])], [[0.7]])
    with open_backend("aer_statevector") as backend:
        values = backend.run(backend.prepare(three, "0ZI"), [[0.7]]).values
    np.testing.assert_allclose(values, wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("observables", "words"),
    [
        ("ZQI", "such as 'ZII'.*got 'ZQI'"),
        (3, "got 3"),
        (None, "got None"),
        ([("ZZI", 0.5)], r"got \('ZZI', 0.5\)"),
        ([["ZZI"]], r"got \['ZZI'\]"),
        ([], "at least one observable"),
        ({}, "got {}"),
        ("ZZ", "of 3 qubits, got one of 2"),
        (SparsePauliOp("ZZI", 1j), "Hermitian"),
        (SparsePauliOp("ZZI", np.nan), "finite coefficients, got nan"),
        ({"ZZI": float("inf")}, "finite coefficients"),
        (SparsePauliOp("ZZI", np.array([Parameter("a")])), "the parameter a: bind it"),
        (np.eye(8), r"Operator\(matrix\)"),
        ([np.eye(8)], r"Operator\(matrix\)"),
    ],
)
def test_what_is_no_observable_is_one_line(observables, words, three):
    with (
        open_backend("aer_statevector") as backend,
        pytest.raises(InvalidValueError, match=words) as caught,
    ):
        backend.prepare(three, observables)
    assert "\n" not in str(caught.value)
