from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit.transpiler import InstructionProperties
from qiskit_ibm_runtime import Batch, QiskitRuntimeService
from qiskit_ibm_runtime.api.rest.runtime import Runtime
from qiskit_ibm_runtime.executor_estimator import Estimator, prepare
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from hybridq.quantum import build_circuit, z_observables
from hybridq_backends import Executable, IbmRuntime
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.ibm.job_size import program_size, repetition_delay
from hybridq_backends.ibm.options import estimator_options
from hybridq_backends.jobs.engine import HardwareEngine
from hybridq_backends.layout.choose import rank_layouts

BUILT = build_circuit(4)
NARROW = (0, 1, 2, 3)


def prepared_for(spec, device, observables=None, layout=NARROW):
    with Executable(HardwareEngine(spec, device), spec, "ibm") as executable:
        observables = z_observables(4) if observables is None else observables
        return executable.prepare(BUILT.circuit, observables, initial_layout=layout)


def points(prepared, batch):
    theta = np.random.default_rng(1).uniform(-3.0, 3.0, (batch, prepared.num_parameters))
    return prepared.angles(theta)


def shifted(prepared, batch):
    """The points of one training step: each angle by itself to both sides, and not at all."""
    steps = np.pi / 2 * np.eye(prepared.num_angles)
    shifts = np.concatenate([0 * steps[:1], steps, -steps])
    return (points(prepared, batch)[:, None] + shifts).reshape(-1, prepared.num_angles)


@pytest.mark.parametrize(
    ("labels", "bases"), [(["IIIZ", "ZZII"], 1), (["IIIZ", "XIIX", "YYII"], 2)]
)
def test_without_mitigation_executions_are_points_times_bases_times_shots(labels, bases):
    spec, device = IbmRuntime(resilience_level=0, shots=300), fake_device("manila")
    prepared = prepared_for(spec, device, labels)
    size = program_size(prepared.circuit, prepared.column, points(prepared, 5), spec, device)
    assert size.circuits == 5 * bases
    assert size.shots_per_circuit == 300
    assert size.executions == 5 * bases * 300
    assert size.qpu_seconds == pytest.approx(2 + 0.00035 * 1500 * bases)


@pytest.mark.parametrize("shots", [100, 1000, 4096])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_executions_of_one_configuration_are_the_published_ones(level, shots, monkeypatch):
    """What the reference lists holds TREX's calibration: half of level 1, a quarter of level 2."""
    table = {
        0: {100: 100, 1000: 1000, 4096: 4096},
        1: {100: 256, 1000: 2048, 4096: 8192},
        2: {100: 512, 1000: 4096, 4096: 16384},
    }
    spec, device = IbmRuntime(resilience_level=level, shots=shots), fake_device("manila")
    prepared = prepared_for(spec, device, ["IIIZ"])
    angles = points(prepared, 1)
    size = program_size(prepared.circuit, prepared.column, angles, spec, device)
    assert size.executions == table[level][shots]
    options = estimator_options(spec)
    pub = (prepared.circuit, prepared.column, angles)
    program, _ = prepare.prepare([pub], options, backend=device)
    runs = [program.shots * int(np.prod(item.shape)) for item in program.items]
    assert sum(runs) == size.executions
    if level:
        assert runs[-1] == table[1][shots] // 2
        without = spec.model_copy(update={"measure_mitigation": False, "measure_twirling": True})
        again = program_size(prepared.circuit, prepared.column, angles, without, device)
        assert again.executions == size.executions - runs[-1]


@pytest.mark.parametrize("level", [1, 2])
def test_with_mitigation_executions_are_those_of_the_program(level):
    spec, device = IbmRuntime(resilience_level=level, shots=500), fake_device("FakeTorino")
    prepared = prepared_for(spec, device, ["IIIZ", "XIIX"])
    angles = points(prepared, 3)
    size = program_size(prepared.circuit, prepared.column, angles, spec, device)
    pub = (prepared.circuit, prepared.column, angles)
    program, _ = prepare.prepare([pub], estimator_options(spec), backend=device)
    *main, calibration = (int(np.prod(item.shape)) for item in program.items)
    assert sum(main) == 8 * 3 * 2 * (3 if level == 2 else 1)  # factors 1, 3, 5 of ZNE
    assert calibration == 8
    assert size.executions == 64 * (sum(main) + calibration)


class Posted(FakeManilaV2):
    """A device that looks as if it came from the service."""

    _instance = "crn"

    def status(self):
        return SimpleNamespace(operational=True, status_msg="active")


def posted_body(spec, pub):
    """Let the unmodified client post a job of a batch, and catch what it would send."""
    caught = []
    device = Posted()

    class Session:
        base_url = ""

        def post(self, url, data, **_):
            caught.append(data)
            raise KeyboardInterrupt(url)

    service = QiskitRuntimeService.__new__(QiskitRuntimeService)
    service._channel = "ibm_quantum_platform"
    service._check_instance_usage = lambda: None
    service._api_clients = {"crn": Runtime(Session())}
    batch = Batch.__new__(Batch)
    batch._service, batch._backend, batch._instance = service, device, "crn"
    batch._session_id, batch._active = "c" * 36, True
    with pytest.raises(KeyboardInterrupt, match="/jobs"):
        Estimator(mode=batch, options=estimator_options(spec)).run([pub])
    return caught[0]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_body_is_what_the_client_posts(level):
    spec, device = IbmRuntime(resilience_level=level, shots=1000), Posted()
    prepared = prepared_for(spec, device)
    angles = points(prepared, 6)
    body = posted_body(spec, (prepared.circuit, prepared.column, angles))
    size = program_size(prepared.circuit, prepared.column, angles, spec, device)
    # Names are drawn at random, and at level 2 gates are folded at random.
    assert size.body_bytes == pytest.approx(len(body.encode()), rel=0.02 if level == 2 else 0.005)
    sent = json.loads(body)
    assert sent["program_id"] == "executor"
    assert sent["params"]["schema_version"] == "v2.0"
    assert sent["cost"] == spec.max_execution_time
    more = program_size(prepared.circuit, prepared.column, points(prepared, 60), spec, device)
    assert more.body_bytes > size.body_bytes


def test_a_job_alone_names_no_session():
    device = fake_device("manila")
    sizes = []
    for mode in ("job", "batch"):
        spec = IbmRuntime(resilience_level=0, mode=mode)
        prepared = prepared_for(spec, device)
        angles = points(prepared, 2)
        sizes.append(program_size(prepared.circuit, prepared.column, angles, spec, device))
    named = len(f', "session_id": "{"c" * 36}"')
    assert sizes[1].body_bytes - sizes[0].body_bytes == pytest.approx(named, abs=40)


def test_evaluating_156_images_is_one_small_job():
    spec, device = IbmRuntime(resilience_level=0, shots=1024), fake_device("FakeTorino")
    best = rank_layouts(BUILT.circuit, device.target)[0]
    prepared = prepared_for(spec, device, layout=best.layout)
    size = program_size(prepared.circuit, prepared.column, points(prepared, 156), spec, device)
    assert size.executions == 156 * 1024
    assert size.body_bytes < 1_000_000
    assert size.qpu_seconds < 60


@pytest.mark.parametrize("level", [0, 1])
def test_a_training_step_is_at_most_25_kilobytes(level):
    """4 images, 12 weights, 4 inputs, 2 observables, each gate angle to both sides."""
    spec, device = IbmRuntime(resilience_level=level, shots=1024), fake_device("FakeTorino")
    prepared = prepared_for(spec, device, z_observables(4)[:2])
    assert prepared.num_angles == 16
    angles = shifted(prepared, 4)
    assert angles.shape == (4 * 33, 16)
    size = program_size(prepared.circuit, prepared.column, angles, spec, device)
    assert size.executions == (132 * 1024 if level == 0 else 133 * 1024)
    assert size.body_bytes <= 25_000


def test_each_qubit_below_the_last_in_use_costs_bytes():
    """The client measures them all: on qubit 62 a step is above 25 kB, by about 300 bytes each."""
    spec, device = IbmRuntime(resilience_level=0, shots=1024), fake_device("FakeTorino")
    sizes = []
    for layout in (NARROW, (54, 61, 62, 60)):
        prepared = prepared_for(spec, device, z_observables(4)[:2], layout)
        angles = shifted(prepared, 4)
        size = program_size(prepared.circuit, prepared.column, angles, spec, device)
        sizes.append((prepared.circuit.num_qubits, size.body_bytes))
    (few, small), (many, large) = sizes
    assert large > 25_000
    assert 200 < (large - small) / (many - few) < 400


def longest_path(circuit, target):
    """When the last qubit is done, each gate starting as soon as its qubits are free."""
    free = dict.fromkeys(circuit.qubits, 0.0)
    for item in circuit.data:
        where = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        name = item.operation.name
        if name == "delay":
            lasts = target.dt * item.operation.duration
        else:
            lasts = 0.0 if name == "barrier" else target[name][where].duration
        end = max(free[qubit] for qubit in item.qubits) + lasts
        free.update(dict.fromkeys(item.qubits, end))
    return max(free.values())


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_job_takes_the_delay_and_its_circuits_duration_for_each_execution(level):
    spec, device = IbmRuntime(resilience_level=level, shots=500), fake_device("manila")
    prepared = prepared_for(spec, device, ["IIIZ", "XIIX"])
    pub = (prepared.circuit, prepared.column, points(prepared, 3))
    size = program_size(*pub, spec, device, rep_delay=repetition_delay(device))
    program, _ = prepare.prepare([pub], estimator_options(spec), backend=device)
    expected = 2 + program.shots * sum(
        int(np.prod(item.shape)) * (250e-6 + longest_path(item.circuit, device.target))
        for item in program.items
    )
    # At level 2 gates are folded at random.
    assert size.qpu_seconds == pytest.approx(expected, rel=1e-3 if level == 2 else 1e-9)
    assert size.quick_seconds == pytest.approx(2 + 0.00035 * size.executions)


@pytest.mark.parametrize("delay", [None, "250", True, float("nan"), float("inf"), -1e-6])
def test_a_device_that_does_not_tell_its_delay_is_estimated_by_the_quick_formula(delay):
    configuration = SimpleNamespace(default_rep_delay=delay)
    assert repetition_delay(SimpleNamespace(configuration=lambda: configuration)) is None
    assert repetition_delay(SimpleNamespace()) is None


def test_a_device_without_durations_is_estimated_by_the_quick_formula():
    spec, device = IbmRuntime(resilience_level=0, shots=100), FakeManilaV2()
    prepared = prepared_for(spec, device, ["IIIZ"])
    for where in list(device.target["sx"]):
        device.target.update_instruction_properties("sx", where, InstructionProperties(error=1e-4))
    pub = (prepared.circuit, prepared.column, points(prepared, 2))
    size = program_size(*pub, spec, device, rep_delay=250e-6)
    assert size.device_seconds is None
    assert size.qpu_seconds == size.quick_seconds
