"""How long a pretraining is, in steps and in whole epochs."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from hybridq.config import AugmentConfig, PretrainConfig
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.runs.folder import read_config
from hybridq.training.compute import processes_of
from hybridq.training.objectives.self_supervised import SelfSupervised
from hybridq.training.pretrain import pretrain
from hybridq.training.pretraining.budget import epochs_of, warmup_steps, with_steps


@pytest.mark.parametrize(
    ("images", "steps"), [(24, 2000), (3655, 2000), (4709, 2354), (10**6, 10_000)]
)
def test_the_usual_budget_grows_with_the_set_between_two_bounds(images, steps):
    assert with_steps(PretrainConfig(), images).steps == steps


def test_what_is_asked_for_stays():
    for asked in PretrainConfig(epochs=3), PretrainConfig(steps=7):
        assert with_steps(asked, 1000) == asked


@pytest.mark.parametrize(
    ("images", "batch", "processes", "epochs", "of_epoch"),
    [
        (546, 128, 1, 500, 4),
        (546, 128, 2, 1000, 2),
        (24, 128, 1, 2000, 1),
        (10**6, 128, 1, 1, 7812),
    ],
)
def test_whole_epochs_are_made_of_the_steps(images, batch, processes, epochs, of_epoch):
    config = PretrainConfig(steps=2000, batch_size=batch)
    assert epochs_of(config, images, processes) == (epochs, of_epoch)
    assert epochs_of(PretrainConfig(epochs=5, batch_size=batch), images, processes) == (5, of_epoch)


def test_the_warm_up_is_a_small_share_of_the_run():
    assert warmup_steps(PretrainConfig(), 800, 200) == 40
    assert warmup_steps(PretrainConfig(), 10_000, 100) == 100
    assert warmup_steps(PretrainConfig(warmup_steps=30), 800, 200) == 30
    assert warmup_steps(PretrainConfig(warmup_steps=30), 40, 10) == 10


def test_a_config_of_an_earlier_version_has_the_epochs_and_the_warm_up_of_then():
    own = {"epochs": 200, "warmup_epochs": 10, "temperature": 0.2, "batch_size": 128}
    old = PretrainConfig.model_validate(own)
    assert epochs_of(old, 546) == (200, 4)
    assert warmup_steps(old, 800, 200) == 40
    assert warmup_steps(old.model_copy(update={"epochs": 20}), 80, 20) == 20  # a quarter at most


@pytest.mark.parametrize("what", ["", "warmup_"])
def test_a_length_is_said_once(what):
    from hybridq.config.complaints import config_of

    with pytest.raises(InvalidValueError, match=f"Expected {what}steps or {what}epochs, got both"):
        config_of(PretrainConfig, **{f"{what}steps": 3, f"{what}epochs": 3})


def test_processes_are_counted():
    assert processes_of(PretrainConfig().compute) == 1
    assert processes_of(PretrainConfig(compute={"accelerator": "cpu", "devices": "2"}).compute) == 2


def test_the_rate_rises_in_the_steps_of_the_warm_up_and_ends_at_zero():
    encoder = Encoder(EncoderSpec(image_size=8), network=nn.Conv2d(3, 4, 3))
    config = PretrainConfig(warmup_steps=2, augment=AugmentConfig(), learning_rate=1.0)
    objective = SelfSupervised(config, encoder, torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
    optimizer, schedule = objective.optimizer(steps=10, epochs=5)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[-1] == pytest.approx(0)


def test_a_run_records_its_steps(tmp_path, caplog):
    caplog.set_level("INFO", logger="hybridq")
    data = "phantom,size=16,count=40"
    run = pretrain(PretrainConfig(data=data, runs=tmp_path, steps=7, batch_size=8, image_size=16))
    result = json.loads((run / "result.json").read_text())
    assert (result["steps"], result["epochs"]) == (6, 2)  # 24 images, 3 steps an epoch
    assert read_config(run, PretrainConfig, "pretrain").steps == 7
    assert "6 steps in 2 epochs" in caplog.text
