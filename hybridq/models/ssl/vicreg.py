"""VICReg: views of an image are alike, and no direction of the vectors collapses.

Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization", arXiv:2105.04906. Head and
loss are lightly's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from hybridq.config import SslConfig
from hybridq.models.ssl.entry import Method, SslEntry

if TYPE_CHECKING:
    from hybridq.models.encoders.encoder import Encoder


class VicregConfig(SslConfig):
    """The settings of VICReg."""

    hidden_dim: int = Field(512, ge=1, le=16_384)
    """Width of the expander's hidden layers."""
    projection_dim: int = Field(512, ge=1, le=16_384)
    """Length of the vectors that are compared."""
    invariance: float = Field(25.0, ge=0, le=1000)
    """Weight of the distance between the views (lambda of equation 6)."""
    variance: float = Field(25.0, ge=0, le=1000)
    """Weight of the hinge on each direction's standard deviation (mu of equation 6)."""
    covariance: float = Field(1.0, ge=0, le=1000)
    """Weight of the covariances between directions (nu of equation 6)."""


class Vicreg(Method):
    """An encoder with an expander and the three terms of the loss."""

    def __init__(self, encoder: Encoder, config: VicregConfig) -> None:
        super().__init__(encoder)
        from lightly.loss import VICRegLoss
        from lightly.models.modules.heads import VICRegProjectionHead

        self.projection: nn.Module = VICRegProjectionHead(
            encoder.num_features, config.hidden_dim, config.projection_dim
        )
        self.criterion: Any = VICRegLoss(
            lambda_param=config.invariance, mu_param=config.variance, nu_param=config.covariance
        )

    def gather_views(self) -> None:
        """Take variances and covariances over the views of all processes."""
        self.criterion.gather_distributed = True

    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """Compute the loss of equation 6."""
        first, second = self.projection(self.backbone(torch.cat(views))).chunk(2)
        loss: Tensor = self.criterion(first, second)
        return loss


VICREG = SslEntry(VicregConfig, Vicreg, "VICReg", "VICReg loss")
