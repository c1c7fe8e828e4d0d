from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ClassicalRegister
from qiskit.primitives import BackendEstimatorV2
from qiskit.quantum_info import Choi, DensityMatrix, SparsePauliOp, SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import ReadoutError, depolarizing_error, pauli_error
from qiskit_aer.noise import thermal_relaxation_error as relaxation

from hybridq_backends import open_backend
from hybridq_backends.compile.subset import CutBackend, keep_qubits
from hybridq_backends.compile.transpile import compile_on_target, kept_for, with_delays
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.noise.device import (
    apply_assignments,
    device_assignments,
    device_noise,
    flip_matrix,
    scale_assignment,
    scale_channel,
    scale_rate,
)
from hybridq_backends.simulators.aer import sample_counts


def gates(num_qubits, depth=2, seed=0):
    """A bound, entangling circuit."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits)
    for _ in range(depth):
        for qubit in range(num_qubits):
            circuit.ry(rng.uniform(-3, 3), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


@pytest.fixture(scope="module")
def full_torino():
    """All 133 qubits with their noise; seconds to build, seconds to run."""
    return AerSimulator.from_backend(fake_device("torino"), method="density_matrix")


@pytest.mark.parametrize("num_qubits", [4, 6])
def test_cut_counts_equal_the_full_devices(num_qubits, full_torino):
    device = fake_device("torino")
    isa, ends = compile_on_target(
        gates(num_qubits), device.target, optimization_level=3, seed=11, initial_layout=None
    )
    qubits = kept_for(isa, ends)
    measured = with_delays(isa, device.target)
    # Only the kept qubits are measured, in ascending order.
    measured.add_register(ClassicalRegister(len(qubits)))
    measured.measure(qubits, range(len(qubits)))
    expected = full_torino.run(measured, shots=2000, seed_simulator=11).result().get_counts()
    cut = CutBackend(device, qubits)
    simulator = AerSimulator(method="density_matrix", noise_model=device_noise(cut))
    timed = with_delays(keep_qubits(isa, qubits), cut.target)
    counts = sample_counts(simulator, timed, shots=2000, seed=11)
    assert counts == {int(word, 2): count for word, count in expected.items()}
    # And the backend itself gives the expectation values of these counts.
    with open_backend("fake_torino", shots=2000, seed=11) as executable:
        labels = ["I" * (num_qubits - 1 - q) + "Z" + "I" * q for q in range(num_qubits)]
        prepared = executable.prepare(gates(num_qubits), labels)
        assert prepared.qubits == qubits
        values = executable.run(prepared, np.zeros((1, 0))).values[0]
    for qubit, value in enumerate(values):
        bit = qubits.index(ends[qubit])
        by_hand = sum(n * (1 - 2 * (word >> bit & 1)) for word, n in counts.items()) / 2000
        assert value == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.slow
def test_cut_is_at_least_twenty_times_faster_at_batch_32(full_torino):
    circuit = gates(4)
    with open_backend("fake_torino", shots=1024) as executable:
        prepared = executable.prepare(circuit, "ZZZZ")
        executable.run(prepared, np.zeros((32, 0)))
        start = time.perf_counter()
        executable.run(prepared, np.zeros((32, 0)))
        cut_time = time.perf_counter() - start
        device = fake_device("torino")
        isa, ends = compile_on_target(
            circuit, device.target, optimization_level=3, seed=0, initial_layout=None
        )
        observable = SparsePauliOp("ZZZZ").apply_layout(list(ends), num_qubits=133)
    estimator = BackendEstimatorV2(backend=full_torino, options={"seed_simulator": 0})
    pub = (isa, observable, np.zeros((32, 0)))
    start = time.perf_counter()
    estimator.run([pub], precision=1 / 32).result()
    full_time = time.perf_counter() - start
    assert full_time / cut_time >= 20


@settings(max_examples=12, deadline=None)
@given(st.floats(0.0, 6.0), st.integers(0, 3))
def test_scaled_channels_are_channels(scale, which):
    channel = [
        depolarizing_error(0.1, 2),
        relaxation(50e-6, 70e-6, 1e-6),
        relaxation(50e-6, 30e-6, 2e-6, 0.1).compose(depolarizing_error(0.05, 1)),
        pauli_error([("X", 0.3), ("I", 0.7)]),
    ][which]
    scaled = SuperOp(scale_channel(channel, scale))
    assert Choi(scaled).is_cptp(atol=1e-10)
    whole, rest = int(np.floor(scale)), scale - np.floor(scale)
    single = SuperOp(channel).data
    mixture = (1 - rest) * np.eye(len(single)) + rest * single
    expected = np.linalg.matrix_power(single, whole) @ mixture
    np.testing.assert_allclose(scaled.data, expected, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 8.0), st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_scaled_assignments_stay_stochastic(scale, zero, one):
    matrix = np.array([[1 - zero, zero], [one, 1 - one]])
    scaled = scale_assignment(matrix, scale)
    assert (scaled >= -1e-15).all()
    np.testing.assert_allclose(scaled.sum(axis=1), 1.0)
    if scale == int(scale):
        np.testing.assert_allclose(scaled, np.linalg.matrix_power(matrix, int(scale)))


def test_scaled_rates_compose():
    assert scale_rate(0.1, 0) == 0
    assert scale_rate(0.1, 1) == pytest.approx(0.1)
    assert scale_rate(0.1, 2) == pytest.approx(1 - 0.9**2)
    twice = SuperOp(depolarizing_error(0.1, 1)).power(2)
    np.testing.assert_allclose(twice.data, SuperOp(depolarizing_error(scale_rate(0.1, 2), 1)).data)


def test_scale_one_is_the_device_and_zero_is_none():
    cut = CutBackend(fake_device("manila"), [0, 1])
    assert device_noise(cut, 0.0).is_ideal()
    assert device_assignments(cut.target, 0.0) == {}
    aers = device_noise(cut, 1.0)
    nearly = device_noise(cut, 1.0 + 1e-12)
    assert set(aers.noise_instructions) == set(nearly.noise_instructions)
    assert len(nearly._custom_noise_passes) == len(aers._custom_noise_passes) == 1


def test_delays_relax_with_times_divided_by_the_scale():
    cut = CutBackend(fake_device("manila"), [0])
    t1 = cut.target.qubit_properties[0].t1
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.delay(20_000, 0, unit="ns")
    circuit.save_density_matrix(label="rho")
    left = {}
    for scale in (0.5, 2.0):
        simulator = AerSimulator(method="density_matrix", noise_model=device_noise(cut, scale))
        state = simulator.run(transpile(circuit, simulator)).result().data()["rho"]
        left[scale] = np.real(np.asarray(state)[1, 1])
        assert left[scale] == pytest.approx(np.exp(-20e-6 * scale / t1), abs=5e-3)
    assert left[2.0] < left[0.5]


def test_readout_transforms_distributions():
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(8), size=2)
    a, b = np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([[0.8, 0.2], [0.05, 0.95]])
    # Bit 0 is the last factor of the Kronecker product.
    full = np.kron(np.kron(b, np.eye(2)), a)
    np.testing.assert_allclose(apply_assignments(table, [a, None, b]), table @ full)


def test_depolarising_and_readout_match_closed_forms():
    """x leaves <Z> = -(1 - p1); each pair of cx costs (1 - p2)^2; a flip costs 1 - 2 q."""
    p1, p2, q = 0.03, 0.05, 0.07
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.barrier()
    circuit.cx(0, 1)
    circuit.barrier()
    circuit.cx(0, 1)
    for scale in (0.0, 1.0, 2.0, 0.5):
        flip = (1 - 2 * q) ** int(scale) * (1 - 2 * q * (scale % 1))
        keep_1, keep_2 = (1 - p1) ** scale, (1 - p2) ** scale
        with open_backend(
            "depolarizing",
            error_rate_1q=p1,
            error_rate_2q=p2,
            readout_error=q,
            noise_scale=scale,
            shots=None,
        ) as executable:
            prepared = executable.prepare(circuit, ["IZ", "ZZ", "II"])
            values = executable.run(prepared, np.zeros((1, 0))).values[0]
        expected = [-keep_1 * keep_2**2 * flip, -keep_1 * keep_2**2 * flip**2, 1.0]
        np.testing.assert_allclose(values, expected, atol=1e-12)


def test_exact_noise_matches_a_density_matrix_by_hand():
    """An independent simulation: every ISA gate followed by its channel, then readout."""
    device = fake_device("manila")
    circuit = gates(3, seed=4)
    labels = ["IIZ", "ZIZ", "XYI"]
    with open_backend("fake_manila", shots=None) as executable:
        prepared = executable.prepare(circuit, labels)
        values = executable.run(prepared, np.zeros((1, 0))).values[0]
    cut = CutBackend(device, prepared.qubits)
    model = device_noise(cut)
    readout = device_assignments(cut.target)
    for label, value in zip(prepared.observables, values, strict=True):
        letters = label.paulis.to_labels()[0]
        n = len(letters)
        measured = prepared.circuit.copy()
        change = QuantumCircuit(n)
        for qubit in range(n):
            letter = letters[n - 1 - qubit]
            if letter == "Y":
                change.sdg(qubit)
            if letter in "XY":
                change.h(qubit)
        change = transpile(change, basis_gates=["rz", "sx", "x"], optimization_level=1)
        measured = measured.compose(change)
        state = DensityMatrix.from_label("0" * n)
        for instruction in measured.data:
            where = tuple(measured.find_bit(q).index for q in instruction.qubits)
            if instruction.operation.name == "barrier":
                continue
            if instruction.operation.name == "delay":
                seconds = instruction.operation.duration * cut.target.dt
                times = cut.target.qubit_properties[where[0]]
                wait = relaxation(times.t1, min(times.t2, 2 * times.t1), seconds)
                state = state.evolve(SuperOp(wait), list(where))
                continue
            state = state.evolve(instruction.operation, list(where))
            error = model._local_quantum_errors.get(instruction.operation.name, {}).get(where)
            if error is not None:
                state = state.evolve(SuperOp(error), list(where))
        effective = np.eye(1)
        for qubit in reversed(range(n)):
            if letters[n - 1 - qubit] == "I":
                factor = np.eye(2)
            else:
                factor = np.diag(readout[qubit] @ np.array([1.0, -1.0]))
            effective = np.kron(effective, factor)
        expected = np.real(np.trace(effective @ state.data))
        assert value == pytest.approx(expected, abs=1e-9)


def test_shots_converge_to_the_exact_noisy_values(problem):
    circuit, observables, points, exact = problem
    with open_backend("fake_manila", shots=None) as executable:
        limit = executable.run(executable.prepare(circuit, observables), points).values
    with open_backend("fake_manila", shots=100_000) as executable:
        sampled = executable.run(executable.prepare(circuit, observables), points)
    assert (sampled.stds > 0).all()
    assert (np.abs(sampled.values - limit) < 5 * sampled.stds).all()
    assert np.abs(limit - exact).max() > 0.05


def test_more_noise_makes_signals_smaller():
    circuit = QuantumCircuit(3)
    circuit.ry(0.5, 0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    sizes = []
    for scale in (0.0, 0.5, 1.0, 2.0, 3.5):
        with open_backend("fake_torino", noise_scale=scale, shots=None) as executable:
            prepared = executable.prepare(circuit, "ZZI")
            sizes.append(abs(executable.run(prepared, np.zeros((1, 0))).values[0, 0]))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == pytest.approx(1.0)
    assert sizes[-1] < 0.97


def test_flip_matrix_is_a_readout_error():
    np.testing.assert_allclose(
        ReadoutError(flip_matrix(0.2)).probabilities, [[0.8, 0.2], [0.2, 0.8]]
    )
