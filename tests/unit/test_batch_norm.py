"""Running statistics of batch norm: even averages at first, then the layer's own momentum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hybridq as hq
from hybridq.config import ComputeConfig
from hybridq.training.fit import Plan, fit
from hybridq.training.objectives.objective import Objective

pytestmark = [pytest.mark.trains, pytest.mark.usefixtures("isolated", "single_thread")]

BATCHES = 14


class Normalised(Objective):
    """One batch norm, which sees a batch of its own in each step and never learns."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.points = torch.randn(BATCHES, 8, 3, generator=torch.Generator().manual_seed(0))
        self.points *= torch.arange(1, BATCHES + 1)[:, None, None]

    def train_batches(self, rank, world_size):
        return DataLoader(TensorDataset(self.points.flatten(0, 1)), batch_size=8)

    def loss(self, batch, step):
        return 0 * self.norm(batch[0]).sum()

    def optimizer(self, steps, epochs):
        return torch.optim.SGD(self.parameters(), lr=0.0), None


def test_the_first_batches_count_evenly_then_the_momentum(tmp_path):
    objective = Normalised()
    fit(objective, Plan(1, compute=ComputeConfig(accelerator="cpu"), folder=tmp_path))
    mean = variance = torch.zeros(3)
    for number, batch in enumerate(objective.points):
        weight = max(0.1, 1 / (number + 1))
        mean = (1 - weight) * mean + weight * batch.mean(dim=0)
        variance = (1 - weight) * variance + weight * batch.var(dim=0)
    torch.testing.assert_close(objective.norm.running_mean, mean)
    torch.testing.assert_close(objective.norm.running_var, variance)
    assert objective.norm.momentum == 0.1


def test_a_short_training_gives_its_layers_their_momentum_back(tmp_path):
    objective = Normalised()
    objective.points = objective.points[:3]
    fit(objective, Plan(1, compute=ComputeConfig(accelerator="cpu"), folder=tmp_path))
    torch.testing.assert_close(
        objective.norm.running_mean, objective.points.mean(dim=1).mean(dim=0)
    )
    assert objective.norm.momentum == 0.1


def test_a_network_from_scratch_tells_images_apart_after_few_batches():
    """30 batches would leave a share of 0.04 of the initial values, and all images alike to 1e-6.

    The probabilities spread by 0.4 and more with the instructions of every processor.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 2
    images = rng.integers(0, 60, (48, 32, 32), dtype=np.uint8)
    images[labels == 1, :, ::4] += 150
    train = (images, labels)
    data = hq.ImageData.from_arrays(train=train, val=train)
    model = hq.finetune(None, data, head="linear", epochs=15, batch_size=24, image_size=32)
    assert model.predict(images)[:, 1].std() > 0.1
