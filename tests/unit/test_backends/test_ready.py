"""Ready backends of any make: what their `run` receives, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Measure, Parameter, ParameterVector
from qiskit.circuit.library import CXGate, CZGate, HGate, RZGate, SXGate, XGate
from qiskit.primitives import BackendEstimatorV2
from qiskit.providers import BackendV2, Options
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import CouplingMap, InstructionProperties, Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from hybridq.quantum import QuantumLayer
from hybridq_backends import Executable, open_backend
from hybridq_backends.compile.subset import used_qubits
from hybridq_backends.compile.transpile import compile_on_target
from hybridq_backends.compile.usable import usable_qubits
from hybridq_backends.errors import InvalidValueError, UnavailableError

pytestmark = pytest.mark.filterwarnings("ignore:.*no QubitProperties")

SHOTS = 4000
LINE = [(i, i + 1) for i in range(6)]
DOWN = [(1, 0), (2, 1), (3, 2)]
STAR = [(3, leaf) for leaf in (0, 1, 2, 4)]
# A 3 x 4 grid without qubit 5 and without the couplings 2-3 and 6-10.
GRID = [(0, 1), (1, 2), (0, 4), (2, 6), (3, 7), (4, 8), (6, 7), (7, 11), (8, 9), (9, 10), (10, 11)]


class Spied(GenericBackendV2):
    """A generic device that keeps what it is sent."""

    def __init__(self, *args, **options):
        super().__init__(*args, noise_info=False, seed=0, **options)
        self.sent, self.calls = [], []

    def run(self, run_input, **options):
        self.sent += run_input
        self.calls.append((len(run_input), options))
        return super().run(run_input, **options)


class Plain(BackendV2):
    """A device as a small vendor writes it: `run(circuits, shots=...)`, five circuits a call."""

    def __init__(self, target, max_circuits=5):
        super().__init__(name="plain")
        self._target, self._max = target, max_circuits
        self.sent, self.calls = [], []

    @property
    def target(self):
        return self._target

    @property
    def max_circuits(self):
        return self._max

    @classmethod
    def _default_options(cls):
        return Options()

    def run(self, circuits, shots=100):
        assert self._max is None or len(circuits) <= self._max
        self.sent += circuits
        self.calls.append((len(circuits), {"shots": shots}))
        return AerSimulator(seed_simulator=len(self.sent)).run(circuits, shots=shots)


def both_ways(pairs):
    return CouplingMap([(a, b) for pair in pairs for a, b in (pair, pair[::-1])])


def target_of(num_qubits, couplings, *, lost=(), unread=(), unturned=(), two=CZGate):
    """A target whose `lost` qubits have nothing, and others no readout or no sx and x."""
    target = Target(num_qubits=num_qubits)
    good = [qubit for qubit in range(num_qubits) if qubit not in lost]
    half = [(qubit,) for qubit in good if qubit not in unturned]
    places = {(qubit,): None for qubit in good}
    target.add_instruction(RZGate(Parameter("angle")), dict(places))
    target.add_instruction(SXGate(), dict.fromkeys(half))
    target.add_instruction(XGate(), dict.fromkeys(half))
    target.add_instruction(two(), dict.fromkeys(couplings))
    read = {(qubit,): InstructionProperties(error=0.0) for qubit in good if qubit not in unread}
    target.add_instruction(Measure(), read)
    return target


def check_what_was_sent(device, prepared, shots=SHOTS):
    """Gates of the target alone, where it has them, on the qubits that are described."""
    assert device.sent
    for circuit in device.sent:
        assert used_qubits(circuit) <= set(prepared.qubits)
        for item in circuit.data:
            places = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
            if item.operation.name != "barrier":
                assert device.target.instruction_supported(item.operation.name, places), places
        read = {
            circuit.find_bit(item.qubits[0]).index
            for item in circuit.data
            if item.operation.name == "measure"
        }
        assert read <= {prepared.qubits[end] for end in prepared.layout}
        assert len(circuit.qregs) == 1
    assert all(options["shots"] == shots for _, options in device.calls)


@pytest.mark.parametrize(
    ("device", "layout"),
    [
        (Spied(7, ["cz", "rz", "sx", "x"], coupling_map=both_ways(LINE)), [3, 4, 5, 6]),
        (Spied(7, ["cz", "rz", "sx", "x"], coupling_map=both_ways(LINE)), [6, 3, 5, 4]),
        (Spied(5, coupling_map=both_ways(STAR)), [0, 3, 4, 1]),
        (Spied(5, ["ecr", "rz", "sx", "x"], coupling_map=CouplingMap(STAR)), [1, 3, 2, 0]),
        (Spied(12, ["r", "cz"], coupling_map=both_ways(LINE + [(i, i + 1) for i in range(6, 11)])),
         [9, 10, 11, 8]),
        (Plain(target_of(12, GRID, lost=[5])), [6, 7, 11, 3]),
        (Plain(target_of(12, GRID, lost=[5])), None),
        (Plain(target_of(9, [(4, 5), (5, 6), (6, 8), (1, 2)], lost=[0, 3, 7], unread=[1])), None),
        (Plain(target_of(6, DOWN, two=CXGate, unturned=[4]), None), [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_circuits_arrive_on_the_qubits_and_couplings_of_the_device(problem, device, layout):
    circuit, observables, points, exact = problem
    with Executable.from_backend(device, shots=SHOTS, seed=3) as executable:
        prepared = executable.prepare(circuit, observables, initial_layout=layout)
        result = executable.run(prepared, points)
        if layout is not None:
            assert set(layout) <= set(prepared.qubits)
        check_what_was_sent(device, prepared)
        # Two groups of terms for each point: Z, and the others.
        assert len(device.sent) == 2 * len(points)
        allowed = 6.0 * np.maximum(result.stds, 1.0 / SHOTS)
        assert (np.abs(result.values - exact) <= allowed).all()
        assert (result.stds[:, :4] <= SHOTS**-0.5).all()


def test_a_chosen_layout_is_where_qubits_start():
    device = Spied(7, ["cz", "rz", "sx", "x"], coupling_map=both_ways(LINE))
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate((0.3, 1.2, 2.5)):
        circuit.ry(angle, qubit)
    executable = Executable.from_backend(device, shots=SHOTS)
    prepared = executable.prepare(circuit, ["IIZ", "IZI", "ZII"], initial_layout=[5, 2, 6])
    assert [prepared.qubits[end] for end in prepared.layout] == [5, 2, 6]
    assert executable.device_for(prepared).qubits == (2, 5, 6)
    values = executable.run(prepared, np.zeros((1, 0))).values[0]
    np.testing.assert_allclose(values, np.cos([0.3, 1.2, 2.5]), atol=6 / SHOTS**0.5)
    check_what_was_sent(device, prepared)


def test_gradients_of_a_layer():
    theta = ParameterVector("t", 2)
    circuit = QuantumCircuit(3)
    circuit.ry(theta[0], 0)
    circuit.cx(0, 1)
    circuit.rx(theta[1], 2)
    circuit.cx(2, 0)
    device = Plain(target_of(5, STAR))
    values, slopes = [], []
    for backend in (Executable.from_backend(device, shots=SHOTS), open_backend("statevector")):
        layer = QuantumLayer(
            circuit,
            input_params=theta[:1],
            weight_params=theta[1:],
            observables=[SparsePauliOp("IIZ"), SparsePauliOp("XXI")],
            backend=backend,
        )
        angles = torch.tensor([[0.4], [1.9]], dtype=torch.float64, requires_grad=True)
        values.append(layer(angles))
        (2.0 * values[-1]).sum().backward()
        slopes.append(torch.cat([angles.grad.flatten(), layer.weight.grad]))
        if backend.engine == "backend":
            check_what_was_sent(device, layer.qnn.rule.prepared)
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=6 * SHOTS**-0.5)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=0, atol=24 * SHOTS**-0.5)
    assert slopes[1].abs().max() > 24 * SHOTS**-0.5


def test_its_estimator_alone_does_the_same(problem):
    circuit, observables, points, exact = problem
    device = Spied(7, ["cz", "rz", "sx", "x"], coupling_map=both_ways(LINE))
    executable = Executable.from_backend(device, shots=100)
    prepared = executable.prepare(circuit, observables, initial_layout=[3, 4, 5, 6])
    pub = (prepared.circuit, list(prepared.observables[:3]), prepared.angles(points[:1])[0])
    (result,) = executable.estimator.run([pub], precision=SHOTS**-0.5).result()
    np.testing.assert_allclose(result.data.evs, exact[0, :3], atol=6 * SHOTS**-0.5)
    check_what_was_sent(device, prepared)


def test_constants_are_not_sent():
    device = Spied(3)
    executable = Executable.from_backend(device, shots=10)
    circuit = QuantumCircuit(2)
    circuit.h(0)
    prepared = executable.prepare(circuit, SparsePauliOp("II", 0.25))
    result = executable.run(prepared, np.zeros((2, 0)))
    np.testing.assert_array_equal(result.values, [[0.25], [0.25]])
    np.testing.assert_array_equal(result.stds, 0.0)
    assert not device.sent


def test_shots_are_those_asked_for():
    """A precision of 1 / sqrt(1000) alone would be read as 1001."""
    circuit = QuantumCircuit(1)
    circuit.ry(1.0, 0)
    for shots in (1, 7, 1000, 4096, 100_000):
        device = Plain(target_of(2, [(0, 1)]))
        executable = Executable.from_backend(device, shots=shots)
        executable.run(executable.prepare(circuit, "Z"), np.zeros((1, 0)))
        assert device.calls == [(1, {"shots": shots})]


def test_a_wide_device_costs_no_more_than_the_qubits_in_use(problem):
    circuit, observables, points, exact = problem
    pairs = [(i, i + 1) for i in range(32)]
    device = Spied(33, ["cz", "rz", "sx", "x"], coupling_map=both_ways(pairs))
    executable = Executable.from_backend(device, shots=SHOTS)
    prepared = executable.prepare(circuit, observables, initial_layout=[29, 30, 31, 32])
    values = executable.run(prepared, points).values
    np.testing.assert_allclose(values[:, :4], exact[:, :4], atol=6 * SHOTS**-0.5)
    assert {circuit.num_qubits for circuit in device.sent} == {33}


@pytest.mark.parametrize("simulator", [AerSimulator(), BasicSimulator()])
def test_simulators_without_couplings_stay_narrow(problem, simulator, monkeypatch):
    circuit, observables, points, exact = problem
    sent, run = [], simulator.run
    monkeypatch.setattr(
        simulator, "run", lambda circuits, **rest: sent.extend(circuits) or run(circuits, **rest)
    )
    executable = Executable.from_backend(simulator, shots=SHOTS)
    for layout, width in ((None, 4), ([3, 1, 5, 2], 6)):
        sent.clear()
        prepared = executable.prepare(circuit, observables, initial_layout=layout)
        values = executable.run(prepared, points[:1]).values
        np.testing.assert_allclose(values[:, :4], exact[:1, :4], atol=6 * SHOTS**-0.5)
        assert {circuit.num_qubits for circuit in sent} == {width}


def test_qubits_that_cannot_be_used_are_named():
    target = target_of(7, LINE[2:], lost=[0, 1], unread=[2], unturned=[3])
    assert usable_qubits(target) == (4, 5, 6)
    executable = Executable.from_backend(Plain(target))
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    prepared = executable.prepare(circuit, ["ZZ"])
    assert set(prepared.qubits) <= {4, 5, 6}
    with pytest.raises(InvalidValueError, match="got qubit 2, which lacks some"):
        executable.prepare(circuit, ["ZZ"], initial_layout=[2, 4])
    with pytest.raises(InvalidValueError, match="at most 3 qubits"):
        executable.prepare(QuantumCircuit(4), ["ZZZZ"])
    apart = Executable.from_backend(Plain(target_of(4, [(0, 1), (2, 3)])))
    ring = QuantumCircuit(3)
    ring.cx(0, 1)
    ring.cx(1, 2)
    with pytest.raises(InvalidValueError, match="the transpiler refuses"):
        apart.prepare(ring, ["ZZZ"])
    # Nothing stands out where no qubit can do everything, or all can.
    odd = Target(num_qubits=2)
    odd.add_instruction(HGate(), {(0,): None})
    assert usable_qubits(odd) == (0, 1)
    assert usable_qubits(target_of(3, LINE[:2])) == (0, 1, 2)


def test_compiled_around_what_is_lost():
    theta = ParameterVector("t", 1)
    circuit = QuantumCircuit(1)
    circuit.ry(theta[0], 0)
    for level in (0, 1, 3):
        isa, ends = compile_on_target(
            circuit,
            target_of(7, LINE[3:], lost=[0, 1, 2]),
            optimization_level=level,
            seed=0,
            initial_layout=None,
        )
        assert isa.num_qubits == 7
        assert used_qubits(isa) == set(ends) <= {3, 4, 5, 6}


def test_it_has_no_simulator_of_ours(problem):
    circuit, observables, *_ = problem
    executable = Executable.from_backend(Spied(5))
    with pytest.raises(UnavailableError, match="no noise model"):
        executable.machine(executable.prepare(circuit, observables))


def test_a_noise_model_of_the_users_own_is_recorded():
    def record(rate, *, primitive=False):
        model = NoiseModel()
        model.add_all_qubit_quantum_error(depolarizing_error(rate, 2), ["cx"])
        simulator = AerSimulator(noise_model=model)
        ready = BackendEstimatorV2(backend=simulator) if primitive else simulator
        return open_backend(ready).describe()["noise_model"]

    assert record(0.1) == record(0.1) == record(0.1, primitive=True) != record(0.2)
    assert record(0.1)["instructions"] == ["cx"]
    assert "noise_model" not in open_backend(AerSimulator()).describe()
    scheduled = [AerSimulator.from_backend(FakeManilaV2()) for _ in range(2)]
    first, again = (open_backend(one).describe()["noise_model"]["sha256"] for one in scheduled)
    assert first == again
