"""Each parametric channel against its closed form, its strength, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import RXGate, RZXGate
from qiskit.quantum_info import (
    Choi,
    DensityMatrix,
    Operator,
    SparsePauliOp,
    SuperOp,
    average_gate_fidelity,
)
from qiskit_aer.noise import (
    amplitude_damping_error,
    depolarizing_error,
    phase_damping_error,
    thermal_relaxation_error,
)

from hybridq.cli import main as cli
from hybridq_backends import Noisy, open_backend
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.noise.parametric import gate_errors, parametric_noise
from hybridq_backends.specs.profiles import parse_backend

EVERYTHING = {
    "error_rate_1q": 0.01,
    "error_rate_2q": 0.02,
    "t1_us": 50.0,
    "t2_us": 70.0,
    "gate_time_1q_ns": 400.0,
    "gate_time_2q_ns": 900.0,
    "amplitude_damping": 0.03,
    "phase_damping": 0.04,
    "over_rotation_1q": 0.1,
    "over_rotation_2q": 0.15,
}
EACH = {
    "error_rate_1q": {"error_rate_1q": 0.004},
    "error_rate_2q": {"error_rate_2q": 0.004},
    "t1": {"t1_us": 50.0, "gate_time_2q_ns": 500.0},
    "t2": {"t2_us": 50.0},
    "t1_t2": {"t1_us": 40.0, "t2_us": 60.0},
    "amplitude_damping": {"amplitude_damping": 0.004},
    "phase_damping": {"phase_damping": 0.004},
    "over_rotation_1q": {"over_rotation_1q": 0.06},
    "over_rotation_2q": {"over_rotation_2q": 0.06},
    "readout_error": {"readout_error": 0.004},
    "readout_pair": {"prob_meas1_prep0": 0.003, "prob_meas0_prep1": (0.001, 0.004)},
}


def values(circuit, observables, initial_layout=None, **fields):
    """Exact expectation values of a circuit under a parametric model."""
    with open_backend(Noisy(shots=None, **fields)) as executable:
        prepared = executable.prepare(circuit, observables, initial_layout=initial_layout)
        return executable.run(prepared, np.zeros((1, 0))).values[0]


def xs(k, num_qubits=1):
    """k gates x on qubit 0, kept apart."""
    circuit = QuantumCircuit(num_qubits)
    for _ in range(k):
        circuit.x(0)
        circuit.barrier()
    return circuit


def total(spec, num_qubits):
    """The whole channel after a gate."""
    channel = SuperOp(np.eye(4**num_qubits))
    for part in gate_errors(spec, num_qubits):
        channel = channel.compose(SuperOp(part))
    return channel


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 2.5])
def test_depolarising_shrinks_z(k, scale):
    value = values(xs(k), "Z", error_rate_1q=0.03, noise_scale=scale)[0]
    assert value == pytest.approx((-1) ** k * 0.97 ** (k * scale), abs=1e-12)


@pytest.mark.parametrize("scale", [0.0, 0.7, 1.0, 3.0])
def test_amplitude_damping_decays(scale):
    value = values(xs(1), "Z", amplitude_damping=0.2, noise_scale=scale)[0]
    assert value == pytest.approx(1 - 2 * 0.8**scale, abs=1e-12)
    assert values(xs(1), "Z", amplitude_damping=1.0)[0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("scale", [0.0, 0.7, 1.0, 3.0])
def test_phase_damping_shrinks_coherence(scale):
    """sx turns |0> to -Y; x then leaves Y up to its sign, and each gate shrinks it."""
    circuit = QuantumCircuit(1)
    circuit.sx(0)
    circuit.barrier()
    circuit.x(0)
    circuit.barrier()
    with open_backend(
        Noisy(shots=None, phase_damping=0.2, noise_scale=scale, optimization_level=0)
    ) as executable:
        prepared = executable.prepare(circuit, ["Y", "Z"])
        y, z = executable.run(prepared, np.zeros((1, 0))).values[0]
    # The basis change of Y has one more sx, after which only populations are read.
    assert abs(y) == pytest.approx(0.8**scale, abs=1e-12)
    assert z == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_t1_decays_during_gates(scale):
    k, t1, time = 5, 80.0, 700.0
    value = values(xs(1), "Z", t1_us=t1, gate_time_1q_ns=time, noise_scale=scale)[0]
    assert value == pytest.approx(1 - 2 * np.exp(-time * 1e-3 * scale / t1), abs=1e-12)
    circuit = QuantumCircuit(2)
    circuit.x(0)
    for _ in range(2 * k):
        circuit.barrier()
        circuit.cx(0, 1)
    circuit.barrier()
    fields = {"t1_us": t1, "gate_time_1q_ns": 0.0, "gate_time_2q_ns": time, "noise_scale": scale}
    with_target_idle = values(circuit, "IZ", **fields)[0]
    # The control never leaves |1> but by decay.
    expected = 1 - 2 * np.exp(-2 * k * time * 1e-3 * scale / t1)
    assert with_target_idle == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("duration", "unit"), [(20e-6, "s"), (20.0, "us"), (20_000.0, "ns")])
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_relaxation_during_delays(duration, unit, scale):
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.delay(duration, 0, unit)
    still = {"gate_time_1q_ns": 0.0, "noise_scale": scale}
    value = values(circuit, "Z", t1_us=30.0, t2_us=60.0, **still)[0]
    assert value == pytest.approx(1 - 2 * np.exp(-20 * scale / 30), abs=1e-12)
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.delay(duration, 0, unit)
    value = values(circuit, "X", t1_us=30.0, t2_us=45.0, **still)[0]
    assert value == pytest.approx(np.exp(-20 * scale / 45), abs=1e-12)
    assert values(circuit, "X", t2_us=45.0, **still)[0] == pytest.approx(value, abs=1e-12)
    # Without T2 there is no pure dephasing: T2 = 2 T1.
    value = values(circuit, "X", t1_us=30.0, **still)[0]
    assert value == pytest.approx(np.exp(-20 * scale / 60), abs=1e-12)


def test_gate_times_have_defaults():
    assert Noisy(t1_us=50.0).gate_times_ns == (35.0, 300.0)
    value = values(xs(1), "Z", t1_us=50.0)[0]
    assert value == pytest.approx(1 - 2 * np.exp(-0.035 / 50.0), abs=1e-12)


def test_a_delay_in_dt_needs_a_device_clock():
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.delay(100, 0, "dt")
    with pytest.raises(InvalidValueError, match="no device clock") as caught:
        values(circuit, "Z", t1_us=50.0)
    assert "\n" not in str(caught.value)
    assert values(circuit, "Z", error_rate_1q=0.0)[0] == pytest.approx(-1.0)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_over_rotation_adds_up(k):
    angle = 0.05
    value = values(xs(k), "Z", over_rotation_1q=angle)[0]
    assert value == pytest.approx((-1) ** k * np.cos(k * angle), abs=1e-12)
    # A control in |+> and a target in |0>: RZX turns <X> of the control by cos(angle) a gate.
    circuit = QuantumCircuit(2)
    circuit.h(0)
    for _ in range(2 * k):
        circuit.barrier()
        circuit.cx(0, 1)
    circuit.barrier()
    value = values(circuit, "IX", over_rotation_2q=angle)[0]
    assert value == pytest.approx(np.cos(2 * k * angle), abs=1e-12)


def test_over_rotation_is_about_the_axis_of_cx():
    """It is RZX on (control, target), and commutes with cx; on one qubit it is RX."""
    spec = Noisy(over_rotation_2q=0.2)
    (channel,) = gate_errors(spec, 2)
    np.testing.assert_allclose(
        SuperOp(channel).data, SuperOp(Operator(RZXGate(0.2))).data, atol=1e-14
    )
    cx = QuantumCircuit(2)
    cx.cx(0, 1)
    commutator = Operator(cx) @ Operator(RZXGate(0.2)) - Operator(RZXGate(0.2)) @ Operator(cx)
    assert np.abs(commutator.data).max() < 1e-14
    (single,) = gate_errors(Noisy(over_rotation_1q=0.2), 1)
    np.testing.assert_allclose(
        SuperOp(single).data, SuperOp(Operator(RXGate(0.2))).data, atol=1e-14
    )


def infidelity(spec, num_qubits):
    return 1 - average_gate_fidelity(total(spec, num_qubits))


@pytest.mark.parametrize("name", [name for name in EACH if not name.startswith("readout")])
def test_strength_two_is_twice_the_infidelity_to_first_order(name):
    fields = EACH[name]
    num_qubits = 2 if name.endswith(("2q", "t1", "t2")) else 1
    half, once, twice = (
        infidelity(Noisy(**fields, noise_scale=scale), num_qubits) for scale in (0.5, 1.0, 2.0)
    )
    assert once > 1e-5
    assert twice / once == pytest.approx(2.0, rel=0.02)
    assert half / once == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("name", ["readout_error", "readout_pair"])
def test_strength_two_is_twice_the_readout_error_to_first_order(name):
    circuit = xs(1, 2)
    lost = [1 + values(circuit, "IZ", **EACH[name], noise_scale=scale)[0] for scale in (1.0, 2.0)]
    assert lost[1] / lost[0] == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("scale", [0.0, 0.4, 1.0, 2.0, 5.5])
def test_relaxation_is_scaled_exactly_and_agrees_with_aer(scale):
    for t1, t2 in ((50.0, 70.0), (50.0, 30.0), (50.0, 100.0)):
        spec = Noisy(t1_us=t1, t2_us=t2, gate_time_1q_ns=900.0, noise_scale=scale)
        if scale == 0.0:
            assert gate_errors(spec, 1) == []
            continue
        expected = SuperOp(thermal_relaxation_error(t1 / scale, t2 / scale, 0.9))
        np.testing.assert_allclose(total(spec, 1).data, expected.data, atol=1e-12)


def test_channels_act_in_the_documented_order():
    expected = SuperOp(Operator(RXGate(0.1)))
    for error in (
        depolarizing_error(0.01, 1),
        thermal_relaxation_error(50.0, 70.0, 0.4),
        amplitude_damping_error(0.03),
        phase_damping_error(0.04),
    ):
        expected = expected.compose(SuperOp(error))
    np.testing.assert_allclose(total(Noisy(**EVERYTHING), 1).data, expected.data, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(0.0, 100.0),
    rate=st.floats(0.0, 1.0),
    damping=st.floats(0.0, 1.0),
    t1=st.floats(0.01, 1e4),
    ratio=st.floats(0.01, 2.0),
    angle=st.floats(-3.0, 3.0),
)
def test_every_strength_gives_channels(scale, rate, damping, t1, ratio, angle):
    spec = Noisy(
        error_rate_1q=rate,
        error_rate_2q=rate,
        amplitude_damping=damping,
        phase_damping=damping,
        over_rotation_1q=angle,
        over_rotation_2q=angle,
        t1_us=t1,
        t2_us=ratio * t1,
        noise_scale=scale,
    )
    for num_qubits in (1, 2):
        assert Choi(total(spec, num_qubits)).is_cptp(atol=1e-9)
    for errors in parametric_noise(spec)._default_quantum_errors.values():
        assert Choi(SuperOp(errors)).is_cptp(atol=1e-9)


def entangled():
    circuit = QuantumCircuit(2)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.delay(300.0, 0, "ns")
    circuit.rx(0.4, 1)
    return circuit


@pytest.mark.parametrize("name", EACH)
def test_strength_zero_is_no_noise(name, oracle):
    circuit, labels = entangled(), ["IZ", "ZZ", "XY"]
    spec = Noisy(**EACH[name], noise_scale=0.0)
    assert parametric_noise(spec).is_ideal()
    assert not parametric_noise(spec)._custom_noise_passes
    plain = circuit.copy_empty_like()
    for instruction in circuit.data:
        if instruction.operation.name != "delay":
            plain.append(instruction)
    exact = oracle(plain, [SparsePauliOp(label) for label in labels], np.zeros((1, 0)))[0]
    found = values(circuit, labels, **EACH[name], noise_scale=0.0)
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_everything_at_once_matches_a_density_matrix_by_hand():
    circuit = QuantumCircuit(2)
    circuit.ry(0.9, 0)
    circuit.cx(0, 1)
    circuit.rx(0.4, 1)
    spec = Noisy(**EVERYTHING, noise_scale=1.7, shots=None)
    with open_backend(spec) as executable:
        prepared = executable.prepare(circuit, ["IZ", "ZI", "ZZ"])
        found = executable.run(prepared, np.zeros((1, 0))).values[0]
        isa = prepared.isa_circuit
        place = prepared.layout
    state = DensityMatrix.from_label("00")
    for instruction in isa.data:
        where = [isa.find_bit(qubit).index for qubit in instruction.qubits]
        state = state.evolve(instruction.operation, where)
        if instruction.operation.name in ("sx", "x", "cx"):
            state = state.evolve(total(spec, len(where)), where)
    probabilities = state.probabilities(list(place)).reshape(2, 2)
    z = np.array([1.0, -1.0])
    expected = [
        z @ probabilities.sum(axis=0),
        z @ probabilities.sum(axis=1),
        z @ probabilities @ z,
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def read(z, p10, p01):
    """<Z> as read: prob_meas1_prep0 = p10, prob_meas0_prep1 = p01."""
    return (1 - p10 - p01) * z + (p01 - p10)


def test_readout_pairs_by_qubit():
    p10, p01 = (0.01, 0.08, 0.2), (0.05, 0.02, 0.3)
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate((0.3, 1.1, 2.0)):
        circuit.ry(angle, qubit)
    fields = {"prob_meas1_prep0": p10, "prob_meas0_prep1": p01}
    labels = ["IIZ", "IZI", "ZII"]
    exact = np.cos([0.3, 1.1, 2.0])
    expected = [read(z, *pair) for z, *pair in zip(exact, p10, p01, strict=True)]
    np.testing.assert_allclose(values(circuit, labels, **fields), expected, atol=1e-12)
    # A layout moves the logical qubits, and each place keeps its own errors.
    order = [2, 0, 1]
    moved = values(circuit, labels, order, **fields)
    expected = [read(z, p10[place], p01[place]) for z, place in zip(exact, order, strict=True)]
    np.testing.assert_allclose(moved, expected, atol=1e-12)
    pair = QuantumCircuit(1)
    pair.x(0)
    assert values(pair, "Z", [2], **fields)[0] == pytest.approx(read(-1, 0.2, 0.3), abs=1e-12)
    # Twice the strength applies the matrix twice.
    twice = [read(read(z, *pair), *pair) for z, *pair in zip(exact, p10, p01, strict=True)]
    np.testing.assert_allclose(
        values(circuit, labels, **fields, noise_scale=2.0), twice, atol=1e-12
    )


def test_sampled_readout_is_that_of_the_place():
    circuit = QuantumCircuit(2)
    circuit.x(1)
    spec = Noisy(prob_meas1_prep0="0.02/0.1/0.3", prob_meas0_prep1=0.05, shots=40_000)
    with open_backend(spec) as executable:
        assert executable.num_qubits == 3
        prepared = executable.prepare(circuit, ["IZ", "ZI"], initial_layout=[2, 1])
        found = executable.run(prepared, np.zeros((1, 0))).values[0]
    np.testing.assert_allclose(found, [1 - 0.6, -1 + 0.1], atol=0.03)


def test_lists_on_the_command_line_and_in_toml(tmp_path):
    spec = parse_backend("aer_noisy,prob_meas1_prep0=0.01/0.02/0.03,prob_meas0_prep1=0.1")
    assert spec.prob_meas1_prep0 == (0.01, 0.02, 0.03)
    assert spec.prob_meas0_prep1 == 0.1
    assert spec.flip_probabilities(1) == (0.02, 0.1)
    assert Noisy.model_validate_json(spec.model_dump_json()) == spec
    folder = tmp_path / "backends.d"
    folder.mkdir()
    (folder / "lab.toml").write_text(
        'summary = "ours"\nkind = "noisy"\nprob_meas0_prep1 = [0.1, 0.2]\n'
    )
    assert parse_backend("lab").prob_meas0_prep1 == (0.1, 0.2)
    assert parse_backend("thermal,device=FakeTorino").t1_us is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("aer_noisy,t1_us=0", "`t1_us`"),
        ("aer_noisy,t1_us=-3", "`t1_us`"),
        ("aer_noisy,t1_us=50,t2_us=101", "at most twice `t1_us` (100)"),
        ("aer_noisy,gate_time_1q_ns=50", "`t1_us` or `t2_us`"),
        ("aer_noisy,t1_us=50,gate_time_2q_ns=-1", "`gate_time_2q_ns`"),
        ("aer_noisy,amplitude_damping=1.1", "`amplitude_damping`"),
        ("aer_noisy,phase_damping=x", "`phase_damping`"),
        ("aer_noisy,over_rotation_1q=nan", "`over_rotation_1q`"),
        ("aer_noisy,over_rotation_2q=7", "`over_rotation_2q`"),
        ("aer_noisy,prob_meas1_prep0=0.1/x", "`prob_meas1_prep0`"),
        ("aer_noisy,prob_meas1_prep0=0.1/1.2", "`prob_meas1_prep0`"),
        ("aer_noisy,prob_meas1_prep0=0.1/nan", "`prob_meas1_prep0`"),
        ("aer_noisy,prob_meas1_prep0=0.1/0.2,prob_meas0_prep1=0.1/0.2/0.3", "equally long"),
        ("depolarizing,readout_error=0.1,prob_meas1_prep0=0.1", "readout_error=none"),
        ("aer_noisy,device=FakeTorino,t1_us=50", "got both"),
        ("aer_noisy,device=FakeTorino,over_rotation_2q=0.1", "got both"),
        ("aer_noisy,device=FakeTorino,prob_meas0_prep1=0.1", "got both"),
        ("aer_noisy,prob_meas1_prep0=" + "/".join(["0.1"] * 21), "at most 20 qubits"),
        ("ibm,noise_scale=2", "real hardware"),
        ("ibm_rehearsal,measure_mitigation=perhaps", "`measure_mitigation`"),
        ("ibm_rehearsal,measure_twirling=false", "measure_mitigation=false"),
    ],
)
def test_mistakes_exit_with_two_and_one_line(text, words, capsys):
    assert cli.main(["backends", "check", text]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert said.startswith("hybridq: error: ")
    assert "\n" not in said


@pytest.mark.parametrize("backend", ["depolarizing,error_rate_1q=none", "fake_torino"])
def test_wide_circuits_are_sampled_by_trajectories(backend):
    """Nine qubits are read one by one: readout and the errors of one cx by closed forms."""
    circuit = QuantumCircuit(9)
    circuit.x(0)
    circuit.cx(0, 1)
    labels = ["I" * 8 + "Z", "I" * 7 + "ZI"]
    with open_backend(backend, shots=20_000) as executable:
        assert executable.num_qubits == 20
        prepared = executable.prepare(circuit, labels)
        assert executable.machine(prepared).simulator.options.method == "statevector"
        sampled = executable.run(prepared, np.zeros((1, 0)))
    narrow = QuantumCircuit(2)
    narrow.x(0)
    narrow.cx(0, 1)
    qubits = [prepared.qubits[place] for place in prepared.layout[:2]]
    with open_backend(backend, shots=None) as executable:
        assert executable.num_qubits == 12
        layout = qubits if backend == "fake_torino" else None
        few = executable.prepare(narrow, ["IZ", "ZI"], initial_layout=layout)
        exact = executable.run(few, np.zeros((1, 0))).values[0]
    assert (np.abs(sampled.values[0] - exact) < 4 * sampled.stds[0] + 1e-3).all()
