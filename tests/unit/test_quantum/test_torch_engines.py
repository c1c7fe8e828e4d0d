"""What an executable with `engine=torch` computes, torch computes: `run`, estimator and layer."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp

from hybridq.errors import InvalidValueError
from hybridq.quantum.circuits import build_circuit
from hybridq_backends import open_backend
from hybridq_backends.simulators.aer import ExactEstimator, MeasuringEstimator

OBSERVABLES = [
    SparsePauliOp("IIZ"),
    SparsePauliOp(["XYI", "ZZZ", "III"], [0.5, -1.5, 0.25]),
    SparsePauliOp("IXX"),
]
NOISY = "fake_manila,engine=torch"


@pytest.fixture
def no_aer(monkeypatch):
    """Aer may compile, but nothing runs on it."""

    def refuse(*args, **kwargs):
        raise AssertionError("Aer ran a circuit")

    for estimator in (ExactEstimator, MeasuringEstimator):
        monkeypatch.setattr(estimator, "_run_pub", refuse)


@pytest.fixture
def circuit():
    return build_circuit(3, encoding="angle", ansatz="ry_cz").circuit


@pytest.fixture
def points(circuit):
    rows = np.random.default_rng(0).uniform(-3, 3, (5, circuit.num_parameters))
    rows[:, 2] = 0.7  # one that all rows share
    return rows


def values_of(backend, circuit, points, **options):
    with open_backend(backend) as executable:
        return executable.run(executable.prepare(circuit, OBSERVABLES), points, **options)


@pytest.mark.parametrize(
    ("ours", "aer", "within"),
    [
        ("statevector", "aer_statevector", 1e-12),
        ("statevector,dtype=float32", "aer_statevector", 1e-5),
        (f"{NOISY},shots=none", "fake_manila,shots=none", 1e-8),
        ("thermal,engine=torch,shots=none", "thermal,engine=aer,shots=none", 1e-8),
    ],
)
def test_run_is_computed_by_torch_and_equals_aer(request, circuit, points, ours, aer, within):
    expected = values_of(aer, circuit, points)
    request.getfixturevalue("no_aer")
    found = values_of(ours, circuit, points)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=within)
    assert not found.stds.any()


def test_shots_are_drawn_by_torch_as_aer_draws_them(request, circuit, points):
    """Means and standard errors within what so many shots leave."""
    rows = np.repeat(points[:1], 400, axis=0)
    aer = values_of("fake_manila,shots=256", circuit, rows)
    exact = values_of("fake_manila,shots=none", circuit, points[:1])
    request.getfixturevalue("no_aer")
    ours = values_of(f"{NOISY},shots=256", circuit, rows)
    spread, wanted = ours.values.std(axis=0), aer.values.std(axis=0)
    np.testing.assert_allclose(spread, wanted, rtol=6 * np.sqrt(1 / 400))  # of each: 1/sqrt(2n)
    # Aer's standard errors are estimates from the same shots, and scatter
    np.testing.assert_allclose(ours.stds[0], aer.stds.mean(axis=0), rtol=0.05)
    margin = 6 * ours.stds[0] / np.sqrt(len(rows))
    assert (abs(ours.values.mean(axis=0) - exact.values[0]) < margin).all()


def test_seeds_repeat_and_differ(no_aer, circuit, points):
    with open_backend(f"{NOISY},shots=64,seed=3") as executable:
        prepared = executable.prepare(circuit, OBSERVABLES)
        first, second = (executable.run(prepared, points).values for _ in range(2))
        chosen = executable.run(prepared, points, seed=3).values
    again = values_of(f"{NOISY},shots=64,seed=3", circuit, points).values
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(chosen, first)  # the first job takes the seed itself


def test_exact_values_need_no_seed(no_aer, circuit, points):
    found = [values_of("statevector", circuit, points, seed=seed).values for seed in (None, 1)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("backend", ["statevector", f"{NOISY},shots=none"])
def test_the_estimator_takes_pubs_of_any_shape(no_aer, circuit, points, backend):
    with open_backend(backend) as executable:
        prepared = executable.prepare(circuit, OBSERVABLES)
        expected = executable.run(prepared, points).values
        angles = prepared.angles(points)
        grid = angles[:4].reshape(2, 2, -1)
        run = executable.estimator.run
        column = run([(prepared.circuit, [[one] for one in prepared.observables], angles)]).result()
        cells = run([(prepared.circuit, prepared.observables[1], grid)]).result()
    np.testing.assert_allclose(column[0].data.evs.T, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cells[0].data.evs.ravel(), expected[:4, 1], rtol=0, atol=1e-12)


def test_too_wide_for_a_density_matrix_is_refused_when_it_is_prepared():
    wide = build_circuit(9, encoding="angle", ansatz="ry_cz").circuit
    with (
        open_backend("depolarizing,engine=torch,shots=none") as executable,
        pytest.raises(InvalidValueError, match="at most 8 qubits"),
    ):
        executable.prepare(wide, "Z" * 9)
