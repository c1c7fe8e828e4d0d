"""The Rydberg reservoir as a head, and the classical embeddings beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import check_estimator

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.models.heads import build_head
from hybridq.models.heads.fitted.components import principal_components
from hybridq.models.heads.fitted.readouts import fit_readout, widths_of
from hybridq.models.heads.fitted.reservoir import chain_of
from hybridq.models.heads.fitted.support_vectors import calibrate, targets_of
from hybridq.models.searched_regression import folds_of
from hybridq.quantum.modules import circuits_of, running_on
from hybridq.quantum.reservoir.rydberg import RydbergChain, embed
from hybridq.training.feature_classifier import FeatureClassifier
from hybridq_backends import open_backend

SMALL = {"num_qubits": 3, "times": 2}
EMBEDDED = ["reservoir", "random_fourier", "random_tanh", "cubic", "components"]
PLAIN = ("cubic", "components")
"""Those of no size of their own."""


def data_of(classes=2, count=60, features=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    inputs = rng.normal(size=(count, features))
    inputs[:, 0] += 1.5 * labels
    return torch.from_numpy(inputs), torch.from_numpy(labels)


def fitted(name="reservoir", classes=2, **fields):
    inputs, labels = data_of(classes)
    of_size = {"num_qubits": 3} if name in PLAIN else SMALL
    head_fields = {**of_size, **fields}
    backend = open_backend("statevector")  # open as long as the head is used
    head = build_head(6, classes, head_config(name, **head_fields), backend=backend).double()
    head.fit(inputs, labels)
    return head, inputs, labels


def readout(kind, inputs, labels, num_classes):
    folds = folds_of(labels, seed=0) if len(labels) > 1 else []
    return fit_readout(kind, inputs, labels, num_classes, folds, seed=0)


def test_without_steps_it_is_the_exact_evolution():
    head, inputs, _ = fitted(trotter_steps=0, detuning=5.0)
    assert not circuits_of(head)
    assert head.about_fit() is None
    components = ((inputs - head.mean) @ head.axes.T).clamp(-1, 1)
    values = embed(RydbergChain(3, times=(0.5, 1.0)), 5.0 * components)
    scaled = StandardScaler().fit_transform(values.numpy())
    logits = head(inputs)
    found = readout("logistic", scaled, data_of()[1].numpy(), 2)
    ((weight, bias),) = found.layers
    np.testing.assert_allclose(logits, scaled @ weight.T + bias, atol=1e-9)


def test_its_circuits_come_near_with_more_steps():
    errors = {}
    for steps in (2, 4, 16):
        head, inputs, _ = fitted(trotter_steps=steps, detuning=6.0, spacing=14.0)
        assert len(circuits_of(head)) == 2
        errors[steps] = head.trotter_error.tolist()
    assert errors[2][0] > 4 * errors[4][0] > 40 * errors[16][0]
    assert all(typical <= largest for typical, largest in errors.values())
    detunings = 6.0 * ((inputs - head.mean) @ head.axes.T).clamp(-1, 1)
    off = head.embedding(detunings, torch.ones(())) - embed(head.embedding.chain, detunings)
    assert float(off.abs().max()) == pytest.approx(errors[16][1], rel=1e-6)
    assert f"{errors[16][1]:.3f} at most" in head.about_fit()


def test_all_backends_give_the_same():
    head, inputs, _ = fitted()
    exact = head(inputs[:4])
    for backend in ("aer_statevector", "aer_noisy,noise_scale=0,shots=none"):
        with open_backend(backend) as opened, running_on(head, opened):
            np.testing.assert_allclose(head(inputs[:4]), exact, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "readout"),
    [
        *(("reservoir", "logistic"), ("random_fourier", "ridge"), ("cubic", "mlp")),
        *(("random_tanh", "logistic"), ("components", "logistic")),
    ],
)
def test_it_learns(name, readout):
    features, labels = load_breast_cancer(return_X_y=True)
    options = {"readout": readout, "num_qubits": 4, **({} if name in PLAIN else {"times": 2})}
    classifier = FeatureClassifier(name, head_options=options).fit(features[::2], labels[::2])
    probs = classifier.predict_proba(features[1::2])[:, 1]
    assert roc_auc_score(labels[1::2], probs) > 0.97
    assert 0.02 < np.abs(probs - labels[1::2]).mean() < 0.16
    iris = load_iris(return_X_y=True)
    assert cross_val_score(classifier, *iris, cv=3).mean() > 0.9


def test_embeddings_have_one_length_but_for_the_polynomial():
    heads = {name: fitted(name)[0] for name in EMBEDDED}
    lengths = {name: head.embedding.num_values for name, head in heads.items()}
    assert lengths.pop("components") == 3
    assert lengths == {"reservoir": 12, "random_fourier": 12, "random_tanh": 12, "cubic": 19}
    rows = torch.randn(5, 3, dtype=torch.float64)
    wanted = PolynomialFeatures(3, include_bias=False).fit_transform(rows.numpy())
    found = heads["cubic"].embedding(rows, torch.ones(())).numpy()
    np.testing.assert_allclose(np.sort(found), np.sort(wanted), atol=1e-12)


def test_random_fourier_features_are_a_gaussian_kernel():
    """The mean of the products over many features, Rahimi & Recht 2007."""
    config = head_config("random_fourier", num_qubits=3, times=32, scale=1.0)
    kernels = []
    rows = 0.5 * torch.randn(6, 3, dtype=torch.float64)
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        head = build_head(6, 2, config, generator=generator).double()
        values = head.embedding(rows, torch.ones(()).double())
        kernels.append(2 * (values @ values.T) / values.shape[1])
    wanted = torch.exp(-torch.cdist(rows, rows).square() / 2)
    np.testing.assert_allclose(torch.stack(kernels).mean(0), wanted, atol=0.04)


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_global_random_state_is_not_touched(name):
    before = torch.get_rng_state()
    with open_backend("statevector") as backend:
        head = build_head(6, 2, head_config(name, readout="mlp"), backend=backend).double()
        head.fit(*data_of(count=12))
    assert torch.equal(torch.get_rng_state(), before)


def test_components_keep_their_proportions():
    inputs = np.random.default_rng(0).normal(size=(40, 6)) * [5, 1, 1, 1, 1, 1]
    inputs[:, 1] = inputs[:, 0] + 0.1 * inputs[:, 1]
    mean, axes = principal_components(inputs, 4, whiten=False)
    found = (inputs - mean) @ axes.T
    assert np.abs(found).max() == pytest.approx(1)
    assert found[:, 0].std() > 1.2 * found[:, 1].std()
    mean, axes = principal_components(inputs, 4)
    np.testing.assert_allclose(((inputs - mean) @ axes.T).std(axis=0), 1)
    _, axes = principal_components(np.ones((5, 6)), 4, whiten=False)
    assert not axes.any()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_ridge_is_that_of_scikit_learn(classes):
    """With balanced weights, and Platt's slope and shift from held-out values."""
    inputs, labels = (one.numpy() for one in data_of(classes))
    kept = np.flatnonzero((labels == 0) | (np.arange(60) < 30))  # the first class is the largest
    inputs, labels = inputs[kept], labels[kept]
    ((weight, bias),) = readout("ridge", inputs, labels, classes).layers
    signs = targets_of(labels, classes)
    weights = compute_sample_weight("balanced", labels)
    errors = []
    for penalty in (1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0):
        held_out = np.full(signs.shape, np.nan)
        for own, held in folds_of(labels, seed=0):
            model = Ridge(alpha=penalty).fit(inputs[own], signs[own], sample_weight=weights[own])
            held_out[held] = model.predict(inputs[held]).reshape(len(held), -1)
        slope, shift = calibrate(held_out, signs)
        model = Ridge(alpha=penalty).fit(inputs, signs, sample_weight=weights)
        wanted = slope * model.predict(inputs).reshape(len(inputs), -1) + shift
        found = inputs @ weight.T + bias
        if classes == 2:
            assert not found[:, 0].any()
            found = found[:, 1:]
        errors.append(np.abs(found - wanted).max())
    assert min(errors) < 1e-9


@pytest.mark.parametrize("kind", ["logistic", "ridge", "mlp"])
def test_values_that_do_not_vary(kind):
    """A collapsed encoder leaves nothing to read, and an answer all the same."""
    head = build_head(6, 2, head_config("components", readout=kind, num_qubits=2)).double()
    assert torch.isfinite(head(torch.zeros(2, 6).double())).all()
    rows = torch.full((7, 6), 0.1).double()
    head.fit(rows, torch.arange(7) % 2)
    np.testing.assert_allclose(head(rows).softmax(1), 0.5)
    assert torch.isfinite(head(rows + 1)).all()


@pytest.mark.parametrize("kind", ["logistic", "ridge", "mlp"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_images_and_absent_classes(kind, count):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    layers = readout(kind, rng.normal(size=(count, 4)), labels, 3).layers
    assert [one.shape[::-1] for one, _ in layers] == widths_of(kind, 4, 3)
    inputs, _ = data_of()
    few = build_head(6, 3, head_config("cubic", num_qubits=2, readout=kind)).double()
    few.fit(inputs[:count], torch.from_numpy(labels))
    probs = few(inputs[:count]).softmax(1)
    assert torch.isfinite(probs).all()
    assert probs[:, 2].max() < 0.1
    assert (probs.argmax(1) == torch.from_numpy(labels)).all() or count > 3


@pytest.mark.parametrize(
    "head", ["reservoir", pytest.param("random_fourier", marks=pytest.mark.slow)]
)
def test_it_is_an_estimator_of_scikit_learn(head):
    options = {"num_qubits": 2, "times": 1}
    options |= {"detuning": 6.0} if head == "reservoir" else {"scale": 1.0}
    check_estimator(FeatureClassifier(head, head_options=options))


def test_what_cannot_be_fitted():
    inputs, labels = data_of()
    head = build_head(6, 2, head_config("cubic")).double()
    with pytest.raises(InvalidValueError, match="one label for each image"):
        head.fit(inputs, torch.stack([labels, labels], dim=1))
    with pytest.raises(InvalidValueError, match="Expected a backend for head 'reservoir'"):
        build_head(6, 2, head_config("reservoir"))
    exact = head_config("reservoir", trotter_steps=0, num_qubits=2, times=3, interval=0.25)
    assert build_head(6, 2, exact).embedding.chain == chain_of(exact)
    assert chain_of(exact).times == (0.25, 0.5, 0.75)
