"""The algebra of the related papers' heads, against formulas that are written down again here."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import Operator, Statevector, partial_trace
from torch import nn

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.models.heads import build_head
from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq.quantum.modules import is_exact
from hybridq.quantum.swap_test import (
    amplitude_angles,
    ancilla,
    num_amplitude_qubits,
    overlaps,
    swap_test_circuit,
)
from hybridq_backends import Deferred, open_backend

DOUBLE = torch.float64


@pytest.fixture
def exact():
    return open_backend("statevector")


def drawn(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def make(name, in_shape, backend=None, classes=3, seed=0, **fields):
    config = head_config(name, **fields)
    generator = torch.Generator().manual_seed(seed)
    head = build_head(in_shape, classes, config, backend=backend, generator=generator)
    return head.double().eval()


# The swap test.


def bound(parts, inputs, weights):
    values = zip([*parts.input_params, *parts.weight_params], [*inputs, *weights], strict=True)
    return parts.circuit.assign_parameters({name: float(value) for name, value in values})


def register(num_qubits, vector, weights, num_layers):
    """The state of a register: the vector, turned by RY and a ring of CZ, gate by gate."""
    state = Statevector(vector / np.linalg.norm(vector))
    built = build_circuit(num_qubits, num_layers=num_layers)
    values = dict.fromkeys(built.input_params, 0.0)
    values |= dict(zip(built.weight_params, map(float, weights), strict=True))
    return state.evolve(Operator(built.circuit.assign_parameters(values))).data


@pytest.mark.parametrize(("num_qubits", "num_layers"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_the_ancilla_is_0_with_half_of_one_and_the_overlap(num_qubits, num_layers):
    """P(0) = (1 + |<q|k>|^2) / 2, the states by Qiskit, and what `overlaps` computes."""
    parts = swap_test_circuit(num_qubits, num_layers)
    vectors = drawn(0, 4, 2**num_qubits)
    vectors[3, 0] = 0.0  # a branch of the tree may be empty
    weights = drawn(1, len(parts.weight_params))
    first, second = weights.chunk(2)
    found = overlaps(vectors, vectors, weights, num_layers)
    angles = amplitude_angles(vectors)
    for i, j in itertools.product(range(4), repeat=2):
        query = register(num_qubits, vectors[i].numpy(), first, num_layers)
        key = register(num_qubits, vectors[j].numpy(), second, num_layers)
        overlap = abs(np.vdot(query, key)) ** 2
        circuit = bound(parts, torch.cat([angles[i], angles[j]]), weights)
        zero = Statevector(circuit).probabilities([0])[0]
        assert zero == pytest.approx((1 + overlap) / 2, abs=1e-10)
        assert float(found[i, j]) == pytest.approx(overlap, abs=1e-10)
    assert ancilla(num_qubits).paulis[0].to_label() == "I" * 2 * num_qubits + "Z"


@pytest.mark.parametrize("size", [2, 4, 8])
def test_amplitudes_are_prepared_with_their_signs(size):
    num_qubits = num_amplitude_qubits(size)
    parts = swap_test_circuit(num_qubits, 1)
    vectors = torch.cat([drawn(0, 5, size), torch.eye(size, dtype=DOUBLE), -torch.eye(size)])
    for vector, angles in zip(vectors, amplitude_angles(vectors), strict=True):
        circuit = bound(parts, torch.cat([angles, angles]), torch.zeros(len(parts.weight_params)))
        # Without the test itself, which follows the first H on the ancilla.
        prepared = circuit.copy_empty_like()
        for item in circuit.data[: [one.name for one in circuit.data].index("h")]:
            prepared.append(item)
        kept = partial_trace(Statevector(prepared), [0, *range(1 + num_qubits, 1 + 2 * num_qubits)])
        layers = register(num_qubits, vector.numpy(), torch.zeros(2 * num_qubits), 1)
        assert np.vdot(layers, kept.data @ layers).real == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("size", [0, 1, 3, 6, 12])
def test_amplitudes_are_as_many_as_a_register_has_states(size):
    with pytest.raises(InvalidValueError, match=f"for amplitudes, got {size}"):
        num_amplitude_qubits(size)


def attention(backend, name="swap_attention", **fields):
    return make(name, (6, 3, 3), backend, **fields)


def test_circuits_and_products_of_matrices_give_the_same_logits(exact):
    head = attention(exact, tokens=4)
    maps = drawn(0, 5, 6, 3, 3)
    wanted = head(maps)
    assert is_exact(head.block.layer)
    slow = copy.deepcopy(head)
    slow.block.layer.use_backend(open_backend("aer_statevector"))
    assert not is_exact(slow.block.layer)
    torch.testing.assert_close(slow(maps), wanted, atol=1e-9, rtol=0)
    later = Deferred(exact)
    slow.block.layer.use_backend(later)
    slow(maps)
    (request,) = later.requests
    assert request.rows.shape[0] == 5 * 16  # a circuit for each pair of tokens


def test_gradients_by_parameter_shift_are_those_of_the_products(exact):
    head = attention(exact, tokens=4)
    other = copy.deepcopy(head)
    other.block.layer.use_backend(open_backend("aer_statevector"))
    maps, labels = drawn(0, 3, 6, 3, 3), torch.tensor([0, 1, 2])
    for one in (head, other):
        nn.functional.cross_entropy(one(maps), labels).backward()
    for (name, mine), theirs in zip(head.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-7, rtol=0, msg=name)


@pytest.mark.parametrize("name", ["swap_attention", "attention"])
def test_rows_of_coefficients_sum_to_1_and_one_token_is_its_value(name, exact):
    maps = drawn(0, 5, 6, 3, 3)
    head = attention(exact, name, tokens=9)
    coefficients = head.attention(head.tokens(maps))
    assert coefficients.shape == (5, 9, 9)
    torch.testing.assert_close(coefficients.sum(dim=-1), torch.ones(5, 9, dtype=DOUBLE))
    single = attention(exact, name, tokens=1)
    token = single.tokens(maps)
    torch.testing.assert_close(
        token[:, 0], single.norm(maps.mean(dim=(2, 3)) @ single.embed.weight.T)
    )
    torch.testing.assert_close(single(maps), single.classifier(single.value(token[:, 0])))


def test_orthogonal_tokens_attend_to_themselves(exact):
    head = attention(exact, tokens=4, init_std=0.7)
    half = len(head.block.layer.weight) // 2
    with torch.no_grad():  # queries and keys are turned alike
        head.block.layer.weight[half:] = head.block.layer.weight[:half]
    basis = torch.linalg.qr(drawn(0, 4, 4))[0][None] * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]
    torch.testing.assert_close(head.block(basis)[0], torch.eye(4, dtype=DOUBLE), atol=1e-9, rtol=0)


# The generated layer.


def generated(backend, name="generated", **fields):
    return make(name, 24, backend, **({"inputs": 12, "hidden": 10, "num_qubits": 3} | fields))


@pytest.mark.parametrize("name", ["generated", "rank_mlp"])
def test_the_rank_is_at_most_one_more_than_the_qubits(name, exact):
    weight = generated(exact, name).block.weight.detach()
    assert weight.shape == (12, 10)
    assert torch.linalg.matrix_rank(weight, rtol=1e-10) == 4


def test_without_its_mean_row_the_rank_is_that_of_the_circuit(exact):
    weight = generated(exact).block.weight.detach()
    assert torch.linalg.matrix_rank(weight - weight.mean(dim=0), rtol=1e-10) == 3


def test_the_formula_of_the_generated_layer(exact):
    head, features = generated(exact), drawn(0, 7, 24)
    values = head.block.layer(head.block.rows)
    weight = values @ head.block.out.weight.T + head.block.out.bias
    reduced = head.reducer.norm(features @ head.reducer.linear.weight.T)
    torch.testing.assert_close(head(features), head.classifier((reduced @ weight).clamp(min=0)))


def test_circuits_of_a_step_do_not_depend_on_the_batch(exact):
    head = generated(exact).train()
    for images in (2, 5, 64):
        later = Deferred(exact)
        head.block.layer.use_backend(later)
        with torch.no_grad():
            head(drawn(0, images, 24))
        assert [len(one.rows) for one in later.requests] == [12]


def test_rows_are_kept_with_the_model(exact):
    head = generated(exact)
    other = generated(exact, seed=9)
    assert not torch.equal(head.block.rows, other.block.rows)
    other.load_state_dict(head.state_dict())
    torch.testing.assert_close(other(drawn(0, 3, 24)), head(drawn(0, 3, 24)), rtol=0, atol=0)


# Registers.


@pytest.mark.parametrize("encoding", ["angle", "reupload"])
def test_registers_are_one_circuit_without_gates_between_them(encoding, exact):
    """Two circuits of two qubits, against one of four that holds both side by side."""
    fields = {"num_qubits": 4, "registers": 2, "num_layers": 2, "encoding": encoding}
    head = make("pqc", 24, exact, init_std=1.0, **fields)
    part = build_circuit(2, encoding=encoding, num_layers=2)
    own = (*part.input_params, *part.weight_params)
    other = {parameter: Parameter(f"{parameter.name}'") for parameter in own}
    whole = part.circuit.assign_parameters(other).tensor(part.circuit)  # qubits 2 and 3 first
    layer = QuantumLayer(
        whole,
        input_params=[*part.input_params, *(other[one] for one in part.input_params)],
        weight_params=[*part.weight_params, *(other[one] for one in part.weight_params)],
        observables=z_observables(4),
        backend=exact,
    ).double()
    with torch.no_grad():
        layer.weight.copy_(torch.cat([one.weight for one in head.block.layers]))
    angles = head.reducer(drawn(0, 6, 24))
    torch.testing.assert_close(head.block(angles), layer(angles), atol=1e-12, rtol=0)


def test_registers_share_the_qubits_evenly():
    with pytest.raises(ValueError, match="registers that share 4 qubits evenly, got 3"):
        head_config("lqer", num_qubits=4, registers=3)
    with pytest.raises(InvalidValueError, match="Expected one register for head 'trig', got 2"):
        make("trig", 24, num_qubits=4, registers=2)


# Generated weights of a circuit.


def test_generated_weights_are_the_train_times_the_vector(exact):
    fields = {"num_qubits": 4, "num_layers": 3, "hyper_inputs": 6, "hyper_rank": 2}
    head = make("hyper", 24, exact, **fields)
    layer = head.block
    cores = [param.detach() for param in layer.parameters()]
    vector = dict(layer.named_buffers())["connector.parametrizations.weight.0.vector"]
    matrix = cores[0]
    for core in cores[1:]:  # entry by entry of the product of two cores
        matrix = torch.einsum("aoib,bpjc->aopijc", matrix, core).reshape(
            1, matrix.shape[1] * core.shape[1], -1, core.shape[3]
        )
    torch.testing.assert_close(layer.weight, matrix[0, :, :, 0] @ vector)
    assert layer.weight.shape == (36,)
    assert sum(core.numel() for core in cores) < 6 * 36
    plain = make("pqc", 24, exact, num_qubits=4, num_layers=3, ansatz="strongly_entangling")
    with torch.no_grad():
        plain.block.weight.copy_(layer.weight)
    angles = head.reducer(drawn(0, 5, 24))
    torch.testing.assert_close(layer(angles), plain.block(angles), rtol=0, atol=0)


def test_initial_generated_weights_are_as_small_as_others(exact):
    spread = [
        float(make("hyper", 24, exact, seed=seed, init_std=0.1).block.weight.std())
        for seed in range(20)
    ]
    assert np.mean(spread) == pytest.approx(0.1, rel=0.4)


# Damping in training.

DAMPING = {"amplitude_damping": 0.05, "phase_damping": 0.08}
TRAJECTORIES = 10_000


def gate(state, matrix, qubits):
    """Apply a matrix to qubits of states `(trajectories, 2, 2)`; qubit 0 is the last axis."""
    axes = [2 - qubit for qubit in reversed(qubits)]
    moved = np.moveaxis(state, axes, range(1, 1 + len(axes)))
    flat = moved.reshape(len(state), 2 ** len(axes), -1)
    applied = np.einsum("ab,tbr->tar", matrix, flat).reshape(moved.shape)
    return np.moveaxis(applied, range(1, 1 + len(axes)), axes)


def one_branch(state, qubit, kraus, rng):
    """Let one random Kraus operator act on a qubit of each state, by its probability."""
    branches = [gate(state, matrix, [qubit]) for matrix in kraus]
    weights = np.stack([(np.abs(one) ** 2).sum(axis=(1, 2)) for one in branches])
    chosen = (rng.random(len(state)) > weights[0]).astype(int)
    found = np.stack(branches)[chosen, np.arange(len(state))]
    return found / np.sqrt(weights[chosen, np.arange(len(state))])[:, None, None]


def test_channels_are_the_mean_of_trajectories():
    """Exact channels of amplitude and phase damping, against random Kraus branches."""
    angle = Parameter("x")
    circuit = QuantumCircuit(2)
    for qubit in (0, 1):
        circuit.sx(qubit)
        circuit.rz(0.7 + qubit, qubit)
        circuit.sx(qubit)
    circuit.rz(angle, 0)
    circuit.cx(0, 1)
    circuit.sx(1)
    circuit.rz(angle, 1)
    circuit.cx(1, 0)
    circuit.sx(0)
    rng = np.random.default_rng(0)
    decay, dephase = DAMPING["amplitude_damping"], DAMPING["phase_damping"]
    channels = [
        [np.diag([1, np.sqrt(1 - decay)]), np.array([[0, np.sqrt(decay)], [0, 0]])],
        [np.diag([1, np.sqrt(1 - dephase)]), np.diag([0, np.sqrt(dephase)])],
    ]
    state = np.zeros((TRAJECTORIES, 2, 2), dtype=complex)
    state[:, 0, 0] = 1
    for item in circuit.assign_parameters([0.4]).data:
        qubits = [circuit.find_bit(qubit).index for qubit in item.qubits]
        state = gate(state, Operator(item.operation).data, qubits)
        if item.operation.name != "rz":  # which is virtual
            for qubit, kraus in itertools.product(qubits, channels):
                state = one_branch(state, qubit, kraus, rng)
    chances = np.abs(state) ** 2
    signs = np.array([1, -1])
    values = np.stack([chances.sum(axis=1) @ signs, chances.sum(axis=2) @ signs], axis=1)
    with open_backend(
        "fake_torino", engine="torch", shots=None, optimization_level=0, **DAMPING
    ) as noisy:
        layer = QuantumLayer(
            circuit,
            input_params=[angle],
            weight_params=[],
            observables=z_observables(2),
            backend=noisy,
        )
        exact = layer(torch.tensor([[0.4]], dtype=DOUBLE))[0].detach().numpy()
    errors = values.std(axis=0) / np.sqrt(TRAJECTORIES)
    assert np.all(np.abs(values.mean(axis=0) - exact) < 3 * errors)
    with open_backend("statevector") as ideal:
        layer.use_backend(ideal)
        clean = layer(torch.tensor([[0.4]], dtype=DOUBLE))[0].detach().numpy()
    assert np.abs(exact - clean).max() > 20 * errors.max()  # or nothing was damped


def test_a_generated_layer_is_trained_under_damping():
    """Its weights have a gradient through the channels, which are exact."""
    with open_backend("fake_torino", engine="torch", shots=None, **DAMPING) as noisy:
        head = make("generated", 24, noisy, inputs=4, hidden=4, num_qubits=2, num_layers=1).train()
        nn.functional.cross_entropy(head(drawn(0, 6, 24)), torch.arange(6) % 3).backward()
        weight = head.block.layer.weight
        assert weight.grad.abs().max() > 0
