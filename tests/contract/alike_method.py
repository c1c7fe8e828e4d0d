"""A self-supervised method of your own: views of an image are alike."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from hybridq.config import SslConfig
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.ssl import Method, SslEntry


class AlikeConfig(SslConfig):
    """What the method can be told."""

    weight: float = Field(1.0, gt=0, le=100)
    """Of the distance."""


class Alike(Method):
    """Views of an image are alike; a count of steps shows that what follows them is called."""

    def __init__(self, encoder: Encoder, config: AlikeConfig) -> None:
        super().__init__(encoder)
        self.projection = nn.Linear(encoder.num_features, 4)
        self.weight = config.weight
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, views):
        first, second = self.projection(self.backbone(torch.cat(views))).chunk(2)
        return self.weight * (first - second).square().mean()

    def after_step(self, step, total):
        self.steps += 1


ALIKE = SslEntry(AlikeConfig, Alike, "Alike", "distance")
