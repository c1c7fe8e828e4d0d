from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Measure, Parameter
from qiskit.circuit.library import CXGate, RZGate, SXGate, XGate
from qiskit.providers import QubitProperties
from qiskit.quantum_info import Statevector
from qiskit.transpiler import CouplingMap, InstructionProperties, Target

from hybridq.quantum import build_circuit, z_observables
from hybridq_backends import open_backend
from hybridq_backends.compile.subset import cut_target, keep_qubits
from hybridq_backends.compile.transpile import compile_on_target, kept_for, with_delays
from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.layout.choose import rank_layouts
from hybridq_backends.layout.error_rates import operations_of, read_calibration
from hybridq_backends.layout.subgraph_search import Pattern, cheapest_places

DT = 1e-9


def line_target(size=5, *, gates=None, readouts=None, singles=None, timed=True):
    """Build a line of qubits; errors grow along it, and some can be given."""
    gates, readouts, singles = gates or {}, readouts or {}, singles or {}

    def entry(error, dts):
        return InstructionProperties(error=error, duration=dts * DT if timed else None)

    target = Target(
        num_qubits=size,
        dt=DT,
        qubit_properties=[QubitProperties(t1=1e-4, t2=(5 + q) * 1e-5) for q in range(size)],
    )
    for gate, share in ((SXGate(), 1.0), (XGate(), 1.5)):
        target.add_instruction(
            gate,
            {(q,): entry(singles.get(q, share * 1e-4 * (q + 1)), 30) for q in range(size)},
        )
    target.add_instruction(RZGate(Parameter("a")), {(q,): entry(0.0, 0) for q in range(size)})
    target.add_instruction(Delay(Parameter("t")), {(q,): None for q in range(size)})
    target.add_instruction(
        CXGate(),
        {
            pair: entry(gates.get(min(pair), 1e-3 * (min(pair) + 2)), 100 + 50 * min(pair))
            for q in range(size - 1)
            for pair in ((q, q + 1), (q + 1, q))
        },
    )
    target.add_instruction(
        Measure(), {(q,): entry(readouts.get(q, 0.01 + 0.002 * q), 500) for q in range(size)}
    )
    return target


def chain(size, repeats=1):
    circuit = QuantumCircuit(size)
    for _ in range(repeats):
        for qubit in range(size):
            circuit.ry(0.3 + 0.1 * qubit, qubit)
        for qubit in range(size - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


def by_hand(isa, ends, target):
    """Multiply success probabilities, with the waits that Qiskit's own scheduling finds."""
    success = 1.0
    for item in isa.data:
        places = tuple(isa.find_bit(qubit).index for qubit in item.qubits)
        success *= 1.0 - target[item.operation.name][places].error
    for end in ends:
        success *= 1.0 - target["measure"][(end,)].error
    used = kept_for(isa, ends)
    timed = with_delays(keep_qubits(isa, used), cut_target(target, used))
    for i, qubit in enumerate(used):
        own = [item.operation for item in timed.data if timed.qubits[i] in item.qubits]
        begun = [k for k, operation in enumerate(own) if operation.name != "delay"]
        waits = [o.duration * target.dt for o in own[begun[0] :] if o.name == "delay"]
        wait, times = sum(waits), target.qubit_properties[qubit]
        success *= 0.5 + math.exp(-wait / times.t1) / 6 + math.exp(-wait / times.t2) / 3
    return 1.0 - success


@pytest.mark.parametrize("timed", [True, False])
def test_the_score_is_the_product_by_hand(timed):
    circuit, target = chain(3, repeats=2), line_target()
    for scored in rank_layouts(circuit, line_target(timed=timed)):
        isa, ends = compile_on_target(
            circuit, target, optimization_level=3, seed=0, initial_layout=scored.layout
        )
        wanted = by_hand(isa, ends, target)
        if timed:
            assert scored.expected_error == pytest.approx(wanted, rel=1e-9)
        else:
            assert 0.9 * wanted < scored.expected_error < wanted
        assert scored.qubits == kept_for(isa, ends)
        assert scored.depth == isa.depth()
        assert scored.two_qubit_gates == isa.count_ops()["cx"]


def test_waits_of_a_device_are_those_of_the_scheduler():
    circuit, target = build_circuit(4).circuit, fake_device("FakeSherbrooke").target
    best = rank_layouts(circuit, target, most=2)[0]
    isa, ends = compile_on_target(
        circuit, target, optimization_level=3, seed=0, initial_layout=best.layout
    )
    assert best.expected_error == pytest.approx(by_hand(isa, ends, target), rel=1e-6)


def test_the_choice_beats_the_transpilers_own_on_torino():
    circuit, target = build_circuit(4).circuit, fake_device("FakeTorino").target
    start = time.perf_counter()
    ranked = rank_layouts(circuit, target)
    assert time.perf_counter() - start < 3.0
    calibration = read_calibration(target)
    plain = []
    for seed in range(8):
        isa, ends = compile_on_target(
            circuit, target, optimization_level=3, seed=seed, initial_layout=None
        )
        plain.append(calibration.expected_error(operations_of(isa), ends))
    assert ranked[0].expected_error < min(plain)
    assert ranked == rank_layouts(circuit, target)
    errors = [scored.expected_error for scored in ranked]
    assert errors == sorted(errors)
    assert len({scored.layout for scored in ranked}) == len(ranked) == 10


@pytest.mark.parametrize("error", [None, 1.0, 0.4])
def test_a_bad_pair_is_avoided(error):
    ranked = rank_layouts(chain(3), line_target(gates={1: error}), most=50)
    assert set(ranked[0].qubits) == {2, 3, 4}
    if error != 0.4:
        assert all(set(scored.qubits) == {2, 3, 4} for scored in ranked)


@pytest.mark.parametrize("part", ["readouts", "singles"])
@pytest.mark.parametrize("error", [None, 1.0, 0.4])
def test_a_bad_qubit_is_avoided(part, error):
    ranked = rank_layouts(chain(2), line_target(**{part: {1: error}}), most=50)
    assert set(ranked[0].qubits) == {2, 3}
    if error != 0.4:
        assert all(1 not in scored.layout for scored in ranked)


def test_nothing_fits():
    with pytest.raises(InvalidValueError, match="room for 3 qubits"):
        rank_layouts(chain(3), line_target(4, gates={1: None}))
    uncalibrated = Target.from_configuration(
        ["cx", "rz", "sx"], coupling_map=CouplingMap.from_line(5)
    )
    with pytest.raises(InvalidValueError, match="room for 3 qubits"):
        rank_layouts(chain(3), uncalibrated)
    with pytest.raises(InvalidValueError, match="room for 3 qubits"):
        rank_layouts(chain(3), Target.from_configuration(["cx", "rz", "sx"], num_qubits=5))
    with pytest.raises(InvalidValueError, match="1 to 4 qubits"):
        rank_layouts(chain(5), line_target(4))
    with pytest.raises(InvalidValueError, match="at least 1"):
        rank_layouts(chain(2), line_target(4), most=0)


@pytest.mark.filterwarnings("ignore:Properties of fake_nighthawk")
def test_no_broken_gate_of_a_device_is_used():
    """22 directed pairs of FakeTorino are broken, and so is one qubit of FakeNighthawk."""
    for name in ("FakeTorino", "FakeNighthawk"):
        target = fake_device(name).target
        broken = {
            frozenset(places)
            for gate in ("cz", "sx")
            for places, entry in target[gate].items()
            if entry.error >= 1.0
        }
        for scored in rank_layouts(chain(6), target, most=20):
            isa, _ = compile_on_target(
                chain(6), target, optimization_level=3, seed=0, initial_layout=scored.layout
            )
            used = {frozenset(places) for _, places in operations_of(isa)}
            assert used.isdisjoint(broken)


@pytest.mark.parametrize("name", ["line", "FakeManilaV2"])
def test_a_line_is_placed_at_the_optimum_over_all_layouts(name):
    target = line_target() if name == "line" else fake_device(name).target
    circuit, calibration = chain(3, repeats=2), read_calibration(target)
    errors = {}
    for layout in itertools.permutations(range(5), 3):
        isa, ends = compile_on_target(
            circuit, target, optimization_level=3, seed=0, initial_layout=layout
        )
        errors[layout] = calibration.expected_error(operations_of(isa), ends)
    best = rank_layouts(circuit, target)[0]
    assert best.expected_error == min(errors.values())
    assert errors[best.layout] == best.expected_error


def test_qubits_without_gates_are_placed_where_they_are_read_well():
    circuit = QuantumCircuit(3)
    circuit.ry(0.4, 0)
    target = line_target(6, readouts={0: 0.2, 4: 1e-3, 5: 2e-3})
    best = rank_layouts(circuit, target)[0]
    assert {4, 5} < set(best.layout)


@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_the_cheapest_places(seed):
    rng = np.random.default_rng(seed)
    places, size = 7, 4
    couplings = {}
    for pair in ((0, 1), (1, 2), (1, 3)) if seed % 2 else ((0, 1), (1, 2)):
        couplings[pair] = {
            (a, b): float(rng.uniform())
            for a, b in itertools.permutations(range(places), 2)
            if (a + b + seed) % 3
        }
    pattern = Pattern(rng.uniform(size=(size, places)).tolist(), couplings)
    costs = []
    for where in itertools.permutations(range(places), size):
        cost = sum(pattern.nodes[node][place] for node, place in enumerate(where))
        for (u, v), table in couplings.items():
            cost += table.get((where[u], where[v]), math.inf)
        if math.isfinite(cost):
            costs.append((cost, where))
    found = cheapest_places(pattern, most=8)
    assert [where for _, where in found] == [where for _, where in sorted(costs)[:8]]
    np.testing.assert_allclose([c for c, _ in found], [c for c, _ in sorted(costs)[:8]])


def test_a_lower_expected_error_is_a_smaller_error_in_simulation():
    """The noisy simulator knows nothing of the score, and agrees with it."""
    built = build_circuit(4)
    target = fake_device("FakeTorino").target
    ranked = rank_layouts(built.circuit, target, most=60)
    rng = np.random.default_rng(0)
    points = rng.uniform(-np.pi, np.pi, (12, len(built.circuit.parameters)))
    observables = z_observables(4)
    exact = []
    for point in points:
        state = Statevector(built.circuit.assign_parameters(point))
        exact.append([state.expectation_value(o).real for o in observables])
    rms = []
    with open_backend("fake_torino", shots=None) as executable:
        for scored in (ranked[0], ranked[-1]):
            prepared = executable.prepare(built.circuit, observables, initial_layout=scored.layout)
            assert prepared.qubits == scored.qubits
            values = executable.run(prepared, points).values
            rms.append(float(np.sqrt(np.mean((values - np.array(exact)) ** 2))))
    assert ranked[-1].expected_error > 1.2 * ranked[0].expected_error
    assert rms[0] < rms[1]
