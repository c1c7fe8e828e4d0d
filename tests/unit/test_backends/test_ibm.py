from __future__ import annotations

import json
import pickle
import socket
import traceback
import warnings
from typing import ClassVar

import numpy as np
import pytest
from pydantic import ValidationError
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_ibm_runtime.exceptions import IBMRuntimeError
from qiskit_ibm_runtime.executor_estimator import prepare
from qiskit_ibm_runtime.executor_estimator.finalize_options import finalize_estimator_options

from hybridq_backends import IbmRuntime, open_backend
from hybridq_backends.compile.subset import mark_cut
from hybridq_backends.compile.transpile import check_isa
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError, UnavailableError
from hybridq_backends.ibm.exceptions import Act, explain
from hybridq_backends.ibm.options import estimator_options
from hybridq_backends.specs.profiles import parse_backend

SECRET = "a-very-secret-token"
EMPTY = np.zeros((1, 0))


@pytest.fixture
def no_network(monkeypatch):
    """Fail on any attempt to reach a host."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("a host was contacted")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def small():
    circuit = QuantumCircuit(2)
    circuit.ry(0.6, 0)
    circuit.cx(0, 1)
    return circuit


def test_without_an_account_one_line_names_three_ways(no_network, tmp_path):
    with pytest.raises(UnavailableError) as caught:
        open_backend("ibm", service_options={"filename": str(tmp_path / "none.json")})
    message = str(caught.value)
    assert "\n" not in message
    for way in ("save_account", "QISKIT_IBM_TOKEN", "service_options"):
        assert way in message


class StubService:
    """Stands in for QiskitRuntimeService: remembers its arguments, knows one device."""

    given: ClassVar[dict] = {}
    error: Exception | None = None
    saved: ClassVar[dict] = {}

    def __init__(self, **options):
        type(self).given = options
        if self.error is not None:
            raise self.error

    def backend(self, name):
        type(self).given["asked"] = name
        return fake_device("manila")

    def least_busy(self, **filters):
        type(self).given["filters"] = filters
        return fake_device("manila")

    @classmethod
    def saved_accounts(cls, filename=None):
        return cls.saved


@pytest.fixture
def service(monkeypatch):
    for module in ("account", "exceptions"):
        monkeypatch.setattr(f"hybridq_backends.ibm.{module}.QiskitRuntimeService", StubService)
    monkeypatch.setattr(StubService, "error", None)
    monkeypatch.setattr(StubService, "saved", {})
    return StubService


def test_service_options_are_forwarded_verbatim(service):
    def resolve(*_):
        return "http://127.0.0.1:1/api/v1"

    options = {"token": SECRET, "url_resolver": resolve, "proxies": {"urls": {"http": "u:p@h"}}}
    executable = open_backend("ibm", service_options=options)
    assert {k: service.given[k] for k in options} == options
    assert service.given["filters"] == {"operational": True, "simulator": False}
    record = json.dumps(executable.describe())
    assert SECRET not in record + repr(executable) + repr(executable.spec)
    assert "u:p@h" not in record
    open_backend("ibm,device=ibm_manila")
    assert service.given["asked"] == "ibm_manila"
    with pytest.raises(TypeError):
        pickle.dumps(executable)


@pytest.mark.parametrize("where", ["options", "environment", "file", "nested"])
def test_errors_of_the_service_never_show_a_secret(where, service, monkeypatch):
    service.error = IBMRuntimeError(f"401: token {SECRET}\nwas refused")
    options = {}
    if where == "options":
        options = {"token": SECRET}
    elif where == "nested":
        options = {"proxies": {"password": SECRET, "urls": [1]}}
    elif where == "environment":
        monkeypatch.setenv("QISKIT_IBM_TOKEN", SECRET)
    else:
        monkeypatch.setattr(service, "saved", {"default": {"token": SECRET}})
    with pytest.raises(UnavailableError) as caught:
        open_backend("ibm", service_options=options)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("content", ["[]", "5", '{"a": 5}', '{"a": {"token": "x"}}', "{", "\x00"])
def test_a_damaged_file_of_accounts_does_not_hide_what_went_wrong(tmp_path, content):
    file = tmp_path / "accounts.json"
    file.write_text(content)
    spec = IbmRuntime(service_options={"filename": str(file)})
    assert "what went wrong" in str(explain(ValueError("what went wrong"), spec, Act.OPEN))


def test_harmless_causes_are_kept_and_sessions_explained(service):
    service.error = IBMRuntimeError('{"code":1352}')
    with pytest.raises(UnavailableError, match="mode=batch") as caught:
        open_backend("ibm")
    assert caught.value.__cause__ is service.error


def test_options_say_what_the_spec_says():
    spec = IbmRuntime(
        shots=1000, resilience_level=2, dynamical_decoupling=True, max_execution_time=77
    )
    options = estimator_options(spec, seed=5)
    assert options.default_shots == 1000
    assert options.resilience_level == 2
    assert options.dynamical_decoupling.enable
    assert options.max_execution_time == 77
    assert options.simulator.seed_simulator == 5


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("choice", [None, True, False])
def test_named_mitigation_is_what_the_client_does(level, choice):
    """What a spec says is on is what IBM's own client finds on."""
    for field in ("measure_mitigation", "zne_mitigation", "gate_twirling", "measure_twirling"):
        if field == "measure_twirling" and choice is False and level > 0:
            continue  # refused: TREX needs it
        spec = IbmRuntime(resilience_level=level, **{field: choice})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            options = finalize_estimator_options(estimator_options(spec))
        assert options.resilience.measure_mitigation == spec.mitigates_readout
        assert options.resilience.zne_mitigation == spec.extrapolates
        assert options.twirling.enable_gates == spec.twirls_gates
        assert options.twirling.enable_measure == spec.twirls_measurements
        if choice is not None and field != "measure_twirling":
            on = {
                "measure_mitigation": spec.mitigates_readout,
                "zne_mitigation": spec.extrapolates,
                "gate_twirling": spec.twirls_gates,
            }
            assert on[field] is choice


def test_mitigation_is_read_from_text():
    spec = parse_backend(
        "ibm,measure_mitigation=true,zne_mitigation=false,gate_twirling=none,measure_twirling=True"
    )
    assert spec.measure_mitigation is True
    assert spec.zne_mitigation is False
    assert spec.gate_twirling is None
    assert spec.measure_twirling is True


def test_only_rehearsals_scale_their_noise():
    with pytest.raises(ValidationError, match="real hardware"):
        IbmRuntime(noise_scale=2.0)
    assert IbmRuntime(noise_scale=2.0, rehearse="FakeTorino").noise_scale == 2.0


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_a_rehearsal_has_the_noise_of_the_simulator(scale, small):
    """Without mitigation the same as `noisy` on the same device, at every strength."""
    found = []
    for name in ("ibm_rehearsal,resilience_level=0,rehearse=fake_manila", "fake_manila"):
        with open_backend(name, shots=20_000, noise_scale=scale) as executable:
            prepared = executable.prepare(small, ["IZ", "ZI", "XX"], initial_layout=[1, 2])
            found.append(executable.run(prepared, EMPTY).values)
    assert np.abs(found[0] - found[1]).max() < 6 * (2 / 20_000) ** 0.5
    if scale == 0.0:
        wanted = [np.cos(0.6), np.cos(0.6), np.sin(0.6)]
        np.testing.assert_allclose(found[0][0], wanted, atol=0.05)


def test_decoupling_pulses_are_inserted_in_rehearsal(monkeypatch):
    """An idle qubit gets pulses and delays, which do not help against memoryless noise."""
    counts = {}
    apply = prepare.apply_dynamical_decoupling

    def spy(**given):
        program = apply(**given)
        counts.update(program.items[0].circuit.count_ops())
        return program

    monkeypatch.setattr(prepare, "apply_dynamical_decoupling", spy)
    circuit = QuantumCircuit(3)
    circuit.h(0)
    for _ in range(6):
        circuit.cx(1, 2)
        circuit.barrier([1, 2])
    circuit.barrier()
    circuit.h(0)
    means = []
    for decoupled in (False, True):
        with open_backend(
            "ibm_rehearsal,resilience_level=0,rehearse=fake_manila,shots=20000",
            dynamical_decoupling=decoupled,
        ) as executable:
            prepared = executable.prepare(circuit, "IIZ", initial_layout=[0, 1, 2])
            means.append(executable.run(prepared, EMPTY).values[0, 0])
    assert counts["x"] == 2
    assert counts["delay"] >= 3
    assert means[1] < means[0]


def test_isa_check_refuses_uncoupled_gates():
    circuit = QuantumCircuit(3)
    circuit.cx(0, 2)
    with pytest.raises(InvalidValueError, match="instructions"):
        check_isa(circuit, fake_device("manila").target)


def test_rehearsal_needs_no_account_and_repeats(no_network, small):
    values = []
    for _ in range(2):
        with open_backend("ibm_rehearsal", shots=512) as executable:
            prepared = executable.prepare(small, ["IZ", "ZI"])
            values.append([executable.run(prepared, EMPTY).values for _ in range(2)])
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0][0], values[0][1])


def test_mitigation_helps(small):
    """Level 0 shows the device's readout error, 1 removes it, 2 extrapolates gate noise."""
    errors = {}
    for level in (0, 1, 2):
        with open_backend(
            "ibm_rehearsal", rehearse="FakeManilaV2", resilience_level=level, shots=4096
        ) as executable:
            prepared = executable.prepare(small, ["IZ", "ZI"], initial_layout=[0, 1])
            batch = 2 if level == 2 else 6
            values = executable.run(prepared, np.zeros((batch, 0))).values
            errors[level] = np.abs(values.mean(axis=0) - np.cos(0.6)).mean()
    assert errors[0] > 0.03
    assert errors[1] < errors[0] / 1.5
    assert errors[2] < errors[0] / 1.5


def test_level_zero_rehearsal_equals_the_noisy_simulator(small):
    """Two independent paths to the same shots on the same cut device."""
    results = []
    for name in ("ibm_rehearsal,resilience_level=0", "fake_torino"):
        with open_backend(name, shots=3000) as executable:
            prepared = executable.prepare(small, ["IZ", "ZI"])
            results.append((prepared.qubits, executable.run(prepared, EMPTY)))
    assert results[0][0] == results[1][0]
    difference = results[0][1].values - results[1][1].values
    assert np.abs(difference).max() < 6 * 2**0.5 / 3000**0.5


def test_rehearsal_with_decoupling_runs(small):
    with open_backend("ibm_rehearsal", dynamical_decoupling=True, shots=256) as executable:
        prepared = executable.prepare(small, "IZ")
        assert abs(executable.run(prepared, EMPTY).values[0, 0] - np.cos(0.6)) < 0.4


def test_rehearsal_refuses_mixed_cuts(small):
    with open_backend("ibm_rehearsal", shots=64) as executable:
        one = executable.prepare(small, "IZ", initial_layout=[0, 1])
        two = executable.prepare(small, "IZ", initial_layout=[1, 2])
        pubs = [(p.isa_circuit, p.observables[0]) for p in (one, two)]
        with pytest.raises(InvalidValueError, match="same qubits"):
            executable.estimator.run(pubs)


def test_marks_survive_in_metadata(small):
    assert mark_cut(small, [3, 5]).metadata == {"kept_qubits": [3, 5]}


def test_qubits_that_wait_relax_in_rehearsal_too():
    """Without mitigation a rehearsal samples what the noisy simulator computes, delays included."""
    circuit = QuantumCircuit(4)
    circuit.x(2)
    circuit.cx(2, 3)  # qubit 3 then waits, excited, for the others
    for turn in range(10):
        circuit.cx(0, 1)
        circuit.ry(0.05 * turn, 1)
        circuit.cx(1, 2)
    circuit.cx(2, 3)
    labels, layout = ["ZZII", "IZZI", "IIZZ"], [62, 63, 64, 65]
    options = {"rehearse": "FakeSherbrooke", "resilience_level": 0, "shots": 40_000}
    with open_backend("aer_noisy", device="FakeSherbrooke", shots=None) as exact:
        prepared = exact.prepare(circuit, labels, initial_layout=layout)
        expected = exact.run(prepared, np.zeros((1, 0))).values[0]
        timeless = prepared.circuit.copy_empty_like()
        for item in prepared.circuit.data:
            if item.operation.name != "delay":
                timeless.append(item)
        job = exact.estimator.run([(timeless, prepared.column)])
        without = job.result()[0].data.evs[:, ...].ravel()
    with open_backend("ibm_rehearsal", **options) as rehearsal:
        prepared = rehearsal.prepare(circuit, labels, initial_layout=layout)
        values = rehearsal.run(prepared, np.zeros((1, 0))).values[0]
    margin = 4 * np.sqrt((1 - expected**2) / 40_000)
    assert (np.abs(values - expected) < margin).all()
    assert (np.abs(without - expected) > 2 * margin).any()


def test_rehearsals_opened_one_after_the_other_share_what_the_client_remembers():
    """The client keeps the boxes of ZNE in a cache of the process, and fails at the 13th twin."""
    from samplomatic.transpiler.passes.add_tags import AddTags

    circuit = QuantumCircuit(2)
    angle = ParameterVector("t", 1)
    circuit.ry(angle[0], 0)
    circuit.cx(0, 1)
    sizes = []
    for _ in range(2):
        with open_backend(
            "ibm_rehearsal,resilience_level=0,zne_mitigation=true,shots=64"
        ) as executable:
            executable.run(executable.prepare(circuit, "ZZ"), [[0.3]])
        sizes.append(len(AddTags._REFS))
    assert sizes[0] == sizes[1] > 0
