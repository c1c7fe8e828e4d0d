from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import Pauli, PauliList, SparsePauliOp
from qiskit_aer.primitives import EstimatorV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from safetensors.torch import load_file, save_file

from hybridq.errors import InvalidValueError
from hybridq.quantum import QuantumLayer, build_circuit, running_on, use_backend, z_observables
from hybridq.quantum.modules import CircuitInfo
from hybridq_backends import Statevector, open_backend


def test_is_a_connector_around_a_qnn_and_goes_through_it(make_layer, random_angles, monkeypatch):
    layer = make_layer(2)
    assert isinstance(layer.connector, TorchConnector)
    assert isinstance(layer.qnn, EstimatorQNN)
    assert layer.connector.neural_network is layer.qnn
    assert layer.qnn.input_gradients
    assert layer.qnn.default_precision == 0.0
    calls = []
    forward = layer.qnn._forward
    monkeypatch.setattr(layer.qnn, "_forward", lambda *a: calls.append("qnn") or forward(*a))
    layer.connector.register_forward_hook(lambda *_: calls.append("connector"))
    layer(random_angles(1, 2))
    assert calls == ["qnn", "connector"]


def test_state_is_one_key_and_survives_safetensors(make_layer, random_angles, tmp_path):
    layer = make_layer(2)
    assert list(layer.state_dict()) == ["connector.weight"]
    assert [name for name, _ in layer.named_parameters()] == ["connector.weight"]
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    other = make_layer(2)
    torch.nn.init.zeros_(other.weight)
    other.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    angles = random_angles(3, 2)
    assert torch.equal(layer(angles), other(angles))


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3), (2, 1, 2, 3), (0, 3), (2, 0, 3)])
def test_leading_dimensions_are_kept(shape, make_layer, random_angles):
    layer = make_layer(3)
    angles = random_angles(*shape, requires_grad=True)
    expvals = layer(angles)
    assert expvals.shape == shape
    expvals.sum().backward()
    assert angles.grad.shape == shape
    flat = layer(angles.detach().reshape(-1, 3))
    torch.testing.assert_close(expvals.detach().reshape(-1, 3), flat, rtol=0, atol=1e-12)


def test_empty_batch_runs_nothing(make_layer, random_angles, exact):
    layer = make_layer(2)
    layer(random_angles(0, 2, requires_grad=True)).sum().backward()
    assert exact.num_jobs == 0
    assert torch.equal(layer.weight.grad, torch.zeros(6, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_computes_in_double_and_returns_the_dtype_of_the_input(dtype, make_layer, random_angles):
    layer = make_layer(2)
    angles = random_angles(3, 2).to(dtype).requires_grad_()
    expvals = layer(angles)
    assert expvals.dtype == dtype
    assert torch.equal(expvals, layer(angles.double()).to(dtype))
    expvals.sum().backward()
    assert angles.grad.dtype == dtype
    assert layer.float().weight.dtype == torch.float32
    layer(angles).sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_use_backend_keeps_the_weight(make_layer, random_angles, exact):
    layer = make_layer(2)
    weight = layer.weight
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    angles = random_angles(3, 2)
    clean = layer(angles)
    noisy = open_backend("depolarizing", shots=None)
    layer.use_backend(noisy)
    assert layer.weight is weight
    assert optimizer.param_groups[0]["params"][0] is weight
    assert layer.backend is noisy
    assert not torch.equal(layer(angles), clean)
    assert (layer(angles).abs().mean() < clean.abs().mean()).item()
    layer.use_backend(exact)
    assert torch.equal(layer(angles), clean)
    layer.use_backend(open_backend("aer_shots", shots=100))
    assert layer.qnn.default_precision == 0.1


def test_copies_are_independent_and_share_the_backend(make_layer, random_angles, exact):
    layer = make_layer(2, encoding="zz")
    twin = copy.deepcopy(layer)
    angles = random_angles(2, 2)
    assert torch.equal(layer(angles), twin(angles))
    assert twin.backend is exact
    with torch.no_grad():
        twin.weight.add_(1.0)
    twin.use_backend(open_backend("aer_statevector"))
    assert layer.backend is exact
    assert not torch.equal(layer(angles), twin(angles))


def test_can_be_pickled_on_a_simulator(make_layer, random_angles):
    layer = make_layer(2, encoding="zz")
    angles = random_angles(2, 2)
    assert torch.equal(layer(angles), pickle.loads(pickle.dumps(layer))(angles))


def test_repr_shows_qubits_parameters_and_backend(make_layer):
    shown = repr(make_layer(2))
    for word in ("num_qubits=2", "num_inputs=2", "num_weights=6", "aer_statevector"):
        assert word in shown


def test_weights_come_from_the_generator_alone(exact):
    parts = build_circuit(4, num_layers=20)
    state = torch.random.get_rng_state()

    def make(**kwargs):
        return QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(4),
            backend=exact,
            **kwargs,
        ).weight.detach()

    first = make(generator=torch.Generator().manual_seed(3), init_std=0.5)
    again = make(generator=torch.Generator().manual_seed(3), init_std=0.5)
    other = make(generator=torch.Generator().manual_seed(4), init_std=0.5)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.std().item() == pytest.approx(0.5, rel=0.3)
    assert torch.equal(make(), make())
    assert torch.equal(make(init_std=0.0), torch.zeros(84))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("angles", "words"),
    [
        (torch.zeros(2, 3), "(..., 2), got (2, 3)"),
        (torch.zeros(()), "got ()"),
        (torch.zeros(2, 2, dtype=torch.int64), "floating-point angles, got torch.int64"),
        (torch.tensor([[0.0, float("nan")]]), "finite angles, got 1 NaN or infinite of 2"),
        (torch.tensor([[0.0, -float("inf")]]), "finite angles, got 1"),
    ],
)
def test_bad_angles_are_refused_before_any_job(angles, words, make_layer, exact):
    layer = make_layer(2)
    with pytest.raises(InvalidValueError) as caught:
        layer(angles)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert exact.num_jobs == 0


def test_bad_weights_are_refused_before_any_job(make_layer, exact):
    layer = make_layer(2)
    torch.nn.init.constant_(layer.weight, float("nan"))
    with pytest.raises(InvalidValueError, match="finite circuit weights"):
        layer(torch.zeros(1, 2))
    assert exact.num_jobs == 0


def test_what_does_not_fit_is_refused(make_layer, exact):
    parts = build_circuit(7)
    arguments = {"input_params": parts.input_params, "weight_params": parts.weight_params}
    nothing = {"input_params": [], "weight_params": [], "observables": z_observables(1)}
    with pytest.raises(InvalidValueError, match="circuit with parameters"):
        QuantumLayer(QuantumCircuit(1), backend=exact, **nothing)
    with pytest.raises(InvalidValueError, match="observables of 7 qubits, got one of 2"):
        QuantumLayer(parts.circuit, observables=[SparsePauliOp("ZZ")], backend=exact, **arguments)
    small = open_backend("fake_manila")
    with pytest.raises(InvalidValueError, match="at most 5 qubits on this backend, got 7"):
        QuantumLayer(parts.circuit, observables=z_observables(7), backend=small, **arguments)
    layer = make_layer(7, num_layers=1)
    with pytest.raises(InvalidValueError, match="at most 5 qubits on this backend, got 7"):
        layer.use_backend(small)
    assert layer.backend is exact


ANSWERS = 1e-9
ANY_BACKEND = {
    "name": lambda: "statevector",
    "spec": lambda: Statevector(engine="torch", shots=None),
    "executable": lambda: open_backend("aer_statevector"),
    "backend": lambda: FakeManilaV2(),
    "aer estimator": lambda: EstimatorV2(),
    "estimator": lambda: StatevectorEstimator(),
}


@pytest.mark.parametrize("form", ANY_BACKEND)
def test_every_form_of_a_backend(form, make_layer, random_angles):
    """From the beginning and by `use_backend`: values and gradients of the exact engine."""
    exact = make_layer(2)
    given = ANY_BACKEND[form]()
    layers = [make_layer(2, backend=given), make_layer(2)]
    layers[1].use_backend(given)
    # a device has noise, and shots
    tolerance = 0.3 if form == "backend" else ANSWERS
    for layer in (exact, *layers):
        angles = random_angles(2, 2, requires_grad=True)
        values = layer(angles)
        values.sum().backward()
        if layer is exact:
            wanted = (values.detach(), angles.grad, layer.weight.grad)
        found = (values.detach(), angles.grad, layer.weight.grad)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "observables",
    [
        ["IZ", "ZI"],
        [Pauli("IZ"), Pauli("ZI")],
        PauliList(["IZ", "ZI"]),
        [{"IZ": 1.0}, SparsePauliOp("ZI")],
        z_observables(2),
    ],
    ids=["labels", "Paulis", "list", "dict", "operators"],
)
def test_every_form_of_observables(observables, make_layer, random_angles):
    layer = make_layer(2)
    parts = build_circuit(2)
    other = QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=observables,
        backend="aer_statevector",
        generator=torch.Generator().manual_seed(1),
        init_std=1.0,
    ).double()
    angles = random_angles(3, 2)
    torch.testing.assert_close(other(angles), layer(angles), rtol=0, atol=ANSWERS)
    assert other.circuits()[0].observables == layer.circuits()[0].observables


def test_one_observable_needs_no_list(make_layer, random_angles):
    parts = build_circuit(2)
    sizes = []
    for observable in ("ZZ", {"ZZ": 0.5, "II": 0.5}):
        layer = QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=observable,
            backend="statevector",
        ).double()
        sizes.append(layer(random_angles(3, 2)))
    torch.testing.assert_close(sizes[1], 0.5 + 0.5 * sizes[0])
    assert sizes[0].shape == (3, 1)


def test_what_a_block_opens_it_closes(make_layer, random_angles):
    layer = make_layer(2)
    module = torch.nn.Sequential(layer, make_layer(2))
    before = layer.backend
    with running_on(module, "depolarizing,shots=none"):
        inside = layer.backend
        assert module[1].backend is inside
        assert inside.profile == "depolarizing"
        module(random_angles(1, 2))
    assert layer.backend is before
    with pytest.raises(InvalidValueError, match="closed"):
        inside.check_open()
    with open_backend("aer_statevector") as mine:
        with running_on(module, mine):
            assert layer.backend is mine
        mine.check_open()
    use_backend(module, "statevector")
    assert module[1].backend is layer.backend
    layer.backend.check_open()


@pytest.mark.parametrize("angles", [[[0.0, 0.0]], np.zeros((1, 2))])
def test_angles_that_are_no_tensor_are_refused(angles, make_layer):
    with pytest.raises(InvalidValueError, match=r"torch.as_tensor"):
        make_layer(2)(angles)


def test_measurements_at_the_end_are_dropped_others_refused(random_angles):
    parts = build_circuit(2)

    def values(circuit):
        layer = QuantumLayer(
            circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables="ZZ",
            backend="statevector",
        )
        return layer(random_angles(3, 2))

    measured = parts.circuit.copy()
    measured.measure_all()
    assert torch.equal(values(measured), values(parts.circuit))
    measured.x(0)
    with pytest.raises(InvalidValueError, match="measurements in the middle"):
        values(measured)


def test_a_circuit_too_wide_is_refused(make_layer):
    with pytest.raises(InvalidValueError, match=r"use fewer .* larger backend"):
        make_layer(6, backend=open_backend("fake_manila"))


def test_no_backend_is_one_line(make_layer):
    with pytest.raises(InvalidValueError, match=r"Expected a backend as .* got None"):
        make_layer(2, backend=None)
    layer = make_layer(2)
    before = layer.backend
    with pytest.raises(InvalidValueError, match="did you mean 'statevector'"):
        layer.use_backend("statvector")
    assert layer.backend is before


def test_what_is_measured_in_words():
    """Every term of an observable, with its coefficient."""
    circuit = QuantumCircuit(3)
    circuit.ry(Parameter("x"), 0)
    observables = (
        SparsePauliOp("IIZ"),
        SparsePauliOp(["XXX", "ZIZ"], [0.5, -0.5]),
        SparsePauliOp(["ZZZ", "III"], [-1, 2]),
    )
    info = CircuitInfo(circuit, tuple(circuit.parameters), (), observables)
    assert info.measured == ["IIZ", "0.5 XXX - 0.5 ZIZ", "- ZZZ + 2 III"]
