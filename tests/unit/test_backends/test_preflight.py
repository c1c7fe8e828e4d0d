from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.transpiler import InstructionProperties

from hybridq.quantum import build_circuit, z_observables
from hybridq_backends import Executable, IbmRuntime
from hybridq_backends.compile.subset import CutBackend, cut_target
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.ibm.preflight import preflight
from hybridq_backends.jobs.engine import HardwareEngine


def column(*labels):
    return ObservablesArray([[label] for label in labels])


def fractional(angle):
    """An rzz, bound or free, on qubits 1 and 2 of the fractional device."""
    circuit = QuantumCircuit(3)
    circuit.rx(0.4, 1)
    circuit.rzz(angle, 1, 2)
    return circuit


class Edited(CutBackend):
    """The five-qubit device Manila whose calibration and properties can be edited."""

    def __init__(self, *, faulty_qubit=None, faulty_gate=None):
        super().__init__(fake_device("manila"), range(5))
        self._target = cut_target(fake_device("manila").target, range(5))
        real = fake_device("manila").properties()
        self._properties = SimpleNamespace(
            is_qubit_operational=lambda qubit: qubit != faulty_qubit,
            is_gate_operational=lambda name, qubits: (
                real.is_gate_operational(name, qubits) and (name, tuple(qubits)) != faulty_gate
            ),
        )

    def properties(self):
        return self._properties


def refused(match, circuit, observables, angles, device):
    with pytest.raises(InvalidValueError, match=match) as caught:
        preflight(circuit, observables, angles, device)
    assert "\n" not in str(caught.value)


@pytest.fixture
def pair():
    circuit = QuantumCircuit(3)
    circuit.rz(Parameter("a"), 1)
    circuit.sx(1)
    circuit.cx(1, 2)
    return circuit


@pytest.mark.parametrize(
    "name", ["FakeTorino", "FakeMarrakesh", "FakeSherbrooke", "FakeManilaV2", "FakeNighthawk"]
)
@pytest.mark.filterwarnings("ignore:Properties of fake_nighthawk")
def test_what_is_prepared_passes(name):
    device, spec = fake_device(name), IbmRuntime(mode="job")
    built = build_circuit(4)
    with Executable(HardwareEngine(spec, device), spec, "ibm") as executable:
        prepared = executable.prepare(built.circuit, z_observables(4))
    angles = np.random.default_rng(0).uniform(-9.0, 9.0, (3, prepared.num_angles))
    preflight(prepared.circuit, prepared.column, angles, device)


def test_fractional_gates_and_cut_devices_pass(pair):
    device = fake_device("FakeFractionalBackend")
    angles = [[0.0], [0.3], [np.pi / 2]]
    preflight(fractional(Parameter("a")), column("ZZI"), angles, device)
    preflight(fractional(np.pi / 2), column("IXY", "III"), np.zeros((2, 0)), device)
    preflight(pair, column("ZII"), [[0.1]], CutBackend(fake_device("manila"), [0, 1, 2]))
    preflight(pair, column("ZII"), [[0.1]], Edited())


@pytest.mark.parametrize(("angle", "row"), [(-0.01, 1), (1.6, 0)])
def test_angles_of_rzz(angle, row):
    device = fake_device("FakeFractionalBackend")
    angles = np.full((3, 1), 0.2)
    angles[row] = angle
    match = rf"got {angle} in row {row} of `angles` on qubits \(1, 2\): .*fractional"
    refused(match, fractional(Parameter("a")), column("ZZI"), angles, device)
    match = rf"got {angle} on qubits \(1, 2\)"
    refused(match, fractional(angle), column("ZZI"), np.zeros((1, 0)), device)


def test_gates_and_pairs_the_device_does_not_have(pair):
    device = fake_device("manila")
    pair.cx(0, 2)
    refused(r"cx on qubits \(0, 2\).*prepare it", pair, column("ZII"), [[0.1]], device)
    circuit = QuantumCircuit(2)
    circuit.ry(0.1, 1)
    refused(r"ry on qubits \(1,\)", circuit, column("ZI"), np.zeros((1, 0)), device)
    refused("at most 5 qubits, got 6", QuantumCircuit(6), column("Z" * 6), [[]], device)


def test_what_the_device_reports_as_faulty(pair):
    for qubit in (1, 2):
        device = Edited(faulty_qubit=qubit)
        refused(f"qubit {qubit}, which .*faulty.*layout", pair, column("ZII"), [[0.1]], device)
    preflight(pair, column("ZII"), [[0.1]], Edited(faulty_qubit=0))
    # A qubit without gates, but measured.
    refused("qubit 0,", pair, column("IIZ"), [[0.1]], Edited(faulty_qubit=0))
    device = Edited(faulty_gate=("cx", (1, 2)))
    refused(r"cx on \(1, 2\), which .*faulty", pair, column("ZII"), [[0.1]], device)
    preflight(pair, column("ZII"), [[0.1]], Edited(faulty_gate=("cx", (2, 1))))


@pytest.mark.parametrize("error", [None, 1.0])
@pytest.mark.parametrize(("name", "places"), [("cx", (1, 2)), ("sx", (1,)), ("measure", (2,))])
def test_what_is_not_calibrated(name, places, error, pair):
    device = Edited()
    device.target.update_instruction_properties(
        name, places, InstructionProperties(error=error, duration=1e-7)
    )
    match = rf"{name} on \({places[0]},.*no error below 1"
    refused(match, pair, column("ZII"), [[0.1]], device)
    device.target.update_instruction_properties(
        name, places, InstructionProperties(error=0.5, duration=1e-7)
    )
    preflight(pair, column("ZII"), [[0.1]], device)


def test_a_broken_pair_of_torino_is_refused():
    device = fake_device("FakeTorino")
    a, b = next(places for places, entry in device.target["cz"].items() if entry.error >= 1)
    circuit = QuantumCircuit(max(a, b) + 1)
    circuit.cz(a, b)
    observables = column("Z" + "I" * max(a, b))
    refused(rf"cz on \({a}, {b}\)", circuit, observables, np.zeros((1, 0)), device)


def test_observables(pair):
    device = fake_device("manila")
    refused("3 qubits, got one of 4 in row 1, which measures qubit 3", pair,
            wrong(["ZII", "ZIIZ"]), [[0.1]], device)  # fmt: skip
    refused("3 qubits, got one of 2 in row 0", pair, column("ZI"), [[0.1]], device)
    refused("coefficient 1j of ZII", pair, wrong([{"ZII": 1j}]), [[0.1]], device)
    refused("coefficient nan of ZII", pair, wrong([{"ZII": np.nan}]), [[0.1]], device)
    refused(r"column \(O, 1\)", pair, ObservablesArray(["ZII"]), [[0.1]], device)


def wrong(rows):
    """A column as Qiskit itself would not build it."""
    terms = [row if isinstance(row, dict) else {row: 1.0} for row in rows]
    flat = SimpleNamespace(tolist=lambda: terms)
    return SimpleNamespace(ndim=2, shape=(len(rows), 1), size=len(rows), ravel=lambda: flat)


def test_angles(pair):
    device, observables = fake_device("manila"), column("ZII")
    refused(r"\(batch, 1\), got \(2,\)", pair, observables, [0.1, 0.2], device)
    refused(r"\(batch, 1\), got \(1, 2\)", pair, observables, [[0.1, 0.2]], device)
    refused(r"\(batch, 1\), got \(0, 1\)", pair, observables, np.zeros((0, 1)), device)
    refused("got nan in row 1, column 0", pair, observables, [[0.1], [np.nan]], device)
    refused("real numbers", pair, observables, [["a"]], device)
    pair.rz(2.0 * Parameter("b"), 2)
    refused(r"plain parameters, got the expression 2\*b", pair, observables, [[0, 0]], device)
