"""Many heads at once against the loop for one head, and the quantum layer under vmap."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.models.heads import HEADS, build_head
from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq.training.heads import many_heads
from hybridq.training.heads.head import head_probs, train_head
from hybridq.training.heads.many_heads import heads_probs, train_heads
from hybridq.utils.finite import NotFiniteError
from hybridq_backends import open_backend

pytestmark = pytest.mark.usefixtures("isolated", "single_thread")

FEATURES, POOL = 6, 60
MAPS = (FEATURES, 2, 2)
RATES = {"learning_rate": 5e-3, "block_learning_rate": 1e-2, "weight_decay": 1e-2}
LABELS = {"binary": (2, 0), "classes": (3, 0), "multilabel": (3, 2)}
"""Number of classes, and dimension of the labels less one, of each kind of task."""


def make(name, seed, num_classes, backend, **more):
    small = {"num_qubits": 2, "num_layers": 1, "init_std": 0.3, **more}
    fields = HEADS[name].config.model_fields
    config = head_config(name=name, **{key: small[key] for key in small if key in fields})
    generator = torch.Generator().manual_seed(seed)
    in_shape = MAPS if HEADS[name].input == "map" else FEATURES
    return build_head(in_shape, num_classes, config, backend=backend, generator=generator)


def drawn(task, name="pqc"):
    """Features and labels of the pool, and the number of classes."""
    num_classes, is_multilabel = LABELS[task]
    generator = torch.Generator().manual_seed(1)
    in_shape = MAPS if HEADS[name].input == "map" else (FEATURES,)
    features = 0.3 + torch.randn(POOL, *in_shape, generator=generator)
    shape = (POOL, num_classes) if is_multilabel else (POOL,)
    labels = torch.randint(0, 2 if is_multilabel else num_classes, shape, generator=generator)
    return features, labels, num_classes


def subsets(*counts):
    """Rows of as many heads, each drawn for itself."""
    return [np.random.default_rng(j).permutation(POOL)[:count] for j, count in enumerate(counts)]


def assert_same(heads, wanted):
    for head, one in zip(heads, wanted, strict=True):
        assert not head.training
        for key, value in one.state_dict().items():
            torch.testing.assert_close(head.state_dict()[key], value, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("counts", [(40, 37, 39), (11, 10, 11)])
@pytest.mark.parametrize("task", LABELS)
@pytest.mark.parametrize("name", [name for name, entry in HEADS.items() if not entry.fitted])
def test_each_head_is_as_train_head_makes_it(name, task, counts, monkeypatch):
    """Weights, statistics and probabilities, without the loop, in stacks of two and one."""
    features, labels, num_classes = drawn(task, name)
    rows, seeds = subsets(*counts, counts[0]), [5, 6, 7, 8]
    with open_backend("statevector") as backend:
        heads = [make(name, seed, num_classes, backend) for seed in seeds]
        wanted = copy.deepcopy(heads)
        setting = {"num_classes": num_classes, "steps": 5, **RATES}
        for head, own, seed in zip(wanted, rows, seeds, strict=True):
            size = min(32, *counts)
            train_head(head, features[own], labels[own], seed=seed, batch_size=size, **setting)
        monkeypatch.setattr(many_heads, "MOST_AT_ONCE", 2)
        monkeypatch.setattr(many_heads, "train_head", None)
        monkeypatch.setattr(many_heads, "head_probs", None)
        monkeypatch.setattr(many_heads, "IMAGES", 25)
        train_heads(heads, features, labels, rows, seeds=seeds, **setting)
        assert_same(heads, wanted)
        is_multilabel = task == "multilabel"
        probs = heads_probs(heads, features, multilabel=is_multilabel)
        assert probs.shape == (4, POOL, num_classes)
        alone = [head_probs(head, features, multilabel=is_multilabel) for head in heads]
        np.testing.assert_allclose(probs, alone, atol=1e-5)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_a_class_that_a_head_never_sees(name, monkeypatch):
    """As in a fold of cross-validation whose only image of a class is held out."""
    features, labels, num_classes = drawn("classes")
    some = [np.flatnonzero(labels.numpy() != missing)[:12] for missing in (2, 0)]
    setting = {"num_classes": num_classes, "steps": 20, **RATES}
    heads = [make(name, seed, num_classes, None) for seed in (0, 1)]
    wanted = copy.deepcopy(heads)
    for head, own, seed in zip(wanted, some, (0, 1), strict=True):
        train_head(head, features[own], labels[own], seed=seed, batch_size=12, **setting)
    monkeypatch.setattr(many_heads, "train_head", None)
    train_heads(heads, features, labels, some, seeds=[0, 1], **setting)
    assert_same(heads, wanted)
    assert np.isfinite(heads_probs(heads, features, multilabel=False)).all()


@pytest.mark.parametrize(("name", "reducer"), [("pqc", "pca"), ("mlp_residual", "random")])
def test_reducers_that_are_not_trained(name, reducer, monkeypatch):
    """They stay, and the rest is trained as alone; without components nothing is trained."""
    features, labels, num_classes = drawn("classes")
    rows, seeds = subsets(20, 21), [0, 1]
    setting = {"num_classes": num_classes, "steps": 3, "seeds": seeds, **RATES}
    with open_backend("statevector") as backend:
        heads = [make(name, seed, num_classes, backend, reducer=reducer) for seed in seeds]
        if reducer == "pca":
            with pytest.raises(InvalidValueError, match="components are fitted"):
                train_heads(heads, features, labels, rows, **setting)
        for head in heads:
            head.fit_reducer(features)
        wanted = copy.deepcopy(heads)
        setting.pop("seeds")
        for head, own, seed in zip(wanted, rows, seeds, strict=True):
            train_head(head, features[own], labels[own], seed=seed, batch_size=20, **setting)
        monkeypatch.setattr(many_heads, "train_head", None)
        before = [head.reducer.linear.weight.clone() for head in heads]
        train_heads(heads, features, labels, rows, seeds=seeds, **setting)
        for head, weight in zip(heads, before, strict=True):
            assert torch.equal(head.reducer.linear.weight, weight)
        assert_same(heads, wanted)


class Branching(nn.Module):
    """A head whose forward pass asks for a value, so that it cannot be mapped."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(FEATURES, 2, generator=generator))

    def forward(self, features):
        logits = features @ self.weight
        return logits if logits.sum() > 0 else 2 * logits


@pytest.mark.parametrize("kind", ["branches", "wide", "by jobs"])
def test_what_cannot_be_mapped_takes_the_loop(kind, monkeypatch):
    features, labels, num_classes = drawn("binary")
    rows, seeds = subsets(20, 20), [0, 1]
    backend = open_backend("aer_statevector" if kind == "by jobs" else "statevector")
    if kind == "branches":
        heads = [Branching(seed) for seed in seeds]
    else:
        heads = [make("pqc", seed, num_classes, backend) for seed in seeds]
    if kind == "wide":
        monkeypatch.setattr(many_heads, "MEMORY", 1)
    wanted, calls = copy.deepcopy(heads), []

    def counted(head, *args, **kwargs):
        calls.append(head)
        train_head(head, *args, **kwargs)

    setting = {"num_classes": 2, "steps": 3, **RATES}
    monkeypatch.setattr(many_heads, "train_head", counted)
    train_heads(heads, features, labels, rows, seeds=seeds, **setting)
    assert calls == heads
    for head, own, seed in zip(wanted, rows, seeds, strict=True):
        train_head(head, features[own], labels[own], seed=seed, batch_size=20, **setting)
    assert_same(heads, wanted)
    probs = heads_probs(heads, features, multilabel=False)
    alone = [head_probs(head, features, multilabel=False) for head in heads]
    np.testing.assert_allclose(probs, alone, atol=1e-6)
    backend.close()


def test_each_head_needs_rows_and_a_seed():
    features, labels, _ = drawn("binary")
    heads = [nn.Linear(FEATURES, 2), nn.Linear(FEATURES, 2)]
    setting = {"num_classes": 2, "steps": 3, **RATES}
    with pytest.raises(InvalidValueError, match="for each of 2 heads, got 1 times rows"):
        train_heads(heads, features, labels, subsets(4), seeds=[0, 1], **setting)
    with pytest.raises(InvalidValueError, match="at least one row for each head"):
        train_heads(heads, features, labels, subsets(4, 0), seeds=[0, 1], **setting)


@pytest.mark.parametrize(
    ("encoding", "ansatz"),
    [("angle", "ry_cz"), ("zz", "strongly_entangling"), ("reupload", "efficient_su2")],
)
def test_layer_under_vmap(encoding, ansatz):
    """Values and both gradients of stacked weights and angles are those of a loop."""
    parts = build_circuit(3, encoding=encoding, ansatz=ansatz, num_layers=2)
    with open_backend("statevector") as backend:
        layer = QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=[*z_observables(3), "XYZ"],
            backend=backend,
        )
        generator = torch.Generator().manual_seed(0)
        draw = {"generator": generator, "dtype": torch.float64}
        weights = torch.randn(4, len(parts.weight_params), **draw).requires_grad_()
        angles = torch.randn(4, 5, 3, **draw).requires_grad_()

        def values(weight, rows):
            return functional_call(layer, {"connector.weight": weight}, (rows,))

        def with_gradients(found):
            by = torch.autograd.grad((found * found.detach().cos()).sum(), (weights, angles))
            return [found, *by]

        wanted = torch.stack([values(*pair) for pair in zip(weights, angles, strict=True)])
        mapped = vmap(values)(weights, angles)
        for got, one in zip(with_gradients(mapped), with_gradients(wanted), strict=True):
            torch.testing.assert_close(got, one, atol=1e-12, rtol=1e-12)
        shared = vmap(values, in_dims=(0, None))(weights, angles[0])
        alone = torch.stack([values(weight, angles[0]) for weight in weights])
        torch.testing.assert_close(shared, alone, atol=1e-12, rtol=1e-12)
        broken = angles.detach().clone()
        broken[1, 2] = torch.nan
        with pytest.raises(NotFiniteError, match="finite angles, got 3 NaN or infinite of 60"):
            vmap(values)(weights, broken)


def test_draws_of_shots_are_not_shared_under_vmap():
    """Torch refuses to map them, so that heads on shots are trained one after another."""
    with open_backend("fake_manila,engine=torch,shots=100") as noisy:
        layer = make("pqc", 0, 2, noisy).block
        with pytest.raises(RuntimeError, match="randomness error mode"):
            vmap(layer)(torch.zeros(2, 1, 2))
