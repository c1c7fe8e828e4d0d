"""What a pretraining says of its features on the way, and at its end."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import hybridq as hq
from hybridq.config import PretrainConfig
from hybridq.data import UNLABELLED, ImageSplit
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.records.findings import read_findings
from hybridq.training.callbacks.monitor import COST, FeatureMonitor
from hybridq.training.objectives.self_supervised import SelfSupervised
from hybridq.training.pretraining.representation import has_collapsed, knn_auc, spread
from hybridq.training.pretraining.rest import still_moving
from hybridq.utils.files import read_jsonl
from hybridq.utils.ranks import rank_me

RNG = np.random.default_rng(0)


def test_rank_me_counts_the_directions_in_use():
    left, _ = np.linalg.qr(RNG.normal(size=(50, 3)))
    right, _ = np.linalg.qr(RNG.normal(size=(7, 3)))
    assert rank_me(np.eye(5)) == pytest.approx(5)
    assert rank_me(np.outer(np.arange(1.0, 9), [1, 2, 3])) == pytest.approx(1)
    assert rank_me(np.zeros((4, 3))) == 0
    # Shares of a quarter, a quarter and a half have an entropy of 1.5 bits.
    assert rank_me(left * [1, 1, 2] @ right.T) == pytest.approx(2**1.5)
    assert rank_me(np.ones((6, 4)) + 1e-6 * RNG.normal(size=(6, 4))) < 1.01  # it is not centred


def test_the_spread_is_one_in_all_directions_and_zero_in_one_point():
    assert spread(RNG.normal(size=(2000, 200))) == pytest.approx(1, abs=0.02)
    assert spread(np.outer(np.arange(1.0, 9), [1.0, 2, 3])) == pytest.approx(0, abs=1e-12)
    assert spread(np.zeros((3, 2))) == 0


@pytest.mark.parametrize(
    ("rankme", "apart", "told"), [(1.2, 0.5, True), (40, 0.001, True), (40, 0.5, False)]
)
def test_features_collapse_to_a_direction_or_a_point(rankme, apart, told):
    assert has_collapsed({"rankme": rankme, "spread": apart}) is told


def split_of(labels, groups=None) -> ImageSplit:
    images = np.zeros((len(labels), 8, 8, 1), np.uint8)
    return ImageSplit(images, np.asarray(labels), tuple(map(str, range(len(labels)))), groups)


def test_neighbours_name_the_classes_of_features_that_lie_apart():
    labels = np.arange(90) % 3
    apart = np.eye(3)[labels] + 0.01 * RNG.normal(size=(90, 3))
    assert knn_auc(apart, split_of(labels), seed=0) == 1
    some = np.where(np.arange(90) < 45, UNLABELLED, labels)
    assert knn_auc(apart, split_of(some), seed=0) == 1
    noise = RNG.normal(size=(600, 8))
    assert knn_auc(noise, split_of(np.arange(600) % 2), seed=0) == pytest.approx(0.5, abs=0.1)


def test_neighbours_are_none_of_the_same_group():
    """Features that tell patients apart, and nothing of their classes."""
    patients = np.repeat(np.arange(20), 30)
    features = RNG.normal(size=(20, 16))[patients]
    labels = patients % 2
    assert knn_auc(features, split_of(labels), seed=0) > 0.99
    groups = np.char.mod("p%d", patients)
    assert knn_auc(features, split_of(labels, groups), seed=0) < 0.8


def test_neighbours_need_images_of_two_classes_in_each_fold():
    assert np.isnan(knn_auc(np.eye(8), split_of([0] * 8), seed=0))
    assert np.isnan(knn_auc(np.eye(8), split_of([0] * 4 + [1] * 4), seed=0))
    assert np.isnan(knn_auc(np.eye(8), split_of([UNLABELLED] * 8), seed=0))


def rows(losses, ranks=None) -> list[dict[str, float]]:
    found = [{"epoch": number, "loss": loss} for number, loss in enumerate(losses)]
    for number, rank in (ranks or {}).items():
        found[number]["rankme"] = rank
    return found


def test_a_loss_that_still_falls_is_told():
    told = still_moving(rows(range(8, 0, -1)))  # from 3 to 1, of 8 to 1
    assert told is not None
    assert "the loss fell by 29% of its whole fall." in told


@pytest.mark.parametrize(("pace", "told"), [(1.5, True), (3, False)])
def test_a_loss_that_approaches_its_floor_is_told_while_it_is_far_from_it(pace, told):
    """Of losses that fall exponentially in the sum of the learning rates of a cosine."""
    done = (np.arange(800) + 0.5) / 800
    way = done + np.sin(np.pi * done) / np.pi  # from 0 to 1
    assert (still_moving(rows((1 + np.exp(-pace * way)).tolist())) is not None) is told


def test_a_rank_that_still_rises_is_told():
    flat = [5, 3, *[1] * 14]
    told = still_moving(rows(flat, {9: 50, 11: 100, 13: 110, 15: 120}))
    assert told is not None
    assert told.endswith("over the last quarter RankMe rose by 20%.")
    assert still_moving(rows(flat, {11: 100, 15: 104})) is None


@pytest.mark.parametrize(
    "losses",
    [
        [5 * np.exp(-k / 10) + 1 for k in range(100)],
        [1.0] * 16,
        list(range(7, 0, -1)),
        [1, 2, 3, 4, 5, 6, 7, 6.5],
    ],
    ids=["saturated", "constant", "short", "rising"],
)
def test_nothing_is_said_of_a_run_that_is_done(losses):
    assert still_moving(rows(losses)) is None


def objective(count: int, **fields: object) -> SelfSupervised:
    encoder = Encoder(EncoderSpec(image_size=8), network=nn.Conv2d(3, 4, 3))
    images = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    return SelfSupervised(PretrainConfig(**fields), encoder, images)


@pytest.mark.parametrize(
    ("count", "batch", "epochs"), [(546, 128, 500), (5000, 64, 40), (60, 8, 30), (24, 128, 2000)]
)
def test_looks_are_few_and_cheap(count, batch, epochs):
    monitor = FeatureMonitor(objective(count, batch_size=batch))
    steps = max(1, count // batch)
    every = monitor.every(epochs, steps)
    assert 512 >= len(monitor.sample) == len(set(monitor.sample.tolist())) == min(512, count)
    assert epochs // every <= 10
    # A look is a forward pass of the sample, and a step six of its batch.
    assert len(monitor.sample) <= COST * 6 * batch * steps * every


def dark_squares() -> hq.ImageData:
    images = RNG.integers(0, 256, (80, 12, 12), dtype=np.uint8)
    images[::2, 3:9, 3:9] //= 4
    return hq.ImageData.from_arrays(images, ["square", "none"] * 40)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2))


def test_a_look_changes_nothing_and_reads_no_label(tmp_path, monkeypatch):
    data, weights, figures = dark_squares(), [], []
    train = data.splits["train"]
    flipped = replace(data, splits={"train": replace(train, labels=1 - train.labels)})
    for number, given in enumerate((data, flipped, data)):
        if number == 2:
            monkeypatch.setattr(FeatureMonitor, "on_train_epoch_end", lambda *_: None)
        runs = tmp_path / str(number)
        encoder = hq.pretrain(given, small(), epochs=3, batch_size=8, runs=runs)
        weights.append(torch.cat([one.flatten() for one in encoder.parameters()]))
        (run,) = (runs / "pretrain").iterdir()
        figures.append([row.get("rankme") for row in read_jsonl(run / "metrics.jsonl")])
    assert torch.equal(weights[0], weights[2])
    assert figures[0] == figures[1]
    assert figures[0][:2] == figures[2][:2] == [None, None]
    assert 1 < figures[0][2] <= 8
    assert figures[2][2] is None


def test_labels_are_read_where_a_probe_is_asked_for(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", category=UserWarning, lineno=0)
        hq.pretrain(dark_squares(), small(), epochs=2, batch_size=8, probe=True, runs=tmp_path)
    (run,) = (tmp_path / "pretrain").iterdir()
    last = read_jsonl(run / "metrics.jsonl")[-1]
    assert 0 <= last["knn_auc"] <= 1
    titles = [curve.title for curve in read_findings(run).curves]
    assert titles == ["loss of the method", "RankMe", "AUC of neighbours"]


def test_a_probe_needs_one_label_of_each_image():
    images = RNG.integers(0, 256, (40, 12, 12), dtype=np.uint8)
    part = images, RNG.integers(0, 2, (40, 3))
    several = hq.ImageData.from_arrays(train=part, val=part)
    for data, got in ((images, "images without labels"), (several, "several labels of an image")):
        with pytest.raises(InvalidValueError, match=f"for --probe, got {got}"):
            hq.pretrain(data, small(), epochs=1, probe=True)


def test_features_that_collapse_are_told_once(caplog):
    network = small()
    nn.init.zeros_(network[1].weight)
    hq.pretrain(dark_squares(), network, epochs=60, batch_size=8, learning_rate=1e-9)
    assert caplog.text.count("features of 56 images have collapsed (RankMe 0.00") == 1
