"""Heads as scikit-learn classifiers: its own checks, and oracles for what is learned."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from hybridq.config import head_config
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.models.heads import build_head
from hybridq.quantum import quantum_modules
from hybridq.training.feature_classifier import FeatureClassifier
from hybridq.training.heads.head import train_head
from hybridq.training.seeding import derive_seed
from hybridq_backends import open_backend

pytestmark = pytest.mark.usefixtures("single_thread")

SMALL = {"num_qubits": 2, "num_layers": 1}


@pytest.fixture(scope="module")
def iris():
    features, labels = load_iris(return_X_y=True)
    return features, labels


def quick(head="pqc", **params):
    """Few steps at a high rate."""
    rates = {"learning_rate": 0.1, "quantum_learning_rate": 0.1}
    return FeatureClassifier(head, **{"steps": 30, **rates, **params})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("head", ["linear", "mlp", "pqc"])
def test_contract_of_scikit_learn(head):
    """None of its checks fails, so that none is named as one that is expected to."""
    rates = {"learning_rate": 0.15, "quantum_learning_rate": 0.15}
    done = check_estimator(quick(head, steps=20, **rates), expected_failed_checks={})
    passed = [check["check_name"] for check in done if check["status"] == "passed"]
    assert len(passed) >= 50
    assert {"check_classifiers_train", "check_estimators_pickle"} <= set(passed)


class NearestMean(nn.Module):
    """A head fitted in closed form: minus the distances from the means of the classes."""

    def __init__(self, num_features, num_classes):
        super().__init__()
        self.register_buffer("means", torch.zeros(0, num_features))
        self.num_classes = num_classes

    def fit(self, features, labels):
        self.means = torch.stack([features[labels == k].mean(0) for k in range(self.num_classes)])

    def forward(self, features):
        return -torch.cdist(features, self.means)


def test_linear_head_is_logistic_regression():
    """Trained to the end without decay it has the probabilities of the maximum likelihood."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [16, 10, 6])
    features = 5 + rng.normal(size=(32, 3)) + 0.7 * labels[:, None]
    ours = FeatureClassifier("linear", steps=400, learning_rate=0.3, weight_decay=0.0)
    theirs = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=1000, tol=1e-9)
    ours.fit(features, labels)
    theirs.fit(features, labels)
    np.testing.assert_allclose(
        ours.predict_proba(features), theirs.predict_proba(features), rtol=0, atol=1e-5
    )
    assert 0.5 < ours.score(features, labels) < 1  # not so far apart that anything would do


@pytest.mark.parametrize(
    ("head", "reducer"), [("mlp_residual", "linear"), ("pqc", "linear"), ("identity", "pca")]
)
def test_weights_are_those_of_train_head(iris, head, reducer):
    """On features as they are, and on standardised ones, of which components are taken."""
    features, labels = iris
    options = SMALL | {"reducer": reducer}
    config = head_config(head, **options)
    for standardize in (False, True):
        ours = FeatureClassifier(
            head,
            head_options=options,
            steps=12,
            learning_rate=0.02,
            quantum_learning_rate=0.05,
            weight_decay=0.1,
            standardize=standardize,
            random_state=5,
        ).fit(features, labels)
        scaled = (features - features.mean(0)) / features.std(0) if standardize else features
        wanted = build_head(
            4,
            3,
            config,
            backend=open_backend("statevector"),
            generator=torch.Generator().manual_seed(derive_seed(5, 1)),
        ).double()
        wanted.fit_reducer(torch.from_numpy(scaled))
        train_head(
            wanted,
            torch.from_numpy(scaled),
            torch.from_numpy(labels),
            num_classes=3,
            steps=12,
            learning_rate=0.02,
            block_learning_rate=0.05,
            weight_decay=0.1,
            seed=5,
        )
        for name, value in wanted.state_dict().items():
            torch.testing.assert_close(ours.head_.state_dict()[name], value, rtol=1e-9, atol=1e-9)
        with torch.no_grad():
            probs = wanted(torch.from_numpy(scaled)).softmax(1).numpy()
        np.testing.assert_allclose(ours.predict_proba(features), probs, atol=1e-12)


def test_backends_agree(iris):
    """Trained on Aer by shifted angles, or moved to Aer afterwards: the same figures."""
    features, labels = iris
    params = {"head_options": SMALL, "steps": 4}
    ours = quick(**params).fit(features, labels)
    on_aer = quick(**params, backend="aer_statevector").fit(features, labels)
    wanted = ours.predict_proba(features)
    assert quantum_modules(on_aer.head_)[0].backend.engine == "aer"
    np.testing.assert_allclose(on_aer.predict_proba(features), wanted, atol=1e-7)
    with open_backend("aer_statevector") as backend:
        moved = ours.use_backend(backend)
        assert moved is ours
        assert quantum_modules(ours.head_)[0].backend is backend
        np.testing.assert_allclose(ours.predict_proba(features), wanted, atol=1e-9)


def test_seeds(iris):
    """A seed gives the same again, another gives something else, and the global one is left."""
    before = torch.random.get_rng_state()

    def probs(seed):
        return quick(steps=4, random_state=seed).fit(*iris).predict_proba(iris[0])

    np.testing.assert_array_equal(probs(1), probs(1))
    assert np.abs(probs(1) - probs(2)).max() > 1e-3
    rng = np.random.RandomState
    np.testing.assert_array_equal(probs(rng(3)), probs(rng(3)))
    assert np.abs(probs(None) - probs(None)).max() > 1e-3
    torch.testing.assert_close(torch.random.get_rng_state(), before)


def test_texts_pickles_and_copies(iris):
    """Labels keep their names; a pickle predicts the same, and a clone begins anew."""
    features, labels = iris
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    ours = quick(head_options=SMALL).fit(features, names)
    assert ours.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(ours.predict(features)) <= set(names)
    assert ours.score(features, names) > 0.7
    again = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(again.predict_proba(features), ours.predict_proba(features))
    fresh = clone(ours)
    assert fresh.get_params() == ours.get_params()
    assert not hasattr(fresh, "head_")


def test_two_classes(iris):
    """The sign of the decision function is the class."""
    features, labels = iris[0][50:], iris[1][50:]
    ours = quick("mlp").fit(features, labels)
    decision = ours.decision_function(features)
    assert decision.shape == (100,)
    np.testing.assert_array_equal(np.where(decision > 0, 2, 1), ours.predict(features))
    np.testing.assert_allclose(
        1 / (1 + np.exp(-decision)), ours.predict_proba(features)[:, 1], rtol=1e-9
    )


def test_search_over_head_and_options(iris):
    """A grid reaches the head, and the head's own options inside a pipeline."""
    pipe = make_pipeline(MinMaxScaler(), quick(steps=12))
    name = "featureclassifier"
    grid = [
        {f"{name}__head": ["linear"]},
        {f"{name}__head": ["pqc"], f"{name}__head__num_qubits": [1, 3]},
    ]
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(*iris)
    assert len(search.cv_results_["params"]) == 3
    pipe.set_params(featureclassifier__head__num_qubits=3)
    fitted = pipe.fit(*iris)[-1]
    assert fitted.get_params()["head__num_qubits"] == 3
    assert fitted.head_.block.qnn.circuit.num_qubits == 3
    scores = cross_val_score(quick("linear"), *iris, cv=3, scoring="roc_auc_ovr")
    assert scores.min() > 0.9


def test_options_of_a_config():
    """A config is taken as it is, and options win over it."""
    ours = FeatureClassifier(head_config("pqc", num_qubits=3, num_layers=5))
    ours.set_params(head__num_layers=1)
    params = ours.get_params()
    assert (params["head__num_qubits"], params["head__num_layers"]) == (3, 1)


def test_modules_and_what_makes_them(iris):
    """A module begins with its own weights and is left as it was; a class is called."""
    features, labels = iris
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3))
    before = module[0].weight.detach().clone()
    ours = quick(module).fit(features, labels)
    torch.testing.assert_close(module[0].weight.detach(), before, rtol=0, atol=0)
    assert ours.score(features, labels) > 0.8
    assert ours.head_[0].weight.dtype == torch.float32
    assert clone(ours).fit(features, labels).score(features, labels) == ours.score(features, labels)

    first, second = (quick(nn.Linear).fit(features, labels) for _ in range(2))
    torch.testing.assert_close(first.head_.weight, second.head_.weight, rtol=0, atol=0)


def test_closed_form(iris):
    """A head with a `fit` of its own is asked once, and no step is taken."""
    features, labels = iris
    ours = FeatureClassifier(NearestMean, standardize=False).fit(features, labels)
    means = np.stack([features[labels == k].mean(0) for k in range(3)])
    np.testing.assert_allclose(ours.head_.means.numpy(), means, rtol=1e-6)
    distances = np.linalg.norm(features[:, None] - means, axis=2)
    np.testing.assert_array_equal(ours.predict(features), distances.argmin(1))


def test_head_of_a_package_of_ones_own(monkeypatch, tmp_path, iris):
    """`package.module:entry`, here of a kernel machine, with its own option."""
    contract = Path(__file__).parents[1] / "contract"
    shutil.copy(contract / "kernel_machine.py", tmp_path / "my_kernels.py")
    monkeypatch.syspath_prepend(tmp_path)
    features, labels = iris
    ours = FeatureClassifier("my_kernels:KERNEL", head_options={"ridge": 0.5})
    head = ours.fit(features, labels).head_
    gram = head._kernel(head.support, head.support) + 0.5 * torch.eye(150)
    torch.testing.assert_close(gram @ head.alpha, torch.eye(3).double()[labels])
    assert ours.score(features, labels) > 0.4
    sys.modules.pop("my_kernels", None)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"head": "pcq"}, "got 'pcq': did you mean 'pqc'"),
        ({"head": 3}, "a head's name, its config, a torch module or what makes one, got 3"),
        ({"head": lambda features, classes: None}, "got None"),
        ({"head_options": {"qubits": 2}}, "got `qubits`: did you mean `num_qubits`"),
        ({"head_options": {"num_qubits": 99}}, "num_qubits"),
        ({"head_options": 2}, "by name, got 2"),
        ({"head": nn.Linear(4, 3), "head_options": {"num_qubits": 2}}, "only with the name"),
        ({"head": nn.Linear(4, 2)}, r"logits \(2, 3\), got \(2, 2\)"),
        ({"head": nn.Linear(5, 3)}, "shapes cannot be multiplied"),
        ({"head": nn.Flatten(), "head_options": None}, "logits"),
        ({"steps": 1}, "`steps` as an integer of at least 2, got 1"),
        ({"steps": 2.5}, "`steps` as an integer of at least 2, got 2.5"),
        ({"learning_rate": -1.0}, "`learning_rate` as a number of at least 0.0, got -1.0"),
        ({"backend": "statvector"}, "did you mean 'statevector'"),
    ],
)
def test_one_line_for_what_is_wrong(iris, params, words):
    """Told by `fit`, not before."""
    ours = FeatureClassifier(**params)
    with pytest.raises(HybridqError, match=words) as caught:
        ours.fit(*iris)
    assert "\n" not in str(caught.value)


def test_nothing_to_train(iris):
    """A module without weights and without a `fit` cannot learn."""

    class Three(nn.Module):
        def forward(self, features):
            return features[:, :3]

    with pytest.raises(InvalidValueError, match="weights to train or a `fit`, got Three"):
        FeatureClassifier(Three()).fit(*iris)


def test_one_class(iris):
    with pytest.raises(InvalidValueError, match="at least two classes, got one class"):
        FeatureClassifier("linear").fit(iris[0], np.zeros(150))
