"""Grad-CAM on networks whose evidence is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hybridq.evaluation.measures.gradcam import grad_cam


class Quadrants(nn.Module):
    """The logit of class k is the brightness of quadrant k."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU())
        with torch.no_grad():
            self.block[0].weight.fill_(1)
            self.block[0].bias.zero_()
        self.requires_grad_(False)

    def forward(self, images):
        maps = self.block(images)
        half = images.shape[2] // 2
        masks = torch.zeros(4, *images.shape[2:])
        masks[0, :half, :half] = masks[1, :half, half:] = 1
        masks[2, half:, :half] = masks[3, half:, half:] = 1
        # Channel k sees quadrant k only.
        return (maps * masks).sum(dim=(2, 3))


def test_the_heat_is_in_the_quadrant_that_is_bright():
    images = torch.zeros(4, 1, 8, 8)
    corners = [(0, 0), (0, 4), (4, 0), (4, 4)]
    for k, (row, column) in enumerate(corners):
        images[k, :, row : row + 4, column : column + 4] = 1
    model = Quadrants().eval()
    heat = grad_cam(model, model.block, images, torch.arange(4))
    assert heat.shape == (4, 8, 8)
    assert heat.min() >= 0
    assert heat.max() == 1
    for k, (row, column) in enumerate(corners):
        inside = heat[k, row : row + 4, column : column + 4].sum()
        assert inside / heat[k].sum() > 0.99


def test_each_channel_counts_by_its_own_mean_gradient():
    """By hand on maps that differ by channel, with a readout that is linear in the pixels."""
    rng = np.random.default_rng(0)
    block = nn.Conv2d(1, 3, 3, padding=1)
    readout = nn.Linear(3 * 6 * 6, 2)
    model = nn.Sequential(block, nn.Flatten(), readout).eval()
    images = torch.from_numpy(rng.normal(size=(2, 1, 6, 6)).astype(np.float32))
    heat = {k: grad_cam(model, block, images, torch.tensor([k, k])).numpy() for k in (0, 1)}
    maps = block(images).detach().numpy()
    for k in (0, 1):
        weights = readout.weight.detach().numpy()[k].reshape(3, 36).mean(axis=1)
        expected = np.maximum(np.einsum("c,bcij->bij", weights, maps), 0)
        expected /= expected.max(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(heat[k], expected, atol=1e-5)
    assert np.abs(heat[0] - heat[1]).max() > 0.1


def test_where_nothing_speaks_for_a_class_there_is_no_heat():
    class Against(Quadrants):
        def forward(self, images):
            return -super().forward(images)

    model = Against().eval()
    heat = grad_cam(model, model.block, torch.ones(1, 1, 8, 8), torch.tensor([0]))
    assert not heat.any()


def test_the_model_is_left_as_it_was():
    model = Quadrants().eval()
    grad_cam(model, model.block, torch.ones(2, 1, 8, 8), torch.tensor([0, 1]))
    assert not model.block._forward_hooks
    assert all(weight.grad is None for weight in model.parameters())
