"""Encoders: networks from images to features, and the dict `ENCODERS`."""

from __future__ import annotations

from hybridq.models.encoders.entry import EncoderEntry
from hybridq.models.encoders.mobilenet import MOBILENET_V2
from hybridq.models.encoders.resnet import RESNET18, RESNET50

__all__ = ["ENCODERS", "EncoderEntry"]

ENCODERS: dict[str, EncoderEntry] = {
    "mobilenet_v2": MOBILENET_V2,
    "resnet18": RESNET18,
    "resnet50": RESNET50,
}
