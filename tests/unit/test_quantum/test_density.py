from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Operator, SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import (
    NoiseModel,
    ReadoutError,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    kraus_error,
    pauli_error,
    phase_amplitude_damping_error,
    phase_damping_error,
    thermal_relaxation_error,
)

from hybridq.errors import InvalidValueError
from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq.quantum.density.channels import circuit_channels
from hybridq.quantum.density.expvals import shot_noise
from hybridq.quantum.density.measurement import measured_groups
from hybridq.quantum.density.simulator import DensityEngine
from hybridq_backends import open_backend
from hybridq_backends.compile.subset import CutBackend, keep_qubits
from hybridq_backends.compile.transpile import (
    compile_on_target,
    kept_for,
    split_angles,
    with_delays,
)
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.noise.channels import readout_assignments
from hybridq_backends.noise.device import device_noise

DEVICES = ("FakeManilaV2", "FakeSherbrooke", "FakeTorino")


def tilted(angle):
    """A rotation by an angle about an axis that is none of x, y and z."""
    turned = QuantumCircuit(1)
    turned.rx(angle, 0)
    turned.ry(0.7 * angle, 0)
    return Operator(turned).data


CHANNELS = {
    "depolarizing": (depolarizing_error(0.03, 1), depolarizing_error(0.07, 2)),
    "thermal": (
        thermal_relaxation_error(60e-6, 80e-6, 2e-6, 0.1),
        thermal_relaxation_error(50e-6, 70e-6, 3e-6).tensor(
            thermal_relaxation_error(90e-6, 30e-6, 3e-6)
        ),
    ),
    "amplitude": (
        amplitude_damping_error(0.05, 0.2),
        amplitude_damping_error(0.1).expand(amplitude_damping_error(0.02)),
    ),
    "phase": (phase_damping_error(0.1), phase_damping_error(0.05).tensor(phase_damping_error(0.2))),
    "both": (
        phase_amplitude_damping_error(0.1, 0.07),
        phase_amplitude_damping_error(0.02, 0.2).tensor(phase_damping_error(0.1)),
    ),
    "coherent": (
        coherent_unitary_error(tilted(0.1)),
        coherent_unitary_error(np.kron(tilted(0.05), tilted(-0.2))),
    ),
    "pauli": (
        pauli_error([("X", 0.02), ("Y", 0.05), ("I", 0.93)]),
        pauli_error([("XY", 0.02), ("IZ", 0.1), ("II", 0.88)]),
    ),
    "kraus": (
        kraus_error([np.sqrt(0.9) * np.eye(2), np.sqrt(0.1) * tilted(1.0)]),
        kraus_error([np.sqrt(0.8) * np.eye(4), np.sqrt(0.2) * np.kron(tilted(2.0), tilted(0.4))]),
    ),
}


def model_of(channel):
    """That channel after each sx, x and cx, and another one on some qubits alone."""
    one, two = CHANNELS[channel]
    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx"])
    model.add_all_qubit_quantum_error(one, ["sx", "x"])
    model.add_all_qubit_quantum_error(two, "cx")
    model.add_quantum_error(one.compose(one), "sx", [0])
    model.add_quantum_error(two.compose(two), "cx", [1, 0])
    return model


def random_circuit(num_qubits, rng, gates=25):
    """Random gates of the noisy basis, with as many angles as rz."""
    circuit = QuantumCircuit(num_qubits)
    kinds = rng.choice(["rz", "sx", "x", "cx"], size=gates, p=[0.4, 0.3, 0.05, 0.25])
    theta = ParameterVector("t", int((kinds == "rz").sum()))
    angles = iter(theta)
    for kind in kinds:
        qubits = [int(q) for q in rng.permutation(num_qubits)]
        if kind == "rz":
            circuit.rz(next(angles), qubits[0])
        elif kind == "cx" and num_qubits > 1:
            circuit.cx(qubits[0], qubits[1])
        elif kind != "cx":
            getattr(circuit, kind)(qubits[0])
    return circuit, list(theta)


def random_observables(num_qubits, rng, count=3):
    """Pauli sums of two terms."""
    words = ["".join(rng.choice(list("IXYZ"), num_qubits)) for _ in range(2 * count)]
    return [
        SparsePauliOp(words[2 * i : 2 * i + 2], rng.normal(size=2)).simplify() for i in range(count)
    ]


def aer_values(circuit, model, observables):
    """Aer's density matrix, without readout."""
    saved = circuit.copy()
    saved.save_density_matrix()
    result = AerSimulator(method="density_matrix", noise_model=model).run(saved).result()
    rho = result.data()["density_matrix"]
    return [float(np.real(rho.expectation_value(o))) for o in observables]


def pauli_vector(observable):
    """Coefficients in the engine's order: qubit 0 is the lowest digit of I, X, Y, Z."""
    vector = torch.zeros(4**observable.num_qubits, dtype=torch.float64)
    for word, value in observable.to_list():
        vector[int("".join(str("IXYZ".index(letter)) for letter in word), 4)] += value.real
    return vector


def engine_values(circuit, params, model, observables, theta, on_inputs):
    channels = circuit_channels(circuit, params, model)
    engine = DensityEngine(channels, circuit.num_qubits, on_inputs)
    return engine(theta, torch.stack([pauli_vector(o) for o in observables]))


@pytest.mark.parametrize("channel", list(CHANNELS))
@pytest.mark.parametrize("num_qubits", [1, 2, 3, 4, 5])
def test_every_channel_equals_aer(channel, num_qubits):
    rng = np.random.default_rng([num_qubits, list(CHANNELS).index(channel)])
    model = model_of(channel)
    for _ in range(3):
        circuit, params = random_circuit(num_qubits, rng)
        observables = random_observables(num_qubits, rng)
        on_inputs = rng.random(len(params)) < 0.4
        theta = torch.from_numpy(rng.normal(size=(2, len(params))))
        theta[1, ~on_inputs] = theta[0, ~on_inputs]
        found = engine_values(circuit, params, model, observables, theta, on_inputs.tolist())
        for row, values in zip(theta.numpy(), found.numpy(), strict=True):
            bound = circuit.assign_parameters(dict(zip(params, row, strict=True)))
            np.testing.assert_allclose(values, aer_values(bound, model, observables), atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("num_qubits", [1, 2, 3, 4, 5])
def test_device_snapshots_equal_aer_with_delays(device, num_qubits):
    rng = np.random.default_rng(num_qubits)
    whole = fake_device(device)
    for seed in range(2):
        logical, params = random_circuit(num_qubits, rng, gates=30)
        isa, ends = compile_on_target(
            logical, whole.target, optimization_level=1, seed=seed, initial_layout=None
        )
        cut = CutBackend(whole, kept_for(isa, ends))
        circuit = with_delays(keep_qubits(isa, cut.qubits), cut.target)
        assert "delay" in circuit.count_ops() or num_qubits == 1
        params = list(circuit.parameters)
        theta = torch.from_numpy(rng.normal(size=(2, len(params))))
        observables = random_observables(circuit.num_qubits, rng)
        plain, angles = split_angles(circuit, params)
        phi = torch.from_numpy(angles(theta.numpy()))
        model = device_noise(cut)
        found = engine_values(
            plain, list(plain.parameters), model, observables, phi, [True] * phi.shape[1]
        )
        for row, values in zip(theta.numpy(), found.numpy(), strict=True):
            bound = circuit.assign_parameters(dict(zip(params, row, strict=True)))
            np.testing.assert_allclose(values, aer_values(bound, model, observables), atol=1e-8)


@pytest.mark.parametrize(
    ("device", "layout"),
    [
        ("FakeManilaV2", [1, 2, 3, 0]),
        ("FakeSherbrooke", [62, 63, 64, 61]),
        ("FakeTorino", [31, 32, 33, 30]),
    ],
)
def test_exact_values_are_the_limit_of_sampled_counts(device, layout):
    """Readout and delay noise included, with an idle qubit: within 4 standard errors."""
    theta = ParameterVector("t", 1)
    circuit = QuantumCircuit(4)
    circuit.x(3)  # it waits in the excited state for the others
    circuit.barrier()
    circuit.ry(theta[0], 0)
    for _ in range(6):
        circuit.cx(0, 1)
        circuit.cx(1, 2)
        circuit.barrier()
    circuit.barrier()
    circuit.id(3)
    shots = 40_000
    with open_backend("fake_torino", device=device, shots=None, engine="torch") as backend:
        prepared = backend.prepare(circuit, z_observables(4), initial_layout=layout)
        model = backend.machine(prepared).noise_model
        groups = measured_groups(prepared.column, backend.machine(prepared))
    idle = prepared.layout[3]
    isa = prepared.circuit
    phi = prepared.angles(np.array([[0.4]]))
    read = sum(group.means for group in groups)

    def exact(circuit):
        channels = circuit_channels(circuit, list(isa.parameters), model)
        return DensityEngine(channels, 4, [True] * phi.shape[1])(torch.from_numpy(phi), read)[0]

    values = exact(isa).numpy()
    measured = isa.assign_parameters(phi[0])
    measured.measure_all()
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    counts = simulator.run(measured, shots=shots, seed_simulator=5).result().get_counts()
    for qubit, value in enumerate(values):
        bit = prepared.layout[qubit]
        mean = sum(n * (1 - 2 * int(word[-1 - bit])) for word, n in counts.items()) / shots
        assert abs(mean - value) < 4 * np.sqrt((1 - value**2) / shots), (device, qubit)
    waits = [item for item in isa.data if item.operation.name == "delay"]
    assert any(isa.find_bit(item.qubits[0]).index == idle for item in waits)
    unscheduled = isa.copy_empty_like()
    for item in isa.data:
        if item.operation.name != "delay":
            unscheduled.append(item)
    assert values[3] > float(exact(unscheduled)[3]) + 2e-3  # it decays while it waits


def layer(backend, *, encoding="angle", ansatz="ry_cz", observables=None, num_qubits=4):
    parts = build_circuit(num_qubits, encoding=encoding, ansatz=ansatz)
    return QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=observables or z_observables(num_qubits),
        backend=backend,
        generator=torch.Generator().manual_seed(0),
        init_std=1.0,
    ).double()


MIXED = [
    SparsePauliOp(["ZIXI", "YYII", "IIIZ"], [0.3, -1.1, 0.5]),
    SparsePauliOp("XZIY"),
    SparsePauliOp("IIII"),
    SparsePauliOp(["ZZZZ", "XXXX"], [1.0, 2.0]),
]


@pytest.mark.parametrize(
    ("encoding", "ansatz", "observables"),
    [
        ("angle", "ry_cz", None),
        ("zz", "efficient_su2", None),
        ("reupload", "strongly_entangling", MIXED),
    ],
)
@pytest.mark.parametrize("device", DEVICES)
def test_layer_equals_aer_with_parameter_shift(device, encoding, ansatz, observables):
    """Values and gradients, readout and basis changes included."""
    angles = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for engine in ("torch", "aer"):
        with open_backend("fake_torino", device=device, engine=engine, shots=None) as backend:
            one = layer(backend, encoding=encoding, ansatz=ansatz, observables=observables)
            leaf = angles.clone().requires_grad_()
            values = one(leaf)
            values.square().sum().backward()
            found.append((values.detach(), leaf.grad, one.weight.grad))
    for ours, aers in zip(*found, strict=True):
        torch.testing.assert_close(
            ours, aers, rtol=0, atol=2e-7 if device == "FakeTorino" else 1e-9
        )


def test_second_derivatives_and_chunks():
    rng = np.random.default_rng(3)
    circuit, params = random_circuit(3, rng)
    channels = circuit_channels(circuit, params, model_of("thermal"))
    observables = torch.stack([pauli_vector(o) for o in random_observables(3, rng)])
    engine = DensityEngine(channels, 3, [True] * len(params))
    theta = torch.from_numpy(rng.normal(size=(2, len(params)))).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: engine(t, observables), theta)
    assert torch.autograd.gradgradcheck(lambda t: engine(t, observables), theta)
    small = DensityEngine(channels, 3, [True] * len(params), memory=1)
    rows = torch.from_numpy(rng.normal(size=(5, len(params)))).requires_grad_()
    (one,) = torch.autograd.grad(engine(rows, observables).square().sum(), rows)
    (other,) = torch.autograd.grad(small(rows, observables).square().sum(), rows)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    torch.testing.assert_close(engine(rows, observables), small(rows, observables))


def test_jacobians_of_the_network_equal_its_layer():
    with open_backend("fake_manila", engine="torch", shots=None) as backend:
        one = layer(backend)
        angles = torch.randn(2, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        by_inputs, by_weights = one.qnn.backward(angles.numpy(), one.weight.detach().numpy())
        found = torch.autograd.functional.jacobian(one, angles)
        for row in range(2):
            np.testing.assert_allclose(by_inputs[row], found[row, :, row], atol=1e-12)
        np.testing.assert_allclose(
            one.qnn.forward(angles.numpy(), one.weight.detach().numpy()),
            one(angles).detach(),
            atol=1e-12,
        )
        assert by_weights.shape == (2, 4, 12)


def test_shots_have_the_covariance_of_aers_and_the_exact_gradient():
    angles = torch.randn(1, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = angles.expand(4000, -1).clone().requires_grad_()
    with open_backend("fake_manila", engine="torch", shots=100) as backend:
        one = layer(backend, observables=[*z_observables(4)[:3], SparsePauliOp("ZZXX")])
        values = one(rows)
        (grad,) = torch.autograd.grad(values.sum(), rows)
        again = one(rows)
    assert not torch.equal(values, again)
    with open_backend("fake_manila", engine="torch", shots=100) as backend:
        one.use_backend(backend)
        assert torch.equal(one(rows), values)  # the same seed opened anew
    with open_backend("fake_manila", engine="torch", shots=None) as backend:
        one.use_backend(backend)
        leaf = angles.clone().requires_grad_()
        exact = one(leaf)
        (wanted,) = torch.autograd.grad(exact.sum(), leaf)
    torch.testing.assert_close(grad[:1], wanted, rtol=0, atol=1e-12)
    with open_backend("fake_manila", shots=100) as backend:
        one.use_backend(backend)
        sampled = one(rows)
    ours, aers = (np.cov(v.detach().numpy().T) for v in (values, sampled))
    # variances at most 1/100, each estimated from 4000 draws
    np.testing.assert_allclose(ours, aers, atol=6 * 0.01 * np.sqrt(2 / 4000))
    error = 4 * np.sqrt(np.diag(aers).max() / 4000)
    assert (values.mean(dim=0) - exact[0]).abs().max() < error
    assert (sampled.mean(dim=0) - exact[0]).abs().max() < error


def test_layers_on_one_backend_draw_their_own_shots():
    angles = torch.zeros(4, 4, dtype=torch.float64)
    with open_backend("fake_manila", engine="torch", shots=50) as backend:
        one, other = layer(backend), layer(backend)
        first, second = one(angles), other(angles)
        one.use_backend(backend)
        assert (
            len({tuple(v.detach().flatten().tolist()) for v in (first, second, one(angles))}) == 3
        )


def test_shot_noise_scales_with_the_shots():
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.float64).expand(20_000, 2, 2)
    noise = shot_noise(covariance, 25, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(np.cov(noise.T), covariance[0] / 25, atol=0.002)
    assert (shot_noise(covariance * 0, 25, torch.Generator().manual_seed(0)) == 0).all()


def test_more_than_eight_qubits_are_refused():
    with (
        open_backend("fake_torino", engine="torch", shots=None) as backend,
        pytest.raises(InvalidValueError, match="at most 8 qubits"),
    ):
        layer(backend, num_qubits=9)


def test_correlated_readout_is_refused():
    model = NoiseModel()
    model.add_readout_error(ReadoutError(np.roll(np.eye(4), 1, axis=0)), [0, 1])
    assert readout_assignments(NoiseModel(), 2) == {}
    with pytest.raises(InvalidValueError, match="correlated"):
        readout_assignments(model, 2)


# Closed forms


def z_after(model, *, gates=("x",), count=1):
    """<Z> of one qubit after some gates, by the engine."""
    circuit = QuantumCircuit(1)
    for _ in range(count):
        for gate in gates:
            getattr(circuit, gate)(0)
    z = [SparsePauliOp("Z")]
    found = engine_values(circuit, [], model, z, torch.zeros(1, 0, dtype=torch.float64), [])
    return float(found)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3, 1.0])
def test_depolarizing_shrinks_z_by_one_minus_the_rate(rate):
    model = NoiseModel()
    if rate:
        model.add_all_qubit_quantum_error(depolarizing_error(rate, 1), "x")
    for count in (1, 2, 5):
        expected = (-1) ** count * (1 - rate) ** count
        assert z_after(model, count=count) == pytest.approx(expected, abs=1e-12)


def test_amplitude_damping_of_rate_one_gives_the_ground_state():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(amplitude_damping_error(1.0), "x")
    assert z_after(model) == pytest.approx(1.0, abs=1e-12)


def test_relaxation_decays_as_exp():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(thermal_relaxation_error(50e-6, 60e-6, 10e-6), "x")
    assert z_after(model) == pytest.approx(1 - 2 * np.exp(-10 / 50), abs=1e-12)


@pytest.mark.parametrize("engine", ["torch", "aer"])
def test_readout_alone_gives_the_assignment_matrix(engine):
    angles = torch.tensor([[0.3, 2.0]], dtype=torch.float64)
    with open_backend("depolarizing", error_rate_1q="none", error_rate_2q="none") as backend:
        spec = backend.spec
    with open_backend(spec, readout_error=0.1, engine=engine, shots=None) as backend:
        theta = ParameterVector("t", 2)
        circuit = QuantumCircuit(2)
        circuit.ry(theta[0], 0)
        circuit.ry(theta[1], 1)
        one = QuantumLayer(
            circuit,
            input_params=list(theta),
            weight_params=[],
            observables=[SparsePauliOp("IZ"), SparsePauliOp("ZI"), SparsePauliOp("ZZ")],
            backend=backend,
        )
        found = one(angles)[0].detach()
    z = 0.8 * angles[0].cos()
    torch.testing.assert_close(found, torch.stack([z[0], z[1], z[0] * z[1]]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("device", DEVICES)
def test_noise_scale_zero_is_the_statevector(device):
    angles = torch.randn(5, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    with open_backend("statevector") as backend:
        one = layer(backend, encoding="reupload", observables=MIXED)
        expected = one(angles)
    with open_backend(
        "fake_torino", device=device, noise_scale=0, engine="torch", shots="none"
    ) as b:
        one.use_backend(b)
        torch.testing.assert_close(one(angles), expected, rtol=0, atol=1e-10)


def test_mean_error_does_not_fall_as_the_scale_rises():
    """Over 20 random circuits on three qubits of a device with 10 sets of angles each."""
    scales = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
    cut = CutBackend(fake_device("FakeManilaV2"), range(3))
    models = [device_noise(cut, scale) for scale in scales]
    rng = np.random.default_rng(0)
    errors = np.zeros((20, len(scales)))
    for row in range(20):
        circuit, params = random_circuit(3, rng, gates=30)
        circuit = compile_on_target(
            circuit, cut.target, optimization_level=0, seed=0, initial_layout=[0, 1, 2]
        )[0]
        observables = z_observables(3)
        theta = torch.from_numpy(rng.normal(size=(10, len(params))))
        values = [
            engine_values(circuit, params, model, observables, theta, [True] * len(params))
            for model in models
        ]
        errors[row] = [float((v - values[0]).square().mean().sqrt()) for v in values]
    mean = errors.mean(axis=0)
    assert (np.diff(mean) > 0).all(), mean
    assert mean[0] == 0.0
    assert 1.5 < mean[4] / mean[2] < 2.1  # twice, to first order
