"""Depthwise convolutions on small maps, against torch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from hybridq.models.encoders.depthwise import MOST_PIXELS, DepthwiseConv2d, with_small_maps
from hybridq.models.encoders.encoder import Encoder, EncoderSpec

SETTINGS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "stride": 2},
    {"kernel_size": 5, "padding": 2, "bias": False},
    {"kernel_size": (3, 1), "padding": (2, 0), "stride": (1, 2)},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 7, "padding": 3},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": 1},
]


def gradients(network: nn.Module, maps: Tensor) -> list[Tensor]:
    """What a network makes of maps, and the gradients of a sum that weighs every value."""
    maps = maps.clone().requires_grad_(True)
    found = network(maps)
    generator = torch.Generator().manual_seed(1)
    (found * torch.randn(found.shape, generator=generator, dtype=found.dtype)).sum().backward()
    return [found.detach(), maps.grad, *(param.grad for param in network.parameters())]


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 3), (4, 1), (3, 3)])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_values_and_gradients_are_those_of_the_convolution(setting, shape):
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, groups=6, **setting).double()
    ours = with_small_maps(nn.Sequential(copy.deepcopy(plain)))
    assert isinstance(ours[0], DepthwiseConv2d)
    maps = torch.randn(5, 6, *shape, dtype=torch.float64)
    for one, other in zip(gradients(plain, maps), gradients(ours, maps), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


def test_the_convolution_itself_runs_in_evaluation_and_on_larger_maps(monkeypatch):
    called = []
    forward = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda *given: called.append(1) or forward(*given))
    network = with_small_maps(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4)))
    network.eval()(torch.randn(2, 4, 2, 2))
    network.train()(torch.randn(2, 4, 1, MOST_PIXELS + 1))
    assert len(called) == 2
    network(torch.randn(2, 4, 1, MOST_PIXELS))
    assert len(called) == 2


def test_other_convolutions_and_names_of_weights_stay():
    parts = [nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(1, 1, 3)]
    network = nn.Sequential(*parts, nn.Conv2d(8, 8, 3, groups=8))
    names = list(network.state_dict())
    found = with_small_maps(network)
    assert found is network
    assert list(network.state_dict()) == names
    assert [type(part) for part in network] == [nn.Conv2d] * 3 + [DepthwiseConv2d]


def test_a_training_step_of_mobilenet_is_torchvisions():
    encoder = Encoder(EncoderSpec(image_size=64)).double().train()
    assert sum(isinstance(part, DepthwiseConv2d) for part in encoder.modules()) == 17
    plain = copy.deepcopy(encoder)
    for part in plain.modules():
        if isinstance(part, DepthwiseConv2d):
            part.__class__ = nn.Conv2d
    images = torch.randn(6, 3, 64, 64, dtype=torch.float64)
    found, expected = gradients(encoder, images), gradients(plain, images)
    scale = max(float(one.abs().max()) for one in expected[2:])
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12 * scale)
