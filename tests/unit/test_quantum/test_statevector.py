from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qiskit import transpile
from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.circuit.library import (
    PauliEvolutionGate,
    PauliGate,
    PermutationGate,
    QFTGate,
    UnitaryGate,
    XGate,
    get_standard_gate_name_mapping,
)
from qiskit.quantum_info import SparsePauliOp, random_clifford, random_unitary
from qiskit.quantum_info import Statevector as QiskitStatevector
from qiskit_aer import AerSimulator

from hybridq.errors import InvalidValueError
from hybridq.quantum import build_circuit, z_observables
from hybridq.quantum.gradients.parameter_shift import ShiftRule
from hybridq.quantum.split_circuit import split_circuit
from hybridq.quantum.statevector.matrices import multiply_shared
from hybridq.quantum.statevector.simulator import StatevectorEngine
from hybridq_backends import open_backend

NOT_UNITARY = {"measure", "reset", "delay"}
EVERY_GATE = {
    name: gate for name, gate in get_standard_gate_name_mapping().items() if name not in NOT_UNITARY
}
GATES = {name: gate for name, gate in EVERY_GATE.items() if gate.num_qubits <= 4}


@dataclass(frozen=True)
class Problem:
    """A circuit, its parameters by kind, observables, and points in radians."""

    circuit: QuantumCircuit
    input_params: list[Parameter]
    weight_params: list[Parameter]
    observables: list[SparsePauliOp]
    inputs: np.ndarray
    weights: np.ndarray


@st.composite
def problems(draw, max_qubits: int = 8, max_gates: int = 12) -> Problem:
    num_qubits = draw(st.integers(1, max_qubits))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x, w = ParameterVector("x", 3), ParameterVector("w", 3)
    circuit = QuantumCircuit(num_qubits)
    fitting = sorted(name for name, gate in GATES.items() if gate.num_qubits <= num_qubits)
    for name in draw(st.lists(st.sampled_from([*fitting, "matrix"]), max_size=max_gates)):
        if name == "matrix":
            size = int(rng.integers(1, min(3, num_qubits) + 1))
            gate = UnitaryGate(random_unitary(2**size, seed=rng))
        else:
            standard = GATES[name]
            gate = type(standard)(*(angle(rng, x, w) for _ in standard.params))
        qubits = rng.permutation(num_qubits)[: gate.num_qubits]
        circuit.append(gate, qubits.tolist())
    used = set(circuit.parameters)
    inputs, weights = ([p for p in vector if p in used] for vector in (x, w))
    observables = [pauli_sum(rng, num_qubits) for _ in range(draw(st.integers(1, 3)))]
    return Problem(
        circuit,
        inputs,
        weights,
        observables,
        rng.uniform(-np.pi, np.pi, (3, len(inputs))),
        rng.uniform(-np.pi, np.pi, len(weights)),
    )


def angle(rng, x, w):
    """A number, a parameter, a linear or another expression of one or two of them."""
    one = x[int(rng.integers(3))] if rng.random() < 0.5 else w[int(rng.integers(3))]
    other = w[int(rng.integers(3))]
    kind = int(rng.integers(6))
    return (
        float(rng.uniform(-np.pi, np.pi)),
        one,
        one,
        -0.7 * one + other + 0.3,
        one * (np.pi - other),
        0.5 * one.sin(),
    )[kind]


def pauli_sum(rng, num_qubits: int) -> SparsePauliOp:
    """A sum of one to four Pauli strings with real coefficients."""
    count = int(rng.integers(1, 5))
    labels = ["".join(rng.choice(list("IXYZ"), num_qubits)) for _ in range(count)]
    return SparsePauliOp(labels, rng.uniform(-1, 1, count))


MANY = settings(
    max_examples=100,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.target],
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
FEW = settings(MANY, max_examples=40)
SIMULATOR = AerSimulator(method="statevector")
TARGET = SIMULATOR.target  # made anew at each look, which takes longer than a run


def tensors(problem):
    return torch.from_numpy(problem.inputs), torch.from_numpy(problem.weights)


def aer_values(problem, inputs, weights):
    """Expectation values from Aer's statevectors, without any code of this package."""
    circuit = problem.circuit.copy()
    circuit.save_statevector()
    compiled = transpile(circuit, target=TARGET, optimization_level=0)
    params = [*problem.input_params, *problem.weight_params]
    bound = [
        compiled.assign_parameters(dict(zip(params, [*row, *weights], strict=True)))
        for row in inputs
    ]
    result = SIMULATOR.run(bound).result()
    states = [QiskitStatevector(np.asarray(result.get_statevector(one))) for one in bound]
    return np.array([[s.expectation_value(o).real for o in problem.observables] for s in states])


def prepared_circuit(num_qubits):
    """Every amplitude of its state is different."""
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(0.4 + 0.3 * qubit, qubit)
        circuit.rx(1.1 - 0.2 * qubit, qubit)
    return circuit


def assert_state_is_qiskits(circuit, inputs=(), values=()):
    split = split_circuit(circuit, list(inputs), [])
    engine = StatevectorEngine(split, z_observables(circuit.num_qubits))
    phi = split.phases(
        torch.tensor([values], dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    )
    bound = circuit.assign_parameters(dict(zip(inputs, values, strict=True)))
    overlap = np.vdot(QiskitStatevector(bound).data, engine.states(phi)[:, 0].numpy())
    assert abs(overlap) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", sorted(EVERY_GATE))
def test_each_standard_gate(name):
    gate = EVERY_GATE[name]
    for qubits in (range(gate.num_qubits), reversed(range(1, gate.num_qubits + 1))):
        numbers = [0.3 + 0.5 * place for place in range(len(gate.params))]
        constant = prepared_circuit(gate.num_qubits + 1)
        constant.append(type(gate)(*numbers), [*qubits])
        assert_state_is_qiskits(constant)
        if numbers:
            params = ParameterVector("t", len(numbers))
            free = prepared_circuit(gate.num_qubits + 1)
            free.append(type(gate)(*params), [*range(gate.num_qubits)])
            assert_state_is_qiskits(free, list(params), numbers)


@pytest.mark.parametrize("free", [False, True])
def test_operations_that_are_made_of_others(free):
    """Composite, controlled on zero, permuting, Clifford and Trotterised operations."""
    t = Parameter("t")
    inner = prepared_circuit(2)
    inner.cx(0, 1)
    inner.rz(0.3, 1)
    circuit = prepared_circuit(4)
    circuit.append(inner.to_gate(), [3, 1])
    circuit.append(inner.to_gate().control(1, ctrl_state=0), [0, 2, 3])
    circuit.append(XGate().control(3, ctrl_state=5), [0, 2, 3, 1])
    circuit.append(PermutationGate([2, 0, 3, 1]), range(4))
    circuit.append(PauliGate("XZY"), [3, 0, 2])
    circuit.append(QFTGate(3), [0, 3, 1])
    circuit.append(random_clifford(2, seed=1), [1, 2])
    circuit.append(UnitaryGate(random_unitary(8, seed=2)), [3, 0, 1])
    evolution = SparsePauliOp(["XX", "ZI", "IY"], [0.3, 0.4, -0.2])
    circuit.append(PauliEvolutionGate(evolution, time=t if free else 0.7), [2, 0])
    # Aer and a circuit's simulation run the product formula, not the exponential
    circuit = circuit.decompose(gates_to_decompose="PauliEvolution")
    assert_state_is_qiskits(circuit, [t] if free else [], [0.7] if free else [])


def test_an_evolution_is_its_product_formula_whether_its_time_is_a_number_or_not():
    t = Parameter("t")
    gate = PauliEvolutionGate(SparsePauliOp(["XX", "ZI", "IY"], [0.9, 0.8, -0.7]), time=t)
    found = []
    for fixed in (False, True):
        circuit = prepared_circuit(2)
        circuit.append(gate, [0, 1])
        params = [t]
        if fixed:
            circuit, params = circuit.assign_parameters({t: 0.7}), []
        split = split_circuit(circuit, params, [])
        engine = StatevectorEngine(split, z_observables(2))
        inputs = torch.full((1, len(params)), 0.7, dtype=torch.float64)
        found.append(engine(split.phases(inputs, torch.zeros(0, dtype=torch.float64))))
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)


def test_a_wide_gate_of_a_circuit_needs_no_matrix():
    inner = prepared_circuit(16)
    for qubit in range(15):
        inner.cx(qubit, qubit + 1)
    t = Parameter("t")
    circuit = QuantumCircuit(16)
    circuit.append(inner.to_gate(), range(16))
    circuit.append(QFTGate(16), range(16))
    circuit.ry(t, 0)
    split = split_circuit(circuit, [t], [])
    engine = StatevectorEngine(split, z_observables(16), dtype=torch.float32)
    values = engine(split.phases(torch.ones(1, 1).double(), torch.zeros(0).double()))
    assert values.isfinite().all()


@MANY
@given(problems())
def test_values_equal_aers_and_gradients_parameter_shift_and_differences(problem):
    check_values_and_gradients(problem)


@pytest.mark.slow
@settings(MANY, max_examples=500)
@given(problems())
def test_values_and_gradients_of_many_more_circuits(problem):
    check_values_and_gradients(problem)


def check_values_and_gradients(problem):
    split = split_circuit(problem.circuit, problem.input_params, problem.weight_params)
    engine = StatevectorEngine(split, problem.observables)
    inputs, weights = (one.requires_grad_() for one in tensors(problem))
    phi = split.phases(inputs, weights)
    values = engine(phi)
    expected = aer_values(problem, problem.inputs, problem.weights)
    np.testing.assert_allclose(values.detach().numpy(), expected, rtol=0, atol=1e-10)
    single = StatevectorEngine(split, problem.observables, dtype=torch.float32)(phi)
    assert single.dtype == torch.float64
    np.testing.assert_allclose(single.detach().numpy(), expected, rtol=0, atol=1e-5)

    if not split.params:
        return
    grad = torch.linspace(-1, 1, values.numel(), dtype=torch.float64).view(values.shape)
    leaves = [leaf for leaf in (inputs, weights) if leaf.numel()]
    found = torch.autograd.grad(values, leaves, grad, materialize_grads=True)
    with open_backend("aer_statevector") as aer:
        shift = ShiftRule(split, problem.observables, aer)
        wanted = (bool(inputs.numel()), bool(weights.numel()))
        shifted = shift.vjp(inputs, weights, grad, wanted)
    expected_grads = [g for g in shifted if g is not None]
    for mine, theirs in zip(found, expected_grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-8)

    rng = np.random.default_rng(len(problem.circuit.data))
    along_inputs = rng.uniform(-1, 1, problem.inputs.shape)
    along_weights = rng.uniform(-1, 1, problem.weights.shape)
    along = [torch.from_numpy(one) for one in (along_inputs, along_weights) if one.size]
    slope = sum(float((g * one).sum()) for g, one in zip(found, along, strict=True))
    step = 1e-5
    ends = [
        aer_values(
            problem,
            problem.inputs + sign * step * along_inputs,
            problem.weights + sign * step * along_weights,
        )
        for sign in (1, -1)
    ]
    difference = float(((ends[0] - ends[1]) / (2 * step) * grad.numpy()).sum())
    assert slope == pytest.approx(difference, abs=1e-6)


@FEW
@given(problems(max_qubits=4, max_gates=8))
def test_derivatives_of_first_and_second_order(problem):
    split = split_circuit(problem.circuit, problem.input_params, problem.weight_params)
    engine = StatevectorEngine(split, problem.observables)
    leaves = [leaf.requires_grad_() for leaf in tensors(problem)]
    if not split.params:
        return
    wanted = [leaf for leaf in leaves if leaf.numel()]

    def function(*given):
        found = iter(given)
        filled = [next(found) if leaf.numel() else leaf for leaf in leaves]
        return engine(split.phases(*filled))

    assert torch.autograd.gradcheck(function, wanted, atol=1e-6, rtol=1e-4)
    assert torch.autograd.gradgradcheck(function, wanted, atol=1e-6, rtol=1e-4)


@FEW
@given(problems(max_qubits=5))
def test_weights_may_differ_between_the_rows(problem):
    split = split_circuit(problem.circuit, problem.input_params, problem.weight_params)
    engine = StatevectorEngine(split, problem.observables, same_weights=False)
    inputs, weights = tensors(problem)
    rows = weights + torch.arange(3, dtype=torch.float64)[:, None]
    values = engine(split.phases(inputs, rows)).numpy()
    for row in range(3):
        expected = aer_values(problem, problem.inputs[row : row + 1], rows[row].numpy())
        np.testing.assert_allclose(values[row], expected[0], rtol=0, atol=1e-10)


def engine_of(num_qubits, num_layers=2, memory=None, **kwargs):
    parts = build_circuit(num_qubits, num_layers=num_layers, **kwargs)
    split = split_circuit(parts.circuit, parts.input_params, parts.weight_params)
    given_memory = {} if memory is None else {"memory": memory}
    engine = StatevectorEngine(split, z_observables(num_qubits), **given_memory)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    return engine, split, draw(7, num_qubits), draw(len(parts.weight_params))


@pytest.mark.parametrize("ansatz", ["ry_cz", "strongly_entangling"])
@pytest.mark.parametrize("encoding", ["angle", "zz", "reupload"])
def test_chunks_change_nothing(ansatz, encoding):
    whole, split, inputs, weights = engine_of(4, ansatz=ansatz, encoding=encoding)
    parts, *_ = engine_of(4, ansatz=ansatz, encoding=encoding, memory=5000)
    assert parts._chunk < 7 <= whole._chunk
    results = []
    for engine in (whole, parts):
        values = engine(split.phases(inputs, weights))
        grads = torch.autograd.grad(values.square().sum(), (inputs, weights))
        results.append((values, *grads))
        with torch.no_grad():
            assert torch.equal(engine(split.phases(inputs, weights)), values)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_layer_of_real_gates_is_computed_in_real_numbers():
    real, split, inputs, weights = engine_of(3, ansatz="real_amplitudes")
    assert not real.states(split.phases(inputs, weights)).is_complex()
    general, split, inputs, weights = engine_of(3, ansatz="efficient_su2")
    assert general.states(split.phases(inputs, weights)).is_complex()


@pytest.mark.parametrize("encoding", ["angle", "zz", "reupload"])
def test_states_are_qiskits_up_to_a_phase(encoding):
    parts = build_circuit(3, encoding=encoding, ansatz="strongly_entangling")
    engine, split, inputs, weights = engine_of(3, encoding=encoding, ansatz="strongly_entangling")
    states = engine.states(split.phases(inputs, weights)).detach().numpy()
    for row in range(7):
        values = [*inputs[row].tolist(), *weights.tolist()]
        params = [*parts.input_params, *parts.weight_params]
        bound = parts.circuit.assign_parameters(dict(zip(params, values, strict=True)))
        overlap = np.vdot(QiskitStatevector(bound).data, states[:, row])
        assert abs(overlap) == pytest.approx(1, abs=1e-12)


def test_closed_forms():
    t = Parameter("t")
    circuit = QuantumCircuit(2)
    circuit.ry(t, 0)
    circuit.cx(0, 1)
    split = split_circuit(circuit, [t], [])
    labels = ["IZ", "ZI", "ZZ", "XX", "YY", "XY"]
    engine = StatevectorEngine(split, [SparsePauliOp(label) for label in labels])
    angles = torch.linspace(-3, 3, 7, dtype=torch.float64)
    values = engine(split.phases(angles[:, None], torch.zeros(0, dtype=torch.float64)))
    cos, sin, one, zero = angles.cos(), angles.sin(), torch.ones(7), torch.zeros(7)
    expected = torch.stack([cos, cos, one, sin, -sin, zero], dim=1).double()
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("label", "gate"), [("Y", "ry"), ("Z", "rz"), ("I", "rx")])
def test_there_is_a_gradient_where_no_angle_matters(label, gate):
    t = Parameter("t")
    circuit = QuantumCircuit(1)
    getattr(circuit, gate)(t, 0)
    split = split_circuit(circuit, [t], [])
    engine = StatevectorEngine(split, [SparsePauliOp(label)])
    inputs = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    values = engine(split.phases(inputs, torch.zeros(0, dtype=torch.float64)))
    values.sum().backward()
    assert torch.equal(inputs.grad, torch.zeros(2, 1, dtype=torch.float64))


def test_a_second_derivative_through_chunks():
    whole, split, inputs, weights = engine_of(4, encoding="reupload")
    parts, *_ = engine_of(4, encoding="reupload", memory=5000)
    assert parts._chunk < 7 <= whole._chunk
    found = []
    for engine in (whole, parts):
        values = engine(split.phases(inputs, weights)).square().sum()
        grads = torch.autograd.grad(values, (inputs, weights), create_graph=True)
        size = sum(grad.square().sum() for grad in grads)
        found.append(torch.autograd.grad(size, (inputs, weights)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize(("low", "columns"), [(0, 1), (0, 9), (2, 3), (3, 2), (1, 4)])
def test_products_with_a_shared_matrix(dtype, low, columns):
    """Each of its paths: few columns, one view, several views."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(4, 4, dtype=dtype, generator=generator)
    states = torch.randn(2**5, columns, dtype=dtype, generator=generator)
    whole = torch.kron(torch.eye(2 ** (3 - low), dtype=dtype), matrix)
    whole = torch.kron(whole, torch.eye(2**low, dtype=dtype))
    product = multiply_shared(matrix, states, low)
    torch.testing.assert_close(product, whole @ states, rtol=0, atol=1e-12)
    leaves = (matrix.requires_grad_(), states.requires_grad_())
    assert torch.autograd.gradcheck(lambda m, s: multiply_shared(m, s, low), leaves)
    assert torch.autograd.gradgradcheck(lambda m, s: multiply_shared(m, s, low), leaves)


def test_transforms_of_torch_func():
    engine, split, inputs, weights = engine_of(5)

    def loss(given):
        return engine(split.phases(inputs.detach(), given)).square().sum()

    expected = torch.autograd.grad(loss(weights), weights)[0]
    torch.testing.assert_close(torch.func.grad(loss)(weights.detach()), expected)
    hessian = torch.autograd.functional.hessian(loss, weights.detach())
    torch.testing.assert_close(torch.func.hessian(loss)(weights.detach()), hessian)


def test_gradients_in_single_precision():
    parts = build_circuit(4, ansatz="strongly_entangling", encoding="reupload")
    split = split_circuit(parts.circuit, parts.input_params, parts.weight_params)
    _, _, inputs, weights = engine_of(4, ansatz="strongly_entangling")
    found = []
    for dtype in (torch.float64, torch.float32):
        engine = StatevectorEngine(split, z_observables(4), dtype=dtype)
        values = engine(split.phases(inputs, weights))
        found.append(torch.autograd.grad(values.sum(), (inputs, weights)))
    for double, single in zip(*found, strict=True):
        assert 0 < (double - single).abs().max() < 1e-4


def test_an_empty_batch_has_no_values():
    engine, split, inputs, weights = engine_of(2)
    values = engine(split.phases(inputs[:0], weights))
    assert values.shape == (0, 2)
    values.sum().backward()


def test_what_cannot_be_simulated_is_refused():
    circuit = QuantumCircuit(1)
    t = Parameter("t")
    circuit.ry(t, 0)
    circuit.reset(0)
    split = split_circuit(circuit, [t], [])
    with pytest.raises(InvalidValueError, match=r"unitary gates, got 'reset'.*aer_statevector"):
        StatevectorEngine(split, z_observables(1))
    circuit = QuantumCircuit(1)
    circuit.ry(t, 0)
    split = split_circuit(circuit, [t], [])
    with pytest.raises(InvalidValueError, match="real coefficients"):
        StatevectorEngine(split, [SparsePauliOp("Z", 1j)])
    with pytest.raises(InvalidValueError, match="float64"):
        StatevectorEngine(split, z_observables(1), dtype=torch.float16)
    for observables in ([], z_observables(2)):
        with pytest.raises(InvalidValueError, match="each on 1 qubits"):
            StatevectorEngine(split, observables)


MEMORY = """
import resource, sys, torch
from hybridq.quantum import build_circuit, z_observables
from hybridq.quantum.split_circuit import split_circuit
from hybridq.quantum.statevector.simulator import StatevectorEngine
def step(qubits, layers, batch, ansatz):
    parts = build_circuit(qubits, num_layers=layers, ansatz=ansatz)
    split = split_circuit(parts.circuit, parts.input_params, parts.weight_params)
    inputs = torch.rand(batch, qubits, dtype=torch.float64).requires_grad_()
    weights = torch.rand(len(parts.weight_params), dtype=torch.float64).requires_grad_()
    engine = StatevectorEngine(split, z_observables(qubits))
    values = engine(split.phases(inputs, weights))
    if qubits == 14:
        assert batch > 2 * engine._chunk
    values.sum().backward()
    assert values.isfinite().all() and weights.grad.isfinite().all() and inputs.grad.any()
def peak():  # bytes; Linux counts in KiB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
step(2, 1, 2, "ry_cz")
before = peak()
step(int(sys.argv[1]), 3, int(sys.argv[2]), sys.argv[3])
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("qubits", "batch", "ansatz"),
    [
        (16, 32, "ry_cz"),
        (20, 1, "strongly_entangling"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (14, 1024, "ry_cz"),
                (14, 1024, "strongly_entangling"),
                (16, 32, "strongly_entangling"),
                (20, 1, "ry_cz"),
            )
        ),
    ],
)
def test_memory_is_bounded(qubits, batch, ansatz):
    command = [sys.executable, "-c", MEMORY, str(qubits), str(batch), ansatz]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout) < 2**30
