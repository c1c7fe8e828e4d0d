from __future__ import annotations

import copy
import math

import pytest
import torch
from pydantic import ValidationError
from qiskit.circuit import Parameter, QuantumCircuit
from safetensors.torch import load_file, save_file

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.models.heads import HEADS, build_head, num_parameters, num_trainable
from hybridq.models.heads.base import width_note
from hybridq.models.heads.rff import FourierBlock
from hybridq.models.reducers import AngleReducer
from hybridq.quantum import QuantumLayer, z_observables
from hybridq.quantum.modules import quantum_modules, quantum_parameters
from hybridq.quantum.trigonometric import trigonometric_coefficients
from hybridq.training.heads.head import train_head
from hybridq_backends import open_backend

QUANTUM = ["pqc", "pqc_residual", "lqer", "ttn", "hyper"]
"""Heads with one circuit between angles and readout."""
OTHERS = ["generated", "rank_mlp", "swap_attention", "attention"]
"""Heads in which no angle goes through a block."""
FITTED = [name for name, entry in HEADS.items() if entry.fitted]
"""Heads that no gradient trains; `test_kernel.py` and `test_reservoir.py` are about them."""
TRAINED = [name for name in HEADS if name not in FITTED]
CIRCUITS = [*QUANTUM, "generated", "swap_attention"]
RESIDUAL = ["pqc_residual", "mlp_residual", "lqer"]
BLOCK = [name for name in HEADS if name not in ("linear", "low_rank", *OTHERS, *FITTED)]
REDUCED = [name for name in HEADS if "reducer" in HEADS[name].config.model_fields]
FEATURES, CLASSES = 24, 3
MAPS = (FEATURES, 2, 2)


@pytest.fixture
def exact():
    return open_backend("aer_statevector")


@pytest.fixture
def features():
    return torch.randn(5, FEATURES, generator=torch.Generator().manual_seed(0))


def inputs_of(name):
    """Features, or feature maps, of five images."""
    shape = MAPS if HEADS[name].input == "map" else (FEATURES,)
    return torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))


def make(name, backend, seed=0, **kwargs):
    given = {"num_qubits": 3, "num_layers": 1, **kwargs}
    known = HEADS[name].config.model_fields if name in HEADS else given
    config = head_config(name=name, **{key: given[key] for key in given if key in known})
    generator = torch.Generator().manual_seed(seed)
    shape = MAPS if name in HEADS and HEADS[name].input == "map" else FEATURES
    return build_head(shape, CLASSES, config, backend=backend, generator=generator)


@pytest.mark.parametrize("name", TRAINED)
def test_forwards_trains_saves_and_loads(name, exact, tmp_path):
    head, features = make(name, exact), inputs_of(name)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    labels = torch.tensor([0, 1, 2, 0, 1])
    losses = []
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(head(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for param_name, param in head.named_parameters():
        assert param.grad is not None, param_name
        assert param.grad.abs().max() > 0, param_name

    logits = head(features).detach()
    assert logits.shape == (5, CLASSES)
    assert logits.dtype == features.dtype
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    other = make(name, open_backend("aer_statevector"), seed=1)
    assert not torch.equal(other(features), logits)
    other.load_state_dict(load_file(tmp_path / "head.safetensors"))
    assert torch.equal(other(features), logits)
    assert torch.equal(copy.deepcopy(head)(features), logits)


@pytest.mark.parametrize("name", BLOCK)
def test_what_goes_into_the_block_and_comes_out(name, exact, features):
    head = make(name, exact)
    angles = head.reducer(features)
    values = head.block(angles)
    assert angles.shape == values.shape == (5, 3)
    assert 0 < angles.min() < math.pi / 2 < angles.max() < math.pi
    assert values.abs().max() <= 1
    assert bool(quantum_modules(head)) == (name in QUANTUM) == bool(HEADS[name].control)


@pytest.mark.parametrize("name", BLOCK)
def test_angles_do_not_depend_on_the_scale_of_the_features(name, exact, features):
    head = make(name, exact)
    scaled = head.reducer(1000 * features + 7)
    torch.testing.assert_close(scaled, head.reducer(10 * features), atol=1e-4, rtol=0)


def test_the_linear_head_reads_configs_of_earlier_versions_and_nothing_else(features):
    assert not quantum_modules(make("linear", None))
    kept = {"name": "linear", "num_qubits": 4, "ansatz": "ry_cz", "init_std": 0.01}
    assert HEADS["linear"].config.model_validate(kept).model_dump() == {"name": "linear"}
    with pytest.raises(ValidationError):
        HEADS["linear"].config.model_validate({"name": "linear", "width": 3})


@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_heads_begin_as_the_linear_head(name, exact, features):
    head = make(name, exact)
    assert head.alpha.item() == 0
    assert torch.equal(head(features), make("linear", None)(features))
    head(features).square().sum().backward()
    assert head.alpha.grad.abs() > 0
    with torch.no_grad():
        head.alpha.fill_(0.5)
    assert not torch.equal(head(features), make("linear", None)(features))


def test_residual_formula(exact, features):
    head = make("pqc_residual", exact)
    with torch.no_grad():
        head.alpha.fill_(0.3)
    z = head.block(head.reducer(features))
    expected = head.classifier(features + 0.3 * z @ head.expand.weight.T)
    torch.testing.assert_close(head(features), expected)


def test_the_polynomial_begins_as_the_circuit_and_holds_all_of_its_weights(exact, features):
    quantum, polynomial = (make(name, exact, init_std=0.5) for name in ("pqc", "trig"))
    assert polynomial.block.coefficients.shape == (3, 3, 3, 3)
    torch.testing.assert_close(polynomial(features), quantum(features), rtol=0, atol=1e-5)
    with torch.no_grad():
        quantum.block.weight.copy_(torch.linspace(-3, 3, len(quantum.block.weight)))
        (circuit,) = quantum.block.circuits()
        polynomial.block.coefficients.copy_(
            trigonometric_coefficients(circuit, quantum.block.weight)
        )
    torch.testing.assert_close(polynomial(features), quantum(features), rtol=0, atol=1e-5)


def test_a_head_of_low_rank_is_a_linear_map_of_that_rank(features):
    head = make("low_rank", None, num_qubits=2).eval()
    rows = torch.cat([features, torch.zeros(1, FEATURES)])
    logits = head(rows)
    slopes = torch.autograd.functional.jacobian(lambda one: head(one[None])[0], rows[0])
    torch.testing.assert_close(logits - logits[-1], rows @ slopes.T, rtol=0, atol=1e-5)
    assert torch.linalg.matrix_rank(slopes, rtol=1e-5) == 2


def test_the_identity_block_is_the_circuit_without_weights(exact, features):
    head = make("identity", None)
    angles = head.reducer(features)
    assert not list(head.block.parameters())
    inputs = [Parameter(f"x{qubit}") for qubit in range(3)]
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate(inputs):
        circuit.ry(angle, qubit)
    layer = QuantumLayer(
        circuit,
        input_params=inputs,
        weight_params=[],
        observables=z_observables(3),
        backend=exact,
    )
    torch.testing.assert_close(head.block(angles), layer(angles), rtol=0, atol=1e-6)


def test_fourier_features_are_those_of_a_gaussian_kernel():
    """Twice the mean product of the features of two points is the kernel (Rahimi & Recht)."""
    blocks = [FourierBlock(5, torch.Generator().manual_seed(seed)) for seed in range(2000)]
    points = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    found = torch.cat([block(points) for block in blocks], dim=1)
    kernel = (-torch.cdist(points, points).square() / 2).exp()
    torch.testing.assert_close(2 * found @ found.T / 10_000, kernel, rtol=0, atol=0.05)
    assert not list(blocks[0].parameters())


@pytest.mark.parametrize("kind", ["pca", "random"])
@pytest.mark.parametrize("name", REDUCED)
def test_a_reducer_that_is_not_trained(name, kind, exact, features, tmp_path):
    """It is saved and loaded, is no parameter, and changes nothing else at the beginning."""
    trained, head = make(name, exact, reducer="linear"), make(name, exact, reducer=kind)
    width = head.reducer.norm.num_features
    if kind == "pca" and width > len(features) - 1:
        pytest.skip(f"{width} components of {len(features)} images")
    assert num_parameters(trained) - num_parameters(head) == width * FEATURES
    assert num_parameters(head) == num_trainable(head)
    drawn, own = trained.state_dict(), head.state_dict()
    assert drawn.keys() == own.keys()
    changed = {key for key, value in own.items() if not torch.equal(value, drawn[key])}
    assert changed == ({"reducer.linear.weight"} if kind == "pca" else set())
    head.fit_reducer(features)
    fixed = head.reducer.linear.weight.clone()
    torch.nn.functional.cross_entropy(head(features), torch.tensor([0, 1, 2, 0, 1])).backward()
    torch.optim.SGD(head.parameters(), lr=0.5).step()
    assert torch.equal(head.reducer.linear.weight, fixed)
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    other = make(name, exact, seed=1, reducer=kind)
    other.load_state_dict(load_file(tmp_path / "head.safetensors"))
    assert other.reducer.is_ready
    torch.testing.assert_close(other(features), head(features))


def test_principal_components():
    """They are those of a singular value decomposition of the centred features."""
    spread = torch.linspace(1, 3, FEATURES)
    drawn = torch.randn(50, FEATURES, generator=torch.Generator().manual_seed(2)) * spread + 7
    head = make("mlp", None, reducer="pca")
    assert not head.reducer.is_ready
    head.fit_reducer(drawn)
    wanted = torch.linalg.svd(drawn - drawn.mean(dim=0), full_matrices=False).Vh[:3]
    cosines = (head.reducer.linear.weight * wanted).sum(dim=1).abs()
    torch.testing.assert_close(cosines, torch.ones(3), rtol=0, atol=1e-3)


def test_what_principal_components_need(features):
    setting = {"num_classes": 3, "steps": 2, "learning_rate": 0.1, "weight_decay": 0.0}
    labels = torch.tensor([0, 1, 2, 0, 1])
    head = make("mlp", None, reducer="pca")
    with pytest.raises(InvalidValueError, match=r"call `head.fit_reducer\(features\)`"):
        train_head(head, features, labels, block_learning_rate=0.1, seed=0, **setting)
    with pytest.raises(InvalidValueError, match="images for 3 principal components, got enough"):
        head.fit_reducer(features[:3])
    with pytest.raises(InvalidValueError, match="features for 30 principal components"):
        AngleReducer(FEATURES, 30, torch.Generator(), "pca")


@pytest.mark.parametrize("name", HEADS)
def test_a_bottleneck_narrower_than_the_classes_is_told(name, exact):
    assert width_note(make(name, exact)) is None
    narrow = width_note(make(name, exact, num_qubits=2))
    if (name not in BLOCK and name != "low_rank") or name in RESIDUAL:
        assert narrow is None
    else:
        assert "2 values for 3 classes" in narrow


@pytest.mark.parametrize("name", CIRCUITS)
def test_one_job_forward_and_one_backward(name, exact):
    head, features = make(name, exact), inputs_of(name)
    logits = head(features)
    assert exact.num_jobs == 1
    logits.sum().backward()
    assert exact.num_jobs == 2
    head.requires_grad_(False)
    head.classifier.requires_grad_(True)
    head(features).sum().backward()
    assert exact.num_jobs == 3


@pytest.mark.parametrize(("scale", "mean"), [(1.0, 0.0), (0.1, 0.2), (30.0, 1000.0)])
def test_angles_spread_whatever_the_features_scale_and_mean(scale, mean):
    head = make("mlp", None)
    drawn = torch.randn(256, FEATURES, generator=torch.Generator().manual_seed(3))
    angles = head.reducer(mean + scale * drawn)
    normed = torch.atanh(angles * 2 / math.pi - 1)
    torch.testing.assert_close(normed.mean(dim=0), torch.zeros(3), atol=2e-2, rtol=0)
    torch.testing.assert_close(normed.std(dim=0), torch.ones(3), atol=2e-2, rtol=0)
    assert 0 < angles.min() < math.pi / 4 < 3 * math.pi / 4 < angles.max() < math.pi


def test_angles_of_an_image_do_not_depend_on_the_others_in_evaluation(features):
    head = make("mlp", None)
    head.reducer(features)
    head.eval()
    alone = torch.cat([head.reducer(row[None]) for row in features])
    torch.testing.assert_close(head.reducer(features), alone)


@pytest.mark.parametrize("name", TRAINED)
def test_initial_weights_come_from_the_generator_alone(name, exact):
    state = torch.random.get_rng_state()
    first, again, other = (make(name, exact, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    for key, value in first.named_parameters():
        if value.dim():
            assert not torch.equal(value, other.state_dict()[key])
    config = head_config(name=name)
    shape = (4, 2, 2) if HEADS[name].input == "map" else 4
    default = [build_head(shape, 2, config, backend=exact).state_dict() for _ in range(2)]
    assert all(torch.equal(default[0][key], default[1][key]) for key in default[0])


def test_linear_layers_begin_as_those_of_torch():
    weight = make("linear", None).classifier.weight
    bound = 1 / math.sqrt(FEATURES)
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)


@pytest.mark.parametrize("name", TRAINED)
def test_quantum_parameters_are_the_circuit_weights(name, exact):
    head = make(name, exact)
    layers = [part for part in head.modules() if isinstance(part, QuantumLayer)]
    assert quantum_modules(head) == layers
    assert len(layers) == (name in CIRCUITS)
    trained = [id(param) for layer in layers for param in layer.parameters()]
    assert [id(param) for param in quantum_parameters(head)] == trained
    if name != "hyper":  # whose weights are generated
        assert trained == [id(layer.weight) for layer in layers]


def test_config_reaches_the_circuit(exact):
    head = make("pqc", exact, num_layers=2, init_std=0.0, ansatz="efficient_su2")
    (weight,) = quantum_parameters(head)
    assert torch.equal(weight.detach(), torch.zeros(18))


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"name": "pqq"}, "did you mean 'pqc'?"),
        ({"ansatz": "strong"}, "did you mean 'strongly_entangling'?"),
        ({"num_qubits": 6}, "at most 5 qubits on this backend, got 6"),
    ],
)
def test_bad_configs(kwargs, words):
    backend = open_backend("fake_manila")
    with pytest.raises(InvalidValueError) as caught:
        make(**{"name": "pqc", "backend": backend, **kwargs})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", CIRCUITS)
def test_quantum_heads_need_a_backend(name):
    with pytest.raises(InvalidValueError, match=f"backend for head '{name}', got None"):
        make(name, None)


def test_sizes_are_at_least_one():
    for sizes, word in (((0, 2), "in_shape"), ((4, 0), "num_classes")):
        with pytest.raises(InvalidValueError, match=f"`{word}` of at least 1, got 0"):
            build_head(*sizes, head_config(name="linear"))
