from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

from hybridq_backends import check_backend, check_executable, open_backend
from hybridq_backends.checks.probes import scattered_layout
from hybridq_backends.expvals import Expvals
from hybridq_backends.simulators.aer import Machine
from hybridq_backends.simulators.engine import AllToAllEngine, DeviceEngine


def failed(report):
    return {probe.name.split(" on layout")[0] for probe in report.probes if not probe.passed}


@pytest.mark.parametrize(
    "name",
    [
        "aer_statevector",
        "aer_shots",
        "aer_shots,shots=100",
        "fake_torino",
        "fake_torino,shots=none",
        "fake_manila",
        "aer_noisy,noise_scale=0,shots=none",
        "aer_noisy,noise_scale=2.5,shots=none",
        "depolarizing",
        "depolarizing,shots=none",
        "aer_noisy,readout_error=0.05",
        "aer_noisy,error_rate_2q=0.01,shots=none",
        "thermal",
        "thermal,noise_scale=100,shots=none",
        "coherent",
        "coherent,shots=none",
        "aer_noisy,over_rotation_2q=0.15707963267948966,shots=none",
        "aer_noisy,over_rotation_1q=0.02",
        "aer_noisy,t2_us=80",
        "aer_noisy,phase_damping=0.001",
        "aer_noisy,amplitude_damping=0.01,shots=none",
        "aer_noisy,prob_meas1_prep0=0.01/0.05,noise_scale=2.5,shots=none",
        "aer_noisy,prob_meas0_prep1=0.05/0.02/0.01/0.1/0.2",
        "ibm_rehearsal,noise_scale=2,rehearse=fake_manila,measure_mitigation=false",
        "ibm_rehearsal,noise_scale=0,rehearse=fake_manila,zne_mitigation=true",
        "ibm_rehearsal,rehearse=fake_manila,measure_mitigation=false,measure_twirling=false",
        "ibm_rehearsal,rehearse=fake_manila,resilience_level=0,gate_twirling=true",
        "ibm_rehearsal",
        "ibm_rehearsal,resilience_level=0,rehearse=fake_manila",
    ],
)
def test_honest_backends_pass(name):
    report = check_backend(name)
    assert report.passed, "\n".join(report.lines())
    assert json.loads(json.dumps(report.to_dict()))["passed"] is True
    assert all(line.startswith("ok") for line in report.lines())


def test_probes_ask_what_is_claimed():
    names = {probe.name for probe in check_backend("fake_manila", shots=None).probes}
    assert {"readout error alone", "gate noise", "no shot noise"} <= names
    names = {probe.name for probe in check_backend("aer_shots").probes}
    assert {"closed forms", "shot noise"} <= names


def forget_layout(prepared):
    """Observables on qubits 0, 1, ... as if the circuit had not been moved."""
    width = prepared.circuit.num_qubits
    n = len(prepared.layout)
    inverse = {place: logical for logical, place in enumerate(prepared.layout)}
    observables = []
    for operator in prepared.observables:
        terms = [
            (letters, [inverse[q] for q in qubits], value)
            for letters, qubits, value in operator.to_sparse_list()
        ]
        observables.append(SparsePauliOp.from_sparse_list(terms, width))
    assert n <= width
    column = ObservablesArray([[o] for o in observables])
    return dataclasses.replace(prepared, observables=tuple(observables), column=column)


@pytest.mark.parametrize("name", ["aer_statevector", "aer_shots", "fake_torino", "depolarizing"])
def test_a_dropped_layout_is_caught(name, monkeypatch):
    with open_backend(name) as executable:
        prepare = executable._engine.prepare
        monkeypatch.setattr(
            executable._engine, "prepare", lambda *given: forget_layout(prepare(*given))
        )
        assert "mapping" in failed(check_executable(executable))


@pytest.mark.parametrize("shots", [None, 4096])
def test_missing_gate_noise_is_caught(shots, monkeypatch):
    machine = DeviceEngine.machine

    def silent(self, circuit):
        whole = machine(self, circuit)
        readout = AerSimulator(method="density_matrix")
        model = whole.simulator.options.noise_model
        if shots is not None and model is not None:
            from qiskit_aer.noise import NoiseModel

            only = NoiseModel(basis_gates=model.basis_gates)
            for qubit, matrix in whole.assignments.items():
                only.add_readout_error(matrix, [qubit])
            readout = AerSimulator(method="density_matrix", noise_model=only)
        return Machine(readout, whole.assignments, whole.to_basis)

    monkeypatch.setattr(DeviceEngine, "machine", silent)
    assert failed(check_backend("fake_manila", shots=shots)) == {"gate noise"}


@pytest.mark.parametrize(
    ("name", "probes"),
    [("coherent", {"phase noise"}), ("thermal", {"gate noise", "phase noise"})],
)
@pytest.mark.parametrize("shots", [None, 4096])
def test_missing_parametric_gate_noise_is_caught(name, probes, shots, monkeypatch):
    monkeypatch.setattr("hybridq_backends.noise.parametric.gate_errors", lambda *_: [])
    assert failed(check_backend(name, shots=shots)) == probes


def test_over_rotation_is_no_population_noise():
    """A state of the basis does not show it, so only the coherence is asked for."""
    names = {probe.name for probe in check_backend("coherent,shots=none").probes}
    assert "phase noise" in names
    assert "gate noise" not in names


def test_missing_readout_error_is_caught(monkeypatch):
    monkeypatch.setattr("hybridq_backends.simulators.engine.device_assignments", lambda *_: {})
    assert failed(check_backend("fake_torino", shots=None)) == {"readout error alone"}


def test_readout_error_of_the_wrong_size_is_caught(monkeypatch):
    from hybridq_backends.noise.device import device_assignments

    monkeypatch.setattr(
        "hybridq_backends.simulators.engine.device_assignments",
        lambda t, s: device_assignments(t, 1.5 * s),
    )
    assert failed(check_backend("fake_torino", shots=None)) == {"readout error alone"}


def disturb(monkeypatch, executable, change):
    """Falsify what the backend answers."""
    run = executable.run

    def changed(prepared, values, *, seed=None):
        return change(run(prepared, values, seed=seed))

    monkeypatch.setattr(executable, "run", changed)


def test_hidden_shot_noise_is_caught(monkeypatch):
    rng = np.random.default_rng(0)
    with open_backend("aer_statevector") as executable:
        disturb(
            monkeypatch,
            executable,
            lambda r: Expvals(r.values + rng.normal(0, 0.0156, r.values.shape), r.stds),
        )
        assert failed(check_executable(executable)) >= {"no shot noise", "closed forms"}


def test_missing_and_excessive_shot_noise_are_caught(monkeypatch):
    for factor in (0.0, 3.0):
        with open_backend("aer_shots") as executable, monkeypatch.context() as patch:
            disturb(
                patch,
                executable,
                lambda r, f=factor: Expvals(
                    r.values.mean() + f * (r.values - r.values.mean()), r.stds
                ),
            )
            assert "shot noise" in failed(check_executable(executable))


def test_swapped_outputs_are_caught(monkeypatch):
    with open_backend("fake_manila") as executable:
        disturb(monkeypatch, executable, lambda r: Expvals(r.values[:, ::-1], r.stds))
        assert "mapping" in failed(check_executable(executable))


def test_noise_on_a_noiseless_backend_is_caught(monkeypatch):
    with (
        open_backend("depolarizing,shots=none") as noisy,
        open_backend("aer_statevector") as executable,
    ):
        assert isinstance(noisy._engine, AllToAllEngine)
        noisy._engine.made_for = executable._engine.made_for
        monkeypatch.setattr(executable, "_engine", noisy._engine)
        assert failed(check_executable(executable)) == {"mapping", "closed forms"}


def test_scattered_layouts_are_out_of_order():
    with open_backend("fake_torino") as executable:
        layout = scattered_layout(executable.target, 4, 12)
    assert len(set(layout)) == 4
    assert list(layout) != sorted(layout)
    for size in (1, 2, 3, 4, 24):
        length = min(size, 4)
        layout = scattered_layout(None, length, size)
        assert len(set(layout)) == length
        assert max(layout) < size
