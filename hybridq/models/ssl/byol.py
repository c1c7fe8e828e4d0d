"""BYOL: a network predicts the output of its slow copy for another view of the image.

Grill et al., "Bootstrap Your Own Latent", arXiv:2006.07733. Heads and loss are lightly's.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from hybridq.config import SslConfig
from hybridq.models.ssl.entry import Method, SslEntry

if TYPE_CHECKING:
    from hybridq.models.encoders.encoder import Encoder


class ByolConfig(SslConfig):
    """The settings of BYOL."""

    hidden_dim: int = Field(512, ge=1, le=16_384)
    """Width of the hidden layers of projection and prediction head."""
    projection_dim: int = Field(128, ge=1, le=16_384)
    """Length of the vectors that are predicted."""
    momentum: float = Field(0.99, ge=0, le=1)
    """Share of its weights that the slow copy keeps in a step; it rises to 1 (section 3.1)."""


class Byol(Method):
    """An encoder with a projection and a prediction head, and a slow copy of the first two."""

    def __init__(self, encoder: Encoder, config: ByolConfig) -> None:
        super().__init__(encoder)
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead

        sizes = (config.hidden_dim, config.projection_dim)
        self.projection: nn.Module = BYOLProjectionHead(encoder.num_features, *sizes)
        self.prediction: nn.Module = BYOLPredictionHead(config.projection_dim, *sizes)
        self.slow_backbone = copy.deepcopy(self.backbone).requires_grad_(False)
        self.slow_projection = copy.deepcopy(self.projection).requires_grad_(False)
        self.criterion: Any = NegativeCosineSimilarity()
        self.momentum = config.momentum

    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """Compute the mean of both predictions' negative cosine similarity, from -1 to 1."""
        both = torch.cat(views)
        predicted = self.prediction(self.projection(self.backbone(both))).chunk(2)
        with torch.no_grad():
            wanted = self.slow_projection(self.slow_backbone(both)).chunk(2)
        losses = [self.criterion(predicted[k], wanted[1 - k]) for k in (0, 1)]
        loss: Tensor = (losses[0] + losses[1]) / 2
        return loss

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        """Move the slow copy towards the network, less with each step."""
        rising = (math.cos(math.pi * step / max(1, total)) + 1) / 2
        keep = 1 - (1 - self.momentum) * rising
        for slow, own in (
            (self.slow_backbone, self.backbone),
            (self.slow_projection, self.projection),
        ):
            for old, new in zip(slow.parameters(), own.parameters(), strict=True):
                old.mul_(keep).add_(new, alpha=1 - keep)


BYOL = SslEntry(ByolConfig, Byol, "BYOL", "negative cosine similarity")
