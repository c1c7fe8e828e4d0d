"""MobileNetV2: Sandler et al., arXiv:1801.04381; 2,223,872 parameters up to its feature maps."""

from __future__ import annotations

from typing import Any

from torch import nn

from hybridq.models.encoders.entry import EncoderEntry

PREFIX = "features."


def build_mobilenet_v2(stem: str) -> nn.Sequential:
    """Make torchvision's network up to its feature maps, of 1,280 channels."""
    from torchvision.models import mobilenet_v2

    blocks: nn.Sequential = mobilenet_v2(weights=None).features
    if stem == "stride1":
        next(part for part in blocks.modules() if isinstance(part, nn.Conv2d)).stride = (1, 1)
    return blocks


def _imagenet() -> Any:
    from torchvision.models import MobileNet_V2_Weights

    return MobileNet_V2_Weights.IMAGENET1K_V2


def _state(whole: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(PREFIX): v for k, v in whole.items() if k.startswith(PREFIX)}


MOBILENET_V2 = EncoderEntry(build_mobilenet_v2, "MobileNetV2", _imagenet, _state)
