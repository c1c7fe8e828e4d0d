"""An encoder of your own: three blocks, 512 features."""

from __future__ import annotations

from torch import nn

from hybridq.models.encoders import EncoderEntry


def build_narrow(stem: str) -> nn.Sequential:
    """512 features from three blocks with batch norm."""
    stride = 1 if stem == "stride1" else 2
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, stride, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(16, 512, 3, 2, 1, bias=False), nn.BatchNorm2d(512), nn.ReLU()),
    )


NARROW = EncoderEntry(build_narrow, "NarrowNet")
