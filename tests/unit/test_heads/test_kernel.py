"""Kernel machines on principal components."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from hybridq.config import head_config
from hybridq.errors import InvalidValueError
from hybridq.models.heads import build_head
from hybridq.models.heads.fitted.support_vectors import (
    calibrate,
    choose,
    fit_alpha,
    fit_machine,
)
from hybridq.quantum.modules import circuits_of, running_on
from hybridq.training.feature_classifier import FeatureClassifier
from hybridq_backends import open_backend


def data_of(classes=2, count=60, features=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    inputs = rng.normal(size=(count, features))
    inputs[:, 0] += 1.5 * labels
    return torch.from_numpy(inputs), torch.from_numpy(labels)


def fitted(name="qkernel", classes=2, backend="statevector", **fields):
    inputs, labels = data_of(classes)
    config = head_config(name, **{"num_qubits": 3, **fields})
    with open_backend(backend) as opened:
        head = build_head(inputs.shape[1], classes, config, backend=opened).double()
        head.fit(inputs, labels)
    return head, inputs, labels


@pytest.mark.parametrize("classes", [2, 3])
def test_one_kernel_is_the_machine_of_scikit_learn(classes):
    """The same decision values as a machine on the kernel computed by hand."""
    head, inputs, labels = fitted("kernel", classes, kernels="rbf", bandwidth=0.7)
    scaled = StandardScaler().fit_transform(inputs.numpy())
    rows = PCA(3, whiten=True).fit_transform(scaled) * 0.7 * np.sqrt(60 / 59)
    squares = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    gram = np.exp(-squares / 6)
    signs = 2.0 * np.eye(classes)[labels.numpy()] - 1
    signs = signs[:, 1:] if classes == 2 else signs
    chosen = choose([[gram]], labels.numpy(), classes, seed=0)
    logits = head(inputs)
    for k, own in enumerate(signs.T):
        machine = SVC(C=chosen.penalty, kernel="precomputed", class_weight="balanced")
        wanted = machine.fit(gram, own).decision_function(gram)
        column = logits[:, 1] if classes == 2 else logits[:, k]
        found = (column - head.shift[k]) / head.slope[k]
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_a_ridge_minimises_its_loss():
    """Gradients of the loss by coefficients and constant are 0, and classes weigh the same."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 4))
    gram, signs = points @ points.T, np.where(np.arange(30) < 8, 1.0, -1.0)
    alpha, offset = fit_alpha(gram, signs[:, None], 0.7, "ridge")
    weights = np.where(signs > 0, 30 / 16, 30 / 44)

    def loss(values):
        off = signs - gram @ values[:30] - values[30]
        return 0.7 * (weights * off**2).sum() + values[:30] @ gram @ values[:30]

    best = np.append(alpha[:, 0], offset[0])
    for step in 1e-3 * rng.normal(size=(20, 31)):
        assert loss(best) < loss(best + step)


def test_a_gaussian_process_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(40, 3)), np.arange(40) % 2
    points[:, 0] += labels
    covariance = ConstantKernel(2.5, "fixed") * RBF(1.3, "fixed")
    wanted = GaussianProcessClassifier(covariance, optimizer=None).fit(points, labels)
    gram, new = RBF(1.3)(points), rng.normal(size=(10, 3))
    alpha, offset = fit_alpha(gram, 2.0 * labels[:, None] - 1, 2.5, "gp")
    assert offset == 0
    found = RBF(1.3)(new, points) @ alpha[:, 0]
    latent = covariance(new, points) @ (labels - wanted.base_estimator_.pi_)
    np.testing.assert_allclose(found, latent, atol=1e-5)


@pytest.mark.parametrize("machine", ["ridge", "gp"])
def test_other_machines_learn(machine):
    features, labels = load_breast_cancer(return_X_y=True)
    options = {"kernels": "angle", "machine": machine, "bandwidth": 0.5}
    classifier = FeatureClassifier("qkernel", head_options=options)
    classifier.fit(features[::4], labels[::4])
    probs, actual = classifier.predict_proba(features[1::2])[:, 1], labels[1::2]
    assert ((probs > 0.5) == actual).mean() > 0.91
    assert 0.03 < np.abs(probs - actual).mean() < 0.17


def test_circuits_give_what_products_of_states_do():
    head, inputs, _ = fitted(kernels="zz,bsp,projected-reupload", support=5)
    with open_backend("statevector") as opened, running_on(head, opened):
        exact = head(inputs[:4])
    assert len(circuits_of(head)) == 3
    for backend in ("aer_statevector", "aer_noisy,noise_scale=0,shots=none"):
        with open_backend(backend) as opened, running_on(head, opened):
            np.testing.assert_allclose(head(inputs[:4]), exact, atol=1e-9)
    assert len(head.support) == 5


def test_it_learns_and_is_calibrated():
    features, labels = load_breast_cancer(return_X_y=True)
    classifier = FeatureClassifier("qkernel", head_options={"kernels": "angle,bsp"})
    classifier.fit(features[::2], labels[::2])
    probs, actual = classifier.predict_proba(features[1::2])[:, 1], labels[1::2]
    assert ((probs > 0.5) == actual).mean() > 0.93
    assert 0.03 < np.abs(probs - actual).mean() < 0.15
    iris = load_iris(return_X_y=True)
    assert cross_val_score(classifier, *iris, cv=3).mean() > 0.9


def test_the_better_bandwidth_is_chosen():
    """Of a kernel that says nothing and one that knows the labels the second is taken."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    blind = np.eye(60)
    noise = rng.normal(size=(60, 60))
    knows = np.equal.outer(labels, labels) + 0.1 * noise @ noise.T / 60
    chosen = choose([[blind], [knows]], labels, 2, seed=0)
    assert chosen.place == 1
    assert choose([[knows], [blind]], labels, 2, seed=0).place == 0
    machine = fit_machine(knows, labels, 2, chosen)
    assert ((machine.logits(knows)[:, 0] > 0) == labels).all()


def test_a_slope_does_not_turn_images_round():
    signs = np.array([[-1.0], [1], [-1], [1]])
    slope, shift = calibrate(-signs, signs)
    assert (slope[0], shift[0]) == (1, 0)
    slope, _ = calibrate(np.full((4, 1), np.nan), signs)
    assert slope[0] == 1


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_images(count):
    """One image of a class leaves nothing to search with, and an answer all the same."""
    inputs, labels = data_of(count=count)
    head = build_head(6, 2, head_config("kernel"), backend=None).double()
    head.fit(inputs, labels)
    logits = head(inputs)
    assert torch.isfinite(logits).all()
    assert count > 3 or (logits.argmax(1) == labels).all()


def test_a_class_without_images():
    inputs, labels = data_of()
    head = build_head(6, 3, head_config("kernel"), backend=None).double()
    head.fit(inputs, labels)
    far = torch.cat([inputs, 100 * inputs])
    assert head(far).softmax(1)[:, 2].max() < 1e-6
    head.fit(inputs, torch.ones_like(labels))  # and of one class alone
    assert (head(inputs).argmax(1) == 1).all()


@pytest.mark.parametrize("support", [4, 10, 30])
def test_fewer_support_vectors_of_a_rare_class(support):
    """Both classes stay, and what the machine says is nearly what it said."""
    rng = np.random.default_rng(0)
    labels = (np.arange(160) % 8 == 0).astype(int)
    inputs = rng.normal(size=(160, 6))
    inputs[:, :2] += 1.2 * labels[:, None]
    features, targets = torch.from_numpy(inputs), torch.from_numpy(labels)
    found = {}
    for most in (None, support):
        head = build_head(6, 2, head_config("kernel", support=most), backend=None).double()
        head.fit(features, targets)
        found[most] = head(features)[:, 1].numpy()
    assert len(head.support) == support
    rows = [
        np.abs(inputs - (row @ np.linalg.pinv(head.axes.numpy()).T + head.mean.numpy()))
        for row in head.support.numpy()
    ]
    own = {int(labels[one.sum(axis=1).argmin()]) for one in rows}
    assert own == {0, 1}
    agreement = np.corrcoef(found[None], found[support])[0, 1]
    assert agreement > {4: 0.6, 10: 0.85, 30: 0.97}[support]


def test_kernels_of_no_weight_are_not_run():
    head, inputs, _ = fitted(kernels="zz,angle", bandwidth=1.0)
    asked = {}
    for weights in ([1.0, 0.0], [0.5, 0.5]):
        head.weights = torch.tensor(weights, dtype=torch.float64)
        with open_backend("aer_statevector") as opened, running_on(head, opened):
            head(inputs[:2])
            asked[tuple(weights)] = opened.num_jobs
    assert asked == {(1.0, 0.0): 1, (0.5, 0.5): 2}


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("qkernel", {"kernels": "rbf"}, "Expected a kernel with a circuit"),
        ("qkernel", {"kernels": "zz,zz"}, "each once"),
        ("qkernel", {"kernels": "zzz"}, "did you mean 'zz'"),
        ("qkernel", {"kernels": ""}, "joined by commas"),
        ("kernel", {"kernels": "rbf,zz"}, "Expected classical kernels for head 'kernel', got 'zz'"),
    ],
)
def test_kernels_that_cannot_be(name, fields, words):
    with open_backend("statevector") as backend, pytest.raises(InvalidValueError, match=words):
        build_head(6, 2, head_config(name, **fields), backend=backend)


def test_labels_that_cannot_be_fitted():
    inputs, labels = data_of()
    head = build_head(6, 2, head_config("kernel"), backend=None).double()
    many = torch.zeros(10_001, 6), torch.arange(10_001) % 2
    with pytest.raises(InvalidValueError, match=r"at most 10,000 labelled images .* got 10,001"):
        head.fit(*many)
    with pytest.raises(InvalidValueError, match="one label for each image"):
        head.fit(inputs, torch.stack([labels, labels], dim=1))


@pytest.mark.parametrize("head", ["qkernel", pytest.param("kernel", marks=pytest.mark.slow)])
def test_it_is_an_estimator_of_scikit_learn(head):
    kernels = "angle" if head == "qkernel" else "rbf"
    options = {"num_qubits": 2, "kernels": kernels, "bandwidth": 1.0}
    classifier = FeatureClassifier(head, head_options=options)
    check_estimator(classifier)
    assert clone(classifier).head_options == options


def test_it_can_be_fitted_under_noise():
    """Shots leave a matrix with negative eigenvalues, which the machine never sees."""
    inputs, labels = data_of(count=10)
    config = head_config("qkernel", num_qubits=2, kernels="zz", bandwidth=1.0)
    with open_backend("fake_manila,shots=50,seed=1") as backend:
        head = build_head(6, 2, config, backend=backend).double()
        rows = torch.from_numpy(np.random.default_rng(0).normal(size=(10, 2)))
        (gram,) = head._grams(rows.numpy())
        assert np.linalg.eigvalsh(gram)[0] > -1e-12
        assert np.linalg.eigvalsh(head.kernels[0].gram(rows).numpy())[0] < -1e-3
        head.fit(inputs, labels)
        assert torch.isfinite(head(inputs)).all()
