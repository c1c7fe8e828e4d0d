"""Heads that begin at a penalised regression on the labelled features."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from hybridq.config import EncoderConfig, FinetuneConfig, head_config
from hybridq.data import load_data
from hybridq.errors import InvalidValueError
from hybridq.evaluation.metrics.scores import auc
from hybridq.models.checkpoint import load_model
from hybridq.models.classifier import HybridClassifier
from hybridq.models.heads import HEADS, build_head
from hybridq.training.feature_classifier import FeatureClassifier
from hybridq.training.finetune import finetune
from hybridq.training.heads import head_start
from hybridq.training.heads.head import head_probs
from hybridq.training.heads.head_start import (
    MOST_IMAGES,
    Regression,
    begin_at_regression,
    can_begin_at_regression,
    labelled_regression,
)
from hybridq.training.initial import Handed, initial_model
from hybridq_backends import open_backend

WIDTH = 60


def drawn(classes, images=400, seed=0):
    """Features with a weak signal in a few of many directions, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    signal = rng.normal(size=(classes, WIDTH))
    return 0.35 * signal[labels] + rng.normal(size=(images, WIDTH)), labels


def begun(name, classes, features, regression, labelled, **more):
    with open_backend("statevector") as backend:
        head = build_head(
            WIDTH,
            classes,
            head_config(name, **more),
            backend=backend,
            generator=torch.Generator().manual_seed(3),
        )
        begin_at_regression(head, regression, features, labelled)
        with torch.no_grad():
            logits = head.eval()(features).double().numpy()
        return head, logits, head_probs(head, features, multilabel=False)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_heads_rank_as_the_regression_does(classes):
    points, labels = drawn(classes)
    few = np.arange(40)
    regression = labelled_regression(points[few], labels[few], classes)
    logits = regression.logits(points)
    wanted = auc(labels[40:], _softmax(logits)[40:])
    assert wanted > 0.75
    features = torch.from_numpy(points.astype(np.float32))
    for name in ("pqc", "mlp", "identity", "low_rank", "trig", "linear", "pqc_residual"):
        _, found, probs = begun(name, classes, features, regression, few)
        assert auc(labels[40:], probs[40:]) == pytest.approx(wanted, abs=0.03), name
        if name in ("linear", "pqc_residual"):
            np.testing.assert_allclose(found, logits, atol=1e-4)
        if name == "low_rank" and classes <= 4:  # linear in the features, through batch norm
            np.testing.assert_allclose(found, logits, atol=2e-3)


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_drawn_head_does_not():
    """What the start is worth: the same head as it is drawn knows nothing."""
    points, labels = drawn(3)
    with open_backend("statevector") as backend:
        head = build_head(WIDTH, 3, head_config("pqc"), backend=backend)
        features = torch.from_numpy(points.astype(np.float32))
        assert auc(labels, head_probs(head.eval(), features, multilabel=False)) < 0.7


def test_the_regression_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    points, labels = drawn(3)
    regression = labelled_regression(points[:50], labels[:50], 3, seed=1)
    fits = [
        LogisticRegression(C=c, max_iter=2000, class_weight="balanced").fit(
            points[:50], labels[:50]
        )
        for c in (1e-4, 1e-3, 1e-2, 1e-1)
    ]
    distance = [
        np.abs(one.decision_function(points) - regression.logits(points)).max() for one in fits
    ]
    assert min(distance) < 0.01
    moved = 3.0 + 2.0 * points
    raw = regression.before(np.full(WIDTH, 3.0), np.full(WIDTH, 2.0))
    np.testing.assert_allclose(raw.logits(moved), regression.logits(points))


def test_two_classes_take_one_row_and_leave_the_others():
    points, labels = drawn(2)
    few, features = np.arange(30), torch.from_numpy(points.astype(np.float32))
    regression = labelled_regression(points[few], labels[few], 2)
    with open_backend("statevector") as backend:
        as_drawn = build_head(
            WIDTH,
            2,
            head_config("pqc"),
            backend=backend,
            generator=torch.Generator().manual_seed(3),
        )
    head, *_ = begun("pqc", 2, features, regression, few)
    rows, before = head.reducer.linear.weight, as_drawn.reducer.linear.weight
    assert torch.equal(rows[1:], before[1:])
    torch.testing.assert_close(rows[0].norm(), before[0].norm())
    across = np.corrcoef(rows[0].detach().numpy(), regression.weight[1])[0, 1]
    assert across == pytest.approx(1, abs=1e-5)
    for own, drawn_one in zip(head.block.parameters(), as_drawn.block.parameters(), strict=True):
        assert torch.equal(own, drawn_one)


def test_frozen_reducers_stay_and_the_classifier_is_fitted():
    points, labels = drawn(3)
    few, features = np.arange(60), torch.from_numpy(points.astype(np.float32))
    regression = labelled_regression(points[few], labels[few], 3)
    head, logits, _ = begun("pqc", 3, features, regression, few, reducer="random")
    other, *_ = begun(
        "pqc", 3, features, Regression(-regression.weight, regression.bias), few, reducer="random"
    )
    assert torch.equal(head.reducer.linear.weight, other.reducer.linear.weight)
    gain = np.corrcoef(logits.ravel(), regression.logits(points).ravel())[0, 1]
    assert gain > 0.2


def test_a_class_without_labels_is_never_chosen():
    points, labels = drawn(4)
    few = np.flatnonzero(labels != 2)[:40]
    regression = labelled_regression(points[few], labels[few], 4)
    logits = regression.logits(points)
    assert not (logits.argmax(axis=1) == 2).any()
    features = torch.from_numpy(points.astype(np.float32))
    _, found, _ = begun("mlp", 4, features, regression, few)
    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == 2).mean() < 0.02


def test_several_labels_an_image():
    rng = np.random.default_rng(5)
    points = rng.normal(size=(300, WIDTH))
    labels = np.stack([points[:, 0] > 0, points[:, 1] > 0.5, np.ones(300)], axis=1).astype(int)
    few = np.arange(80)
    regression = labelled_regression(points[few], labels[few], 3)
    logits = regression.logits(points)
    assert (logits[:, 2] > 0).all()
    features = torch.from_numpy(points.astype(np.float32))
    _, found, _ = begun("mlp", 3, features, regression, few)
    for k in range(2):
        own = auc(labels[:, k], _softmax(np.stack([-found[:, k], found[:, k]], axis=1)))
        wanted = auc(labels[:, k], _softmax(np.stack([-logits[:, k], logits[:, k]], axis=1)))
        assert own == pytest.approx(wanted, abs=0.03)


def test_many_labels_are_thinned():
    points, labels = drawn(2, images=MOST_IMAGES + 300)
    one = labelled_regression(points, labels, 2, seed=4)
    other = labelled_regression(points, labels, 2, seed=4)
    assert np.array_equal(one.weight, other.weight)
    every = labelled_regression(points[: MOST_IMAGES - 50], labels[: MOST_IMAGES - 50], 2, seed=4)
    across = np.corrcoef(one.logits(points)[:, 1], every.logits(points)[:, 1])[0, 1]
    assert 0.9 < across < 1


@pytest.mark.parametrize("classes", [2, 3])
def test_a_rare_class_is_not_thinned_away(classes):
    points, labels = drawn(classes, images=2 * MOST_IMAGES)
    rare = np.flatnonzero(labels == 1)
    kept = np.setdiff1d(np.arange(len(labels)), rare[2:])
    for seed in range(5):
        found = labelled_regression(points[kept], labels[kept], classes, seed=seed)
        assert np.abs(found.weight[1]).max() > 0


def test_labels_of_one_class_name_it():
    """A fold of cross-validation may have no image of a class."""
    points, _ = drawn(3)
    regression = labelled_regression(points[:20], np.full(20, 2), 3)
    features = torch.from_numpy(points.astype(np.float32))
    _, found, _ = begun("pqc", 3, features, regression, np.arange(20))
    assert (found.argmax(axis=1) == 2).all()


def test_one_label_of_each_class_is_enough():
    points, labels = drawn(3)
    rows = [int(np.flatnonzero(labels == k)[0]) for k in range(3)]
    regression = labelled_regression(points[rows], labels[rows], 3)
    assert (regression.logits(points[rows]).argmax(axis=1) == labels[rows]).all()


def test_groups_stay_together(monkeypatch):
    seen = []
    cut = head_start.folds_of
    monkeypatch.setattr(
        head_start, "folds_of", lambda *args, **more: seen.append(args[1]) or cut(*args, **more)
    )
    points, labels = drawn(2, images=60)
    groups = np.arange(60) // 3
    labelled_regression(points, labels, 2, groups=groups)
    assert seen[0] is groups


def test_heads_without_a_classifier_are_refused():
    class Own(nn.Module):
        def forward(self, features):
            return features[:, :2]

    assert not can_begin_at_regression(Own(), 2)
    points, labels = drawn(2)
    regression = labelled_regression(points, labels, 2)
    with pytest.raises(InvalidValueError, match=r"linear `classifier`.* got Own"):
        begin_at_regression(Own(), regression, torch.zeros(4, WIDTH), np.arange(4))


class Scaled(nn.Module):
    """A head whose classifier is not its end."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(WIDTH, 2)

    def forward(self, features):
        return 3 * self.classifier(features)


def test_a_classifier_that_is_not_the_end_is_refused():
    points, labels = drawn(2)
    regression = labelled_regression(points, labels, 2)
    with pytest.raises(InvalidValueError, match=r"ends in a linear `classifier`.* got Scaled"):
        begin_at_regression(Scaled(), regression, torch.zeros(4, WIDTH), np.arange(4))


def test_all_heads_of_the_package_that_are_trained_can_begin_so():
    with open_backend("statevector") as backend:
        trained = [name for name, one in HEADS.items() if not one.fitted]
        for name in (name for name in trained if HEADS[name].input == "vector"):
            config = head_config(name)
            head = build_head(WIDTH, 2, config, backend=backend)
            assert can_begin_at_regression(head, 2), name
            assert not can_begin_at_regression(head, 3), name


DATA = "phantom,finding=texture,size=16,count=120"


def trained(tmp_path, name, **fields):
    usual = {"data": DATA, "runs": tmp_path, "name": name, "epochs": 1, "batch_size": 16}
    usual |= {"encoder": EncoderConfig(name="resnet18"), "image_size": 16}
    return finetune(FinetuneConfig(**{**usual, "head": "mlp", "freeze_encoder": True, **fields}))


@pytest.mark.usefixtures("isolated", "single_thread")
def test_finetune_begins_there(tmp_path):
    """Rates of nearly nothing leave the start, which is better than the head as it is drawn."""
    still = {
        "learning_rate": 1e-9,
        "head_learning_rate": 1e-9,
        "quantum_learning_rate": 1e-9,
        "augment": {"crop_min": 1.0, "horizontal_flip": False, "rotation": 0.0, "jitter": 0.0},
    }
    train = load_data(DATA, splits=("train",)).splits["train"]

    def area(start):
        run = trained(tmp_path, start, head_start=start, **still)
        with open_backend("statevector") as backend:
            model, _ = load_model(run, backend=backend)
        with torch.inference_mode():
            logits = model(model.encoder.prepare(torch.from_numpy(train.images)))
        return auc(train.labels, torch.softmax(logits.double(), dim=1).numpy())

    begun, drawn_one = area("regression"), area("random")
    assert begun > drawn_one
    assert begun > 0.8


@pytest.mark.usefixtures("isolated", "single_thread")
def test_a_noisy_backend_is_not_asked(tmp_path, monkeypatch):
    """The readout is fitted to exact values, and jobs are paid for by training alone."""
    asked, begin = [], head_start.begin_at_regression

    def watched(head, *args):
        asked.append(head.block.backend.describe()["profile"])
        begin(head, *args)

    monkeypatch.setattr(head_start, "begin_at_regression", watched)
    trained(tmp_path, "noisy", head="pqc", backend="fake_manila", head_start="regression")
    assert asked == ["statevector"]


class Maps(nn.Module):
    """A head that takes feature maps."""

    input = "map"

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(24, 2)


@pytest.mark.usefixtures("isolated")
def test_what_cannot_begin_there_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="without --start"):
        settled(start=tmp_path / "run")
    with pytest.raises(InvalidValueError, match="trained from scratch"):
        settled(freeze_encoder=False)
    with pytest.raises(InvalidValueError, match="linear `classifier`"):
        settled(module=nn.Flatten())
    with pytest.raises(InvalidValueError, match="takes feature maps"):
        settled(module=Maps())


@pytest.mark.usefixtures("isolated")
def test_where_a_head_begins_unless_it_is_said(tmp_path, monkeypatch):
    """At a regression on a frozen encoder, with a rate by the labels; weights there are kept."""
    few = {"labelled": 299}
    assert settled(head_start="auto", **few) == ("regression", 1e-4)
    assert settled(head_start="auto", labelled=300) == ("regression", 1e-3)
    assert settled(head_start="auto", head_learning_rate=0.2, **few) == ("regression", 0.2)
    assert settled(head_start="random", **few) == ("random", 5e-3)
    own = {"head_start": "auto", **few}
    assert settled(freeze_encoder=False, **own) == ("random", 5e-3)
    assert settled(start=tmp_path / "run", **own) == ("random", 5e-3)
    assert settled(module=nn.Linear(1280, 2), **own) == ("random", 5e-3)
    monkeypatch.setattr(head_start, "HEADS", {})  # a head of somebody else's
    assert settled(**own) == ("random", 5e-3)


@pytest.mark.usefixtures("isolated", "single_thread")
def test_a_run_records_where_its_head_began(tmp_path):
    run = trained(tmp_path, "as-usual")
    config = json.loads((run / "config.json").read_text())
    assert (config["head_start"], config["head_learning_rate"]) == ("regression", 1e-4)
    said = trained(tmp_path, "as-said", head_start="regression", head_learning_rate=1e-4)
    weights = [(one / "model" / "model.safetensors").read_bytes() for one in (run, said)]
    assert weights[0] == weights[1]


def settled(*, module=None, freeze_encoder=True, labelled=96, **fields):
    """Settle start and rate of a head on a MobileNetV2 of small images."""
    fields = {"head": "mlp", "head_start": "regression", **fields}
    fields |= {"data": DATA, "image_size": 16, "freeze_encoder": freeze_encoder}
    config = FinetuneConfig(**fields)
    data = load_data(DATA, splits=("train", "val"))
    with_head = config.model_copy(update={"start": None})
    model = initial_model(with_head, data, Handed())
    if module is not None:
        model = HybridClassifier(model.encoder, module, takes=getattr(module, "input", "vector"))
    found = head_start.settled(
        config,
        model,
        labelled=labelled,
        num_classes=data.num_classes,
        own=module is not None,
    )
    return found.head_start, found.head_learning_rate


def test_a_feature_classifier_begins_there():
    points, labels = drawn(3)
    still = {"learning_rate": 0.0, "quantum_learning_rate": 0.0, "weight_decay": 0.0}
    few = slice(40)
    for head in ("pqc", "linear"):
        areas = {
            start: auc(
                labels[40:],
                FeatureClassifier(head, head_start=start, steps=2, **still)
                .fit(points[few], labels[few])
                .predict_proba(points[40:]),
            )
            for start in ("random", "regression")
        }
        assert areas["regression"] > max(0.8, areas["random"] + 0.1), head
    with pytest.raises(InvalidValueError, match="ends in a linear `classifier`"):
        FeatureClassifier(nn.Sequential(nn.Linear(WIDTH, 3)), head_start="regression").fit(
            points, labels
        )
    with pytest.raises(InvalidValueError, match="`head_start` as 'random' or 'regression', got 3"):
        FeatureClassifier(head_start=3).fit(points, labels)
