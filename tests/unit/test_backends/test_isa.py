from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import zz_feature_map
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from hybridq_backends import Executable, open_backend
from hybridq_backends.compile.gate_angles import split_angles
from hybridq_backends.compile.subset import CutBackend, cut_target, keep_qubits, used_qubits
from hybridq_backends.compile.transpile import EXACT_BASIS
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError


def test_angles_are_plain_and_affine(problem):
    circuit, observables, points, exact = problem
    for name in ("aer_statevector", "fake_manila,noise_scale=0,shots=none"):
        with open_backend(name) as executable:
            prepared = executable.prepare(circuit, observables)
            assert prepared.parameters == tuple(circuit.parameters)
            assert not prepared.angles.rows
            assert prepared.num_angles == prepared.circuit.num_parameters > 6
            angles = [
                value
                for instruction in prepared.circuit.data
                for value in instruction.operation.params
                if not isinstance(value, float | int)  # constant angles, and times to wait
            ]
            assert all(isinstance(angle, Parameter) for angle in angles)
            assert list(prepared.circuit.parameters) == angles
            phi = prepared.angles(points)
            again = executable.run_angles(prepared, phi).values
            np.testing.assert_allclose(again, exact, atol=1e-9)


def test_nonlinear_expressions_and_their_slopes(oracle):
    x = ParameterVector("x", 3)
    circuit = zz_feature_map(3, reps=1).assign_parameters(list(x))
    circuit.ry(x[0].sin() * x[1] ** 2 + 0.5 * x[2], 0)
    observables = ["IIZ", "ZXY"]
    points = np.random.default_rng(0).uniform(-2, 2, (4, 3))
    with open_backend("aer_statevector") as executable:
        prepared = executable.prepare(circuit, observables)
        assert prepared.angles.rows
        values = executable.run(prepared, points).values
    expected = oracle(circuit, [SparsePauliOp(o) for o in observables], points)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    slopes = prepared.angles.jacobian(points)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-6
        numeric = (prepared.angles(points + step) - prepared.angles(points - step)) / 2e-6
        np.testing.assert_allclose(slopes[:, :, column], numeric, atol=1e-6)


def test_jacobian_of_an_affine_map_is_its_matrix(problem):
    circuit, observables, points, _ = problem
    with open_backend("aer_statevector") as executable:
        angles = executable.prepare(circuit, observables).angles
    slopes = angles.jacobian(points)
    np.testing.assert_array_equal(slopes, np.broadcast_to(angles.matrix, slopes.shape))


def test_parameter_shift_on_plain_angles_is_exact(problem):
    circuit, observables, points, _ = problem
    for name in ("aer_statevector", "fake_manila,shots=none"):
        with open_backend(name) as executable:
            prepared = executable.prepare(circuit, observables)
            phi = prepared.angles(points[:1])[0]
            shifts = np.pi / 2 * np.eye(prepared.num_angles)
            both = executable.run_angles(prepared, np.concatenate([phi + shifts, phi - shifts]))
            plus, minus = np.split(both.values, 2)
            by_angle = (plus - minus) / 2.0
            gradient = prepared.angles.jacobian(points[:1])[0].T @ by_angle
            assert executable.num_jobs == 1
            step = 1e-5 * np.eye(6)
            moved = executable.run(prepared, np.concatenate([points[0] + step, points[0] - step]))
            numeric = (moved.values[:6] - moved.values[6:]) / 2e-5
            np.testing.assert_allclose(gradient, numeric, atol=1e-8)


@pytest.mark.parametrize("name", EXACT_BASIS)
def test_every_gate_of_the_exact_basis_runs(name, oracle):
    """In particular that Aer binds the parameters of each of them at run time."""
    theta = ParameterVector("t", 1)
    circuit = QuantumCircuit(2)
    circuit.ry(0.7, 0)
    circuit.rx(0.4, 1)
    gate = getattr(circuit, name)
    operands = [0, 1] if name in {"rxx", "ryy", "rzz", "cx", "cy", "cz", "ecr", "swap"} else [0]
    if name in {"rx", "ry", "rz", "rxx", "ryy", "rzz", "p"}:
        gate(theta[0], *operands)
    else:
        gate(*operands)
        circuit.rx(theta[0], 1)
    observables = [SparsePauliOp(label) for label in ("IZ", "ZI", "XY", "YX", "ZZ")]
    points = np.array([[0.3], [-2.0], [7.0]])
    with open_backend("aer_statevector,optimization_level=0") as executable:
        prepared = executable.prepare(circuit, observables)
        values = executable.run(prepared, points).values
    np.testing.assert_allclose(values, oracle(circuit, observables, points), atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_random_circuits_match_a_statevector(seed):
    from qiskit.circuit.random import random_circuit

    circuit = random_circuit(3, 4, max_operands=2, seed=seed)
    observables = [SparsePauliOp(label) for label in ("IIZ", "XIY", "ZZZ")]
    state = Statevector(circuit)
    expected = [[state.expectation_value(o).real for o in observables]]
    for name in ("aer_statevector", "depolarizing,noise_scale=0,shots=none"):
        with open_backend(name) as executable:
            prepared = executable.prepare(circuit, observables)
            values = executable.run(prepared, np.zeros((1, 0))).values
        np.testing.assert_allclose(values, expected, atol=1e-9)


def test_prepare_is_cached(problem):
    circuit, observables, _, _ = problem
    with open_backend("aer_statevector") as executable:
        first = executable.prepare(circuit, observables)
        assert executable.prepare(circuit.copy(), list(observables)) is not None
        assert executable.prepare(circuit, observables) is first
        assert executable.prepare(circuit, observables[:2]) is not first
        assert executable.prepare(circuit, observables, initial_layout=[3, 1, 0, 2]) is not first
        changed = circuit.copy()
        changed.x(0)
        assert executable.prepare(changed, observables) is not first


def test_split_keeps_constants_and_refuses_other_operations():
    t = Parameter("t")
    circuit = QuantumCircuit(1)
    circuit.rz(0.5, 0)
    circuit.rz(t - t + 0.25, 0)
    circuit.rx(3 * t, 0)
    plain, angles = split_angles(circuit, [t])
    np.testing.assert_allclose(angles(np.array([[2.0]])), [[0.25, 6.0]])
    bound = plain.assign_parameters([0.25, 6.0])
    assert Operator(bound).equiv(circuit.assign_parameters([2.0]))
    waiting = QuantumCircuit(1)
    waiting.delay(t, 0)
    with pytest.raises(InvalidValueError, match="delay"):
        split_angles(waiting, [t])


def test_prepared_can_be_pickled(problem):
    circuit, observables, points, exact = problem
    with open_backend("aer_statevector") as executable:
        prepared = pickle.loads(pickle.dumps(executable.prepare(circuit, observables)))
        np.testing.assert_allclose(executable.run(prepared, points).values, exact, atol=1e-9)


def test_cut_target_keeps_errors_and_times():
    whole = fake_device("torino")
    qubits = (18, 31, 32, 33)
    cut = CutBackend(whole, reversed(qubits))
    assert cut.qubits == qubits
    assert cut.target.num_qubits == 4
    assert cut.target.dt == whole.target.dt
    couplings = {
        (a, b)
        for a, x in enumerate(qubits)
        for b, y in enumerate(qubits)
        if (x, y) in whole.target["cz"]
    }
    assert set(cut.target["cz"]) == couplings
    for a, b in couplings:
        assert cut.target["cz"][a, b] == whole.target["cz"][qubits[a], qubits[b]]
    for i, qubit in enumerate(qubits):
        assert cut.target["measure"][(i,)] == whole.target["measure"][(qubit,)]
        assert cut.target.qubit_properties[i].t1 == whole.target.qubit_properties[qubit].t1
    assert set(cut.operation_names) == set(whole.operation_names)
    assert not hasattr(cut, "simulator")
    alone = cut_target(whole.target, [5])
    assert "cz" not in alone.operation_names


def test_keep_qubits_relabels():
    circuit = QuantumCircuit(6)
    circuit.h(4)
    circuit.barrier()
    circuit.cx(4, 1)
    assert used_qubits(circuit) == {1, 4}
    kept = keep_qubits(circuit, [1, 4])
    assert kept.num_qubits == 2
    expected = QuantumCircuit(2)
    expected.h(1)
    expected.cx(1, 0)
    kept.data = [item for item in kept.data if item.operation.name != "barrier"]
    assert Operator(kept).equiv(Operator(expected))


@pytest.mark.parametrize("name", ["FakeJakartaV2", "fake_jakarta", "jakarta", "FAKE_JAKARTA_V2"])
def test_device_names(name):
    assert type(fake_device(name)).__name__ == "FakeJakartaV2"


def test_unknown_device_gets_a_suggestion():
    with pytest.raises(InvalidValueError, match="FakeTorino"):
        open_backend("aer_noisy", device="FakeTorinno")


def test_final_measurements_are_dropped_others_refused(problem):
    circuit, observables, points, exact = problem
    measured = circuit.copy()
    measured.measure_all()
    with open_backend("aer_statevector") as executable:
        prepared = executable.prepare(measured, observables)
        np.testing.assert_allclose(executable.run(prepared, points).values, exact, atol=1e-9)
        middle = QuantumCircuit(1, 1)
        middle.measure(0, 0)
        middle.x(0)
        with pytest.raises(InvalidValueError, match="measure"):
            executable.prepare(middle, "Z")
        branching = QuantumCircuit(1, 1)
        with branching.if_test((branching.clbits[0], 1)):
            branching.x(0)
        with pytest.raises(InvalidValueError, match="if_else"):
            executable.prepare(branching, "Z")


@pytest.mark.parametrize(
    ("observables", "words"),
    [
        ([], "at least one"),
        (["ZZ"], "of 3 qubits"),
        (["ZQZ"], "letters"),
        ([SparsePauliOp(["ZII"], [1j])], "Hermitian"),
    ],
)
def test_bad_observables(observables, words):
    with (
        open_backend("aer_statevector") as executable,
        pytest.raises(InvalidValueError, match=words),
    ):
        executable.prepare(QuantumCircuit(3), observables)


@pytest.mark.parametrize(
    "layout", [[0, 1], [0, 0, 1], [0, 1, 99], [-1, 0, 1], "abc", {0, 1, 2}, 3, [0, 1, 2.5]]
)
def test_bad_layouts(layout):
    for name in ("aer_statevector", "fake_manila"):
        with (
            open_backend(name) as executable,
            pytest.raises(InvalidValueError, match="initial_layout"),
        ):
            executable.prepare(QuantumCircuit(3), "ZZZ", initial_layout=layout)


@pytest.mark.parametrize("name", ["fake_manila", "ibm_rehearsal,rehearse=FakeManilaV2"])
@pytest.mark.parametrize(
    ("length", "unit", "words"),
    [
        (100, "ns", r"16 dt \(3.556 ns\).*got 100.* ns \(450 dt\): write 448 with"),
        (5, "dt", r"write 16 with unit=\"dt\""),
        (Parameter("t"), "us", "got t as the length of a delay: bind it"),
    ],
)
def test_delays_off_the_devices_clock_are_refused(name, length, unit, words):
    circuit = QuantumCircuit(1)
    circuit.delay(length, 0, unit=unit)
    with open_backend(name) as executable, pytest.raises(InvalidValueError, match=words):
        executable.prepare(circuit, "Z")


def test_delays_on_the_devices_clock_are_taken():
    for length, unit in ((480, "dt"), (32 / 9, "us")):
        circuit = QuantumCircuit(1)
        circuit.delay(length, 0, unit=unit)
        with open_backend("fake_manila") as executable:
            assert "delay" in executable.prepare(circuit, "Z").circuit.count_ops()


def test_too_many_qubits_names_the_limit():
    for name in ("fake_manila", "depolarizing", "aer_statevector", "ibm_rehearsal"):
        with open_backend(name) as executable:
            circuit = QuantumCircuit(executable.num_qubits + 1)
            with pytest.raises(InvalidValueError, match=f"1 to {executable.num_qubits}"):
                executable.prepare(circuit, "Z" * circuit.num_qubits)


def test_layouts_of_jakarta_change_nothing(problem):
    """The acceptance test: 20 random layouts, the logical circuit's values to 1e-9."""
    circuit, observables, points, exact = problem
    rng = np.random.default_rng(7)
    executable: Executable
    with open_backend("aer_noisy", device="FakeJakartaV2", noise_scale=0, shots=None) as executable:
        seen = set()
        for _ in range(20):
            layout = [int(q) for q in rng.permutation(7)[:4]]
            prepared = executable.prepare(circuit, observables, initial_layout=layout)
            assert set(layout) <= set(prepared.qubits)
            assert list(prepared.qubits) == sorted(prepared.qubits)
            seen.add(prepared.layout)
            values = executable.run(prepared, points).values
            np.testing.assert_allclose(values, exact, atol=1e-9)
    assert len(seen) > 5


def test_initial_layout_is_where_the_circuit_runs():
    circuit = QuantumCircuit(2)
    circuit.ry(0.4, 0)
    for name in ("fake_torino", "aer_shots", "ibm_rehearsal"):
        with open_backend(name) as executable:
            prepared = executable.prepare(circuit, ["IZ"], initial_layout=[17, 4])
            assert prepared.qubits == (4, 17)
            assert prepared.layout == (1, 0)
            assert prepared.observables[0].to_list() == [("ZI", 1.0)]
