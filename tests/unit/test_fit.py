"""The training loop with an objective, callbacks, loggers and losses that the package has not."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from hybridq.cli import main as cli
from hybridq.config import ComputeConfig, FinetuneConfig, PretrainConfig, head_config
from hybridq.data import load_data
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.initial import encoder_for
from hybridq.training.finetune import finetune
from hybridq.training.fit import Plan, fit
from hybridq.training.initial import initial_model
from hybridq.training.objectives.self_supervised import SelfSupervised
from hybridq.training.objectives.supervised import Supervised
from hybridq.utils import pace
from tests.contract.denoise import Denoise

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

PHANTOM = "phantom,size=16,count=40"
CPU = ComputeConfig(accelerator="cpu")


class StopIn(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise KeyboardInterrupt


def same(one, other):
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_an_objective_of_ones_own(tmp_path):
    objective = Denoise()
    trainer = fit(objective, Plan(4, compute=CPU, folder=tmp_path, checkpoint_every=1))
    assert objective.seen == [(epoch, batch, 0) for epoch in range(4) for batch in range(3)]
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert found.keys() == {"loss", "val_loss", "val_norm"}
    exact = objective.validate((objective.points, objective.points))["loss"]
    assert found["val_loss"] == pytest.approx(float(exact), rel=1e-5)
    assert found["val_norm"] == pytest.approx(float(objective.model.weight.norm()))
    # the state on disk is the objective's own
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert kept.keys() == {f"{part}.{kind}" for part in ("model", "slow") for kind in PARTS}
    by_hand = Denoise()
    optimizer, schedule = by_hand.optimizer(12, 4)
    for place in range(12):
        batches = by_hand.train_batches(0, 1)
        batches.sampler.set_epoch(place // 3)
        optimizer.zero_grad()
        by_hand.loss(list(batches)[place % 3], (place // 3, place % 3, 0)).backward()
        optimizer.step()
        schedule.step()
        by_hand.after_step(place, 12)
    assert same(by_hand, objective)


PARTS = ("weight", "bias")


def test_it_goes_on_bit_by_bit(tmp_path):
    whole, stopped, again = Denoise(), Denoise(), Denoise(seed=1)
    plan = Plan(4, compute=CPU, folder=tmp_path / "stopped", checkpoint_every=1)
    fit(whole, replace(plan, folder=tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, plan, [StopIn(2)])
    fit(again, replace(plan, resume=tmp_path / "stopped"))
    assert again.seen[0][0] in (2, 3)
    assert same(again, whole)


def test_how_far_it_is_within_an_epoch_is_told(tmp_path, monkeypatch, caplog):
    """Of a training that goes on, of the steps that are left."""
    monkeypatch.setattr(pace, "EVERY", 0.0)
    plan = Plan(3, compute=CPU, folder=tmp_path, checkpoint_every=1)
    with caplog.at_level("INFO", "hybridq"), pytest.raises(KeyboardInterrupt):
        fit(Denoise(), plan, [StopIn(1)])
    assert "epoch 1/3, 1 of 9 steps, about 1 s left" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO", "hybridq"):
        fit(Denoise(), replace(plan, resume=tmp_path))
    assert "epoch 2/3, 1 of 6 steps, about 1 s left" in caplog.text


def test_a_checkpoint_of_another_objective_is_refused(tmp_path):
    fit(Denoise(), Plan(1, compute=CPU, folder=tmp_path, checkpoint_every=1))

    class Wider(Denoise):
        def __init__(self):
            super().__init__()
            self.more = nn.Linear(2, 2)

    with pytest.raises(InvalidValueError, match="got one of another network"):
        fit(Wider(), Plan(2, compute=CPU, folder=tmp_path, resume=tmp_path))


def test_without_a_folder_nothing_is_written(tree):
    before = tree(Path())
    fit(Denoise(), Plan(1, compute=CPU))
    assert tree(Path()) == before


@pytest.fixture
def small():
    """Data and a config of two epochs of a linear head on fixed features."""
    data = load_data(PHANTOM, splits=("train", "val"))
    config = FinetuneConfig(
        data=PHANTOM,
        head=head_config(name="linear"),
        freeze_encoder=True,
        epochs=2,
        batch_size=8,
    )
    return config, data


def test_losses_and_loaders_are_handed_in(small):
    config, data = small
    labels = torch.from_numpy(data.splits["train"].labels)
    plain = Supervised(config, initial_model(config, data), data.splits["train"], data)
    loader = DataLoader(TensorDataset(plain.train_inputs, labels), batch_size=12)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.3)
    model = initial_model(config, data)
    mine = Supervised(config, model, data.splits["train"], data, criterion=smooth, loader=loader)
    trainer = fit(mine, Plan(1, compute=CPU))
    assert trainer.global_step == 2
    assert not torch.equal(model.head.classifier.weight, plain.model.head.classifier.weight)
    with torch.no_grad():
        logits = mine(mine.val_inputs)
        expected = smooth(logits, mine.val_labels)
    assert float(trainer.callback_metrics["val_loss"]) == pytest.approx(float(expected))


def test_finetune_takes_a_loss_callbacks_and_loggers(small, tmp_path):
    config, _ = small
    seen = []

    class Note(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append(sorted(trainer.callback_metrics))

    weights = {}
    for name, criterion in (("usual", None), ("smooth", nn.CrossEntropyLoss(label_smoothing=0.4))):
        run = finetune(
            config.model_copy(update={"runs": tmp_path / name, "head_start": "random"}),
            criterion=criterion,
            callbacks=[Note()],
            loggers=[CSVLogger(tmp_path / name, name="mine")],
        )
        weights[name] = load_file(run / "model" / "model.safetensors")["head.classifier.weight"]
        (table,) = (tmp_path / name / "mine").rglob("metrics.csv")
        assert "val_auc" in table.read_text()
    assert seen == [["loss", "val_auc", "val_loss"]] * 4
    assert not torch.equal(weights["usual"], weights["smooth"])


def test_a_method_of_ones_own_in_pretraining():
    """Any module that makes a loss of two views, without an entry."""
    data = load_data(PHANTOM, splits=("train",))
    config = PretrainConfig(data=PHANTOM, epochs=1, batch_size=8)
    images = torch.from_numpy(data.splits["train"].images).permute(0, 3, 1, 2).contiguous()
    encoder = encoder_for(
        data.splits["train"].images, config.encoder, image_size=32, stem="stride2", seed=0
    )

    class Alike(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = encoder

        def forward(self, views):
            return (self.backbone(views[0]) - self.backbone(views[1])).square().mean()

        def after_step(self, step, total):
            return

    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    objective = SelfSupervised(config, encoder, images, method=Alike())
    fit(objective, Plan(1, compute=CPU))
    assert any(not torch.equal(value, before[name]) for name, value in encoder.named_parameters())


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_figures_as_csv_by_a_flag(command, monkeypatch, capsys):
    options = ("--data", PHANTOM, "--batch-size", "8", "--epochs", "2", "--logger", "csv")
    assert cli.main([command, *options]) == 0
    (folder,) = Path("runs", command).iterdir()
    with (folder / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["epoch"] for row in rows} == {"0", "1"}
    assert all(float(row["loss"]) for row in rows if row["loss"])
    monkeypatch.setattr("hybridq.training.loggers.find_spec", lambda name: None)
    capsys.readouterr()
    assert cli.main([command, *options[:-1], "tensorboard"]) == 2
    assert "pip install tensorboard" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_loss_alone(small):
    config, _ = small
    mine = nn.CrossEntropyLoss(label_smoothing=0.4)
    with pytest.raises(KeyboardInterrupt):
        finetune(config, criterion=mine, callbacks=[StopIn(0)])
    (folder,) = Path("runs/finetune").iterdir()
    with pytest.raises(InvalidValueError, match=r"\.CrossEntropyLoss, got the usual"):
        finetune(FinetuneConfig(resume=folder))
    assert finetune(FinetuneConfig(resume=folder), criterion=mine) == folder
