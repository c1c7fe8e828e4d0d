from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import zz_feature_map
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from hybridq_backends import Executable, IbmRuntime, Noisy, Statevector, list_backends, open_backend
from hybridq_backends.errors import InvalidValueError, UnavailableError
from hybridq_backends.utils.seeds import SeedSequenceCounter, shots_of


@pytest.mark.parametrize("name", sorted(set(list_backends()) - {"ibm"}))
def test_every_profile_opens_and_runs(name, problem):
    circuit, observables, points, exact = problem
    with open_backend(name) as executable:
        assert isinstance(executable.estimator, BaseEstimatorV2)
        prepared = executable.prepare(circuit, observables)
        values, stds = executable.run(prepared, points)
        assert values.shape == stds.shape == exact.shape
        assert values.dtype == np.float64
        assert executable.num_jobs == 1
        tolerance = 1e-9 if name == "aer_statevector" else 0.45
        np.testing.assert_allclose(values, exact, atol=tolerance)
        assert executable.is_exact == (stds.max() == 0) == (executable.precision == 0)
        record = executable.describe()
        assert json.loads(json.dumps(record)) == record
        assert record["profile"] == name
        assert set(record["versions"]) >= {"qiskit", "qiskit-aer", "qiskit-ibm-runtime"}
        if "fake" in name or name in {"aer_noisy", "ibm_rehearsal"}:
            assert record["device"].startswith("fake_")
            assert record["calibration_date"][:2] == "20"


def test_exact_values_equal_aers_own_estimator(problem):
    circuit, observables, points, _ = problem
    with open_backend("aer_statevector") as executable:
        prepared = executable.prepare(circuit, observables)
        ours = executable.run(prepared, points).values
        pub = (prepared.isa_circuit, [[o] for o in prepared.observables], points)
        theirs = EstimatorV2().run([pub], precision=0.0).result()[0].data.evs
    np.testing.assert_allclose(ours, theirs.T, atol=1e-12)


def test_exact_estimator_adds_no_noise_whatever_the_precision(problem):
    circuit, observables, points, exact = problem
    with open_backend("aer_statevector") as executable:
        prepared = executable.prepare(circuit, observables)
        pub = (prepared.isa_circuit, prepared.column, points)
        for precision in (None, 0.0, 0.1):
            data = executable.estimator.run([pub], precision=precision).result()[0].data
            np.testing.assert_allclose(data.evs, exact.T, atol=1e-9)
            assert not data.stds.any()


def test_estimator_binds_expressions(oracle):
    circuit = zz_feature_map(3, reps=1)
    points = np.random.default_rng(1).uniform(-1, 1, (2, 3))
    for name in ("aer_statevector", "fake_manila,noise_scale=0,shots=none"):
        with open_backend(name) as executable:
            prepared = executable.prepare(circuit, "XZY")
            pub = (prepared.isa_circuit, prepared.observables[0], points)
            data = executable.estimator.run([pub]).result()[0].data
        np.testing.assert_allclose(
            data.evs, oracle(circuit, [SparsePauliOp("XZY")], points)[:, 0], atol=1e-9
        )


@pytest.mark.parametrize("name", ["aer_statevector", "depolarizing,shots=none", "aer_shots"])
def test_estimators_broadcast_as_qiskit_does(name, problem):
    circuit, observables, points, _ = problem
    with open_backend(name) as executable:
        prepared = executable.prepare(circuit, observables)
        column = [[[o]] for o in prepared.observables]
        grid = np.stack([points, points + 0.1])
        evs = executable.estimator.run([(prepared.isa_circuit, column, grid)]).result()[0].data.evs
        assert evs.shape == (5, 2, 3)
        if executable.is_exact:
            flat = executable.run(prepared, grid.reshape(6, 6)).values
            np.testing.assert_allclose(evs.reshape(5, 6).T, flat, atol=1e-12)


def test_one_pub_in_one_job(problem, monkeypatch):
    circuit, observables, points, _ = problem
    with open_backend("aer_shots") as executable:
        prepared = executable.prepare(circuit, observables)
        sent = []
        run = executable.estimator.run
        monkeypatch.setattr(
            executable.estimator, "run", lambda pubs, **k: sent.append(list(pubs)) or run(pubs, **k)
        )
        executable.run(prepared, np.tile(points, (5, 1)))
    assert [len(pubs) for pubs in sent] == [1]


def test_circuits_without_parameters():
    circuit = QuantumCircuit(2)
    circuit.x(0)
    for name in ("aer_statevector", "aer_shots", "fake_manila", "fake_manila,shots=none"):
        with open_backend(name) as executable:
            prepared = executable.prepare(circuit, ["IZ", "ZI", "II"])
            values = executable.run(prepared, np.zeros((3, 0))).values
            assert values.shape == (3, 3)
            np.testing.assert_allclose(values, [[-1, 1, 1]] * 3, atol=0.15)


def test_shots_are_sampled_and_independent():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    with open_backend("aer_shots", shots=100) as executable:
        values = executable.run(executable.prepare(circuit, "Z"), np.zeros((400, 0))).values[:, 0]
    assert len(np.unique(values)) > 15
    np.testing.assert_allclose(values * 100, np.round(values * 100), atol=1e-9)
    assert np.std(values) == pytest.approx(0.1, rel=0.2)
    assert abs(np.mean(values)) < 5 * 0.1 / 20


def test_stds_match_the_spread(problem):
    circuit, observables, points, _ = problem
    with open_backend("aer_shots", shots=256) as executable:
        prepared = executable.prepare(circuit, observables)
        values, stds = executable.run(prepared, np.tile(points[:1], (600, 1)))
    np.testing.assert_allclose(np.std(values, axis=0), stds.mean(axis=0), rtol=0.2)


def test_jobs_differ_and_sequences_repeat(problem):
    circuit, observables, points, _ = problem

    def jobs():
        with open_backend("fake_manila", shots=256, seed=3) as executable:
            prepared = executable.prepare(circuit, observables)
            return [executable.run(prepared, points).values for _ in range(2)]

    first, second = jobs()
    again = jobs()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal([first, second], again)
    with open_backend("fake_manila", shots=256) as executable:
        prepared = executable.prepare(circuit, observables)
        given = [executable.run(prepared, points, seed=9).values for _ in range(2)]
    np.testing.assert_array_equal(*given)


def test_seeds_and_shots():
    counter = SeedSequenceCounter(5)
    taken = [counter.next() for _ in range(50)]
    assert taken[0] == 5
    assert len(set(taken)) == 50
    for shots in (1, 7, 100, 1000, 4096, 99_999):
        assert shots_of(1 / np.sqrt(shots), 1) == shots
    assert shots_of(None, 12) == shots_of(0.0, 12) == 12


def test_large_batches_are_chunked(monkeypatch, problem):
    circuit, observables, points, _ = problem
    many = np.tile(points, (4, 1))
    results = {}
    for most in (8192, 5):
        monkeypatch.setattr("hybridq_backends.simulators.aer._MOST_POINTS", most)
        for name in ("aer_statevector", "fake_manila,shots=none"):
            with open_backend(name) as executable:
                prepared = executable.prepare(circuit, observables)
                results[name, most] = executable.run(prepared, many).values
    for name in ("aer_statevector", "fake_manila,shots=none"):
        np.testing.assert_allclose(results[name, 5], results[name, 8192], atol=1e-14)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(6), r"\(batch, 6\)"),
        (np.zeros((2, 5)), r"\(2, 5\)"),
        (np.zeros((0, 6)), r"\(0, 6\)"),
        (np.full((1, 6), np.nan), "finite"),
        (np.full((1, 6), np.inf), "finite"),
        ([["a"] * 6], "real numbers"),
    ],
)
def test_bad_parameter_values(values, words, problem):
    circuit, observables, _, _ = problem
    with open_backend("aer_statevector") as executable:
        prepared = executable.prepare(circuit, observables)
        with pytest.raises(InvalidValueError, match=words):
            executable.run(prepared, values)


def test_a_circuit_that_was_not_prepared_is_refused(problem):
    with open_backend("aer_statevector") as executable:
        for run in (executable.run, executable.run_angles):
            with pytest.raises(InvalidValueError, match=r"`prepare` returned, got QuantumCircuit"):
                run(problem[0], problem[2])


def test_prepared_for_another_backend_is_refused(problem):
    circuit, observables, points, _ = problem
    with open_backend("fake_torino") as torino, open_backend("fake_manila") as manila:
        prepared = torino.prepare(circuit, observables)
        with pytest.raises(InvalidValueError, match="fake_manila"):
            manila.run(prepared, points)
        unmarked = QuantumCircuit(2)
        with pytest.raises(InvalidValueError, match="prepare"):
            manila.estimator.run([(unmarked, "ZZ")]).result()


def test_closed_backends_refuse_work(problem):
    circuit, observables, _, _ = problem
    executable = open_backend("aer_statevector")
    executable.close()
    executable.close()
    with pytest.raises(InvalidValueError, match="closed"):
        executable.prepare(circuit, observables)


@pytest.mark.parametrize("name", ["aer_statevector", "aer_shots", "fake_manila", "depolarizing"])
def test_copies_and_pickles_give_the_same(name, problem):
    circuit, observables, points, _ = problem
    original = open_backend(name)
    copies = [copy.deepcopy(original), pickle.loads(pickle.dumps(original))]
    values = []
    for executable in (original, *copies):
        values.append(executable.run(executable.prepare(circuit, observables), points).values)
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])


def test_specs_open_too():
    assert open_backend(Statevector(shots=None)).is_exact
    assert open_backend(Statevector(), shots=16).precision == 0.25
    assert open_backend(Noisy(readout_error=0.1)).describe()["readout_error"] == 0.1
    assert open_backend(IbmRuntime(rehearse="manila")).describe()["device"] == "fake_manila"


def test_only_simulators_of_ours_have_a_machine(problem):
    circuit, observables, *_ = problem
    with open_backend("fake_manila", engine="torch", shots=None) as executable:
        assert executable.engine == executable.describe()["engine"] == "torch"
        prepared = executable.prepare(circuit, observables)
        assert "cx" in executable.machine(prepared).noise_model.noise_instructions
    with open_backend("aer_statevector") as executable:
        prepared = executable.prepare(circuit, observables)
        with pytest.raises(UnavailableError, match="no noise model"):
            executable.machine(prepared)


def test_the_engine_is_recorded(problem):
    circuit, observables, points, exact = problem
    names = {"aer_statevector": "aer", "statevector": "torch", "fake_manila": "aer"}
    for name, engine in {**names, "ibm_rehearsal": "ibm"}.items():
        executable = open_backend(name)
        assert executable.engine == executable.describe()["engine"] == engine
        assert executable.is_local
    statevector = open_backend("statevector")
    assert statevector.is_exact
    values = statevector.run(statevector.prepare(circuit, observables), points).values
    np.testing.assert_allclose(values, exact, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*no QubitProperties")
def test_any_backend(problem):
    circuit, observables, points, exact = problem
    devices = [GenericBackendV2(5, seed=1, noise_info=False), AerSimulator(), FakeManilaV2()]
    for device in devices:
        executable = Executable.from_backend(device, shots=2000, seed=1)
        prepared = executable.prepare(circuit, observables)
        tolerance = 0.4 if isinstance(device, FakeManilaV2) else 0.12
        result = executable.run(prepared, points)
        np.testing.assert_allclose(result.values, exact, atol=tolerance)
        assert executable.precision == pytest.approx(2000**-0.5)
        record = executable.describe()
        assert (record["shots"], record["seed"]) == (2000, 1)
        assert json.dumps(record)
        first, again = (executable.run(prepared, points, seed=4).values for _ in range(2))
        np.testing.assert_array_equal(first, again)
    with pytest.raises(TypeError, match="open it again"):
        pickle.dumps(executable)


def test_repr_is_short():
    assert repr(open_backend("fake_manila")) == "Executable('fake_manila', num_qubits=5)"
