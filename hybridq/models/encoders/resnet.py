"""ResNets of 18 and 50 layers: He et al., arXiv:1512.03385."""

from __future__ import annotations

from typing import Any

from torch import nn

from hybridq.models.encoders.entry import EncoderEntry

BLOCKS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
"""The names of the parts of torchvision's network up to its feature maps, in order."""


def _entry(name: str, label: str) -> EncoderEntry:
    def build(stem: str) -> nn.Sequential:
        from torchvision import models

        network = getattr(models, name)(weights=None)
        if stem == "stride1":
            network.conv1.stride = (1, 1)
        return nn.Sequential(*(getattr(network, block) for block in BLOCKS))

    def imagenet() -> Any:
        from torchvision import models

        return models.get_model_weights(name).DEFAULT

    return EncoderEntry(build, label, imagenet, _state)


def _state(whole: dict[str, Any]) -> dict[str, Any]:
    """Rename the weights by the indices of the blocks, and drop those of the classifier."""
    found = {}
    for key, value in whole.items():
        block, _, rest = key.partition(".")
        if block in BLOCKS:
            found[f"{BLOCKS.index(block)}.{rest}"] = value
    return found


RESNET18 = _entry("resnet18", "ResNet-18")
RESNET50 = _entry("resnet50", "ResNet-50")
