"""BYOL and VICReg: their losses by hand, and what follows a step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hybridq.models.ssl.byol import Byol, ByolConfig
from hybridq.models.ssl.vicreg import Vicreg, VicregConfig


class Small(nn.Module):
    num_features = 6

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, vectors):
        return self.linear(vectors)


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(16, 6, generator=generator) for _ in range(2))


def method(kind, config, **fields):
    torch.manual_seed(0)
    return kind(Small(), config(name="one", hidden_dim=8, projection_dim=5, **fields))


def test_byols_loss_is_the_papers(views):
    """Equation 2, but for its constant: mean of -2 cos, symmetrised, halved."""
    byol = method(Byol, ByolConfig)
    predicted = byol.prediction(byol.projection(byol.backbone(torch.cat(views)))).chunk(2)
    wanted = byol.slow_projection(byol.slow_backbone(torch.cat(views))).chunk(2)
    cosines = [nn.functional.cosine_similarity(predicted[k], wanted[1 - k]).mean() for k in (0, 1)]
    byol = method(Byol, ByolConfig)  # batch norm has moved
    torch.testing.assert_close(byol(views), -(cosines[0] + cosines[1]) / 2)


def test_byols_slow_copy_follows_and_has_no_gradient(views):
    byol = method(Byol, ByolConfig, momentum=0.9)
    byol(views).backward()
    assert all(p.grad is None for p in byol.slow_backbone.parameters())
    start = byol.backbone.linear.weight.detach().clone()
    with torch.no_grad():
        byol.backbone.linear.weight += 1.0
    byol.after_step(0, 100)
    torch.testing.assert_close(byol.slow_backbone.linear.weight, start + 0.1)
    before = byol.slow_backbone.linear.weight.clone()
    byol.after_step(50, 100)  # half way the rate is half of what it was
    moved = (byol.slow_backbone.linear.weight - before) / (start + 1.0 - before)
    torch.testing.assert_close(moved, torch.full_like(moved, 0.05))
    before = byol.slow_backbone.linear.weight.clone()
    byol.after_step(100, 100)
    assert torch.equal(byol.slow_backbone.linear.weight, before)


def test_vicregs_loss_is_the_papers(views):
    """Equations 1 to 6 by hand, with the unbiased variance and covariance."""
    weights = {"invariance": 3.0, "variance": 2.0, "covariance": 0.5}
    vicreg = method(Vicreg, VicregConfig, **weights)
    first, second = vicreg.projection(vicreg.backbone(torch.cat(views))).chunk(2)
    count, size = first.shape
    invariance = (first - second).square().mean()
    hinges, covariances = 0.0, 0.0
    for one in (first, second):
        centred = one - one.mean(dim=0)
        spread = (centred.square().sum(dim=0) / (count - 1) + 1e-4).sqrt()
        hinges += torch.relu(1 - spread).mean()
        matrix = centred.T @ centred / (count - 1)
        covariances += (matrix.square().sum() - matrix.diagonal().square().sum()) / size
    vicreg = method(Vicreg, VicregConfig, **weights)
    found = vicreg(views)
    by_hand = 3.0 * invariance + 2.0 * 0.5 * hinges + 0.5 * covariances
    assert math.isclose(found.item(), by_hand.item(), rel_tol=1e-4)
