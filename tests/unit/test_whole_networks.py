"""Recipes of whole networks: the head first, and learning rates that fall towards the stem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hybridq.config import FinetuneConfig
from hybridq.data import load_data
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.records.findings import read_findings
from hybridq.training import finetune as finetune_module
from hybridq.training.finetune import finetune
from hybridq.training.heads.head import train_head, train_head_first
from hybridq.training.initial import Handed, initial_model
from hybridq.training.objectives.supervised import Supervised
from hybridq.training.optimizer import decay_groups, stage_groups, stages_of
from hybridq.utils.files import read_jsonl

DATA = "phantom,size=16,count=60"


class Stop(BaseException):
    """A kill: nothing may catch it."""


def small() -> Encoder:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1))
    return Encoder(EncoderSpec(image_size=16, weights="own"), network=network)


def config_of(**fields: object) -> FinetuneConfig:
    usual = {"data": DATA, "head": "mlp", "epochs": 2, "batch_size": 8, "probe_steps": 12}
    return FinetuneConfig(**{**usual, **fields})


def objective_of(config: FinetuneConfig) -> Supervised:
    data = load_data(DATA, splits=("train", "val"))
    model = initial_model(config, data, Handed(encoder=small()))
    return Supervised(config, model, data.splits["train"], data)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


def test_the_head_is_trained_first_and_the_encoder_does_not_move():
    objective = objective_of(config_of())
    model = objective.model
    modes = [part.training for part in model.modules()]
    encoder, head = state(model.encoder), state(model.head)
    features = objective.features_of(objective.train_inputs)
    before = objective.criterion(model.head(features), objective.train_labels).item()
    head = state(model.head)
    train_head_first(objective)
    assert same(encoder, state(model.encoder))  # running statistics too
    assert not same(head, state(model.head))
    assert [part.training for part in model.modules()] == modes
    assert all(weight.grad is None for weight in model.parameters())
    with torch.no_grad():
        after = objective.criterion(model.head.eval()(features), objective.train_labels).item()
    assert after < before


def test_the_head_is_that_of_a_training_on_frozen_features():
    objective, other = objective_of(config_of(seed=3)), objective_of(config_of(seed=3))
    train_head_first(objective)
    config = other.config
    train_head(
        other.model.head,
        other.features_of(other.train_inputs),
        other.train_labels,
        num_classes=2,
        steps=12,
        learning_rate=config.head_rate,
        block_learning_rate=config.quantum_learning_rate,
        weight_decay=config.weight_decay,
        seed=3,
        batch_size=8,
    )
    assert same(state(objective.model.head), state(other.model.head))


def test_random_numbers_of_others_stay_as_they_are():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train_head_first(objective_of(config_of()))
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), expected)


def files_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "model").glob("*.safetensors")}


@pytest.mark.parametrize("step", [0, 6], ids=["before a checkpoint", "after one"])
def test_a_stopped_training_ends_as_a_whole_one(tmp_path, monkeypatch, step):
    runs, calls = [tmp_path / "whole", tmp_path / "stopped"], []
    config = config_of(layer_decay=0.7, checkpoint_every=1, head_start="regression")
    whole = finetune(config.model_copy(update={"runs": runs[0]}), Handed(encoder=small()))
    original = Supervised.loss

    def loss(self, batch, where):
        calls.append(where)
        if len(calls) == step + 1:
            raise Stop
        return original(self, batch, where)

    with monkeypatch.context() as patch:
        patch.setattr(Supervised, "loss", loss)
        with pytest.raises(Stop):
            finetune(config.model_copy(update={"runs": runs[1]}), Handed(encoder=small()))
    (begun,) = (runs[1] / "finetune").iterdir()
    probed, started = [], []
    first, start = finetune_module.train_head_first, finetune_module.start_head
    monkeypatch.setattr(finetune_module, "train_head_first", lambda one: probed.append(first(one)))
    monkeypatch.setattr(finetune_module, "start_head", lambda *own: started.append(start(*own)))
    finetune(FinetuneConfig(resume=begun), Handed(encoder=small()))
    assert len(probed) == len(started) == (step == 0)
    assert files_of(begun) == files_of(whole)
    losses = [[row["loss"] for row in read_jsonl(run / "metrics.jsonl")] for run in (begun, whole)]
    assert losses[0] == losses[1]
    assert read_findings(whole).sentences[2:] == [
        "The head began at a regression on the labelled features.",
        "The head alone was trained first, for 12 steps.",
    ]


@pytest.mark.parametrize("fields", [{"probe_steps": 5}, {"probe_steps": 0, "layer_decay": 0.5}])
def test_recipes_of_the_encoder_need_one_that_is_trained(tmp_path, fields):
    with pytest.raises(InvalidValueError, match="got --freeze-encoder"):
        finetune(config_of(freeze_encoder=True, runs=tmp_path, **fields))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "count"), [("mobilenet_v2", 19), ("resnet18", 5)])
def test_stages_hold_every_weight_once_from_the_stem_to_the_top(name, count):
    encoder = Encoder(EncoderSpec(architecture=name, image_size=32))
    stages = stages_of(encoder)
    assert len(stages) == count
    flat = [weight for stage in stages for weight in stage]
    assert list(map(id, flat)) == list(map(id, encoder.parameters()))
    assert all(any(weight.ndim > 1 for weight in stage) for stage in stages)


class Tokens(nn.Module):
    """A network with a weight of its own, and one that two of its parts share."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 3))
        self.embed, self.block, self.top = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.block.weight = self.embed.weight


def test_weights_in_no_part_belong_to_the_stem_and_shared_ones_to_the_lowest():
    network = Tokens()
    shapes = [[tuple(weight.shape) for weight in stage] for stage in stages_of(network)]
    assert shapes == [[(1, 3), (3, 3), (3,), (3,)], [(3, 3), (3,)]]
    assert stages_of(nn.Linear(2, 2))[0][0].shape == (2, 2)
    assert stages_of(nn.ReLU()) == [[]]


def test_rates_fall_from_the_top_to_the_stem():
    encoder = Encoder(EncoderSpec(architecture="resnet18", image_size=32))
    groups = stage_groups(encoder, learning_rate=0.8, weight_decay=0.1, layer_decay=0.5)
    rate_of = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    decay_of = {id(weight): group["weight_decay"] for group in groups for weight in group["params"]}
    children = dict(encoder.features.named_children())
    expected = {"7": 0.8, "6": 0.4, "5": 0.2, "4": 0.1, "1": 0.05, "0": 0.05}
    for name, rate in expected.items():
        assert {rate_of[id(weight)] for weight in children[name].parameters()} == {rate}
    for weight in encoder.parameters():
        assert decay_of[id(weight)] == (0.1 if weight.ndim > 1 else 0.0)
    assert len(rate_of) == sum(1 for _ in encoder.parameters())


def test_without_decay_the_groups_are_those_of_before():
    encoder = small()
    ours = stage_groups(encoder, learning_rate=0.8, weight_decay=0.1, layer_decay=1.0)
    theirs = decay_groups(encoder, learning_rate=0.8, weight_decay=0.1)
    for one, other in zip(ours, theirs, strict=True):
        assert list(map(id, one["params"])) == list(map(id, other["params"]))
        assert (one["lr"], one["weight_decay"]) == (other["lr"], other["weight_decay"])


def test_the_training_takes_the_rates():
    encoder = Encoder(EncoderSpec(architecture="resnet18", image_size=16))
    data = load_data(DATA, splits=("train", "val"))
    config = config_of(layer_decay=0.5, learning_rate=0.8, head_learning_rate=0.3)
    model = initial_model(config, data, Handed(encoder=encoder))
    optimizer, _ = Supervised(config, model, data.splits["train"], data).optimizer(10, 2)
    peaks = np.array([group["max_lr"] for group in optimizer.param_groups])
    assert peaks[0] == 0.8
    assert sorted(set(peaks)) == pytest.approx([0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.8])
    assert [peak for peak in peaks if peak != 0.01][-1] == 0.3
