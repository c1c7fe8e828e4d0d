"""SimCLR: two views of an image are alike, views of different images are not.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
arXiv:2002.05709, Algorithm 1. Loss and projection head are lightly's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from tyro.conf import arg

from hybridq.config import SslConfig
from hybridq.models.ssl.entry import Method, SslEntry

if TYPE_CHECKING:
    from hybridq.models.encoders.encoder import Encoder


class SimclrConfig(SslConfig):
    """The settings of SimCLR."""

    temperature: Annotated[float, arg(prefix_name=False)] = Field(0.2, ge=0.001, le=100)
    """Temperature of the loss, NT-Xent (arXiv:2002.05709, equation 1)."""
    hidden_dim: Annotated[int, arg(prefix_name=False)] = Field(512, ge=1, le=16_384)
    """Width of the projection head's hidden layer."""
    projection_dim: Annotated[int, arg(prefix_name=False)] = Field(128, ge=1, le=16_384)
    """Length of the projected vectors that NT-Xent compares."""


class SimCLR(Method):
    """An encoder with a projection head and the NT-Xent loss.

    Args:
        backbone: The encoder, from images to features `(batch, in_features)`.
        in_features: Length of its features.
        hidden_dim: Width of the projection head's hidden layer.
        projection_dim: Length of the projected vectors.
        temperature: Temperature of NT-Xent, equation 1.
        gather: Whether to compare with the views of all processes, which needs an initialised
            process group.
        batch_norm: Whether the projection head normalises over the batch, as published.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        in_features: int,
        hidden_dim: int,
        projection_dim: int,
        temperature: float,
        gather: bool = False,
        batch_norm: bool = True,
    ) -> None:
        super().__init__(backbone)
        from lightly.loss import NTXentLoss
        from lightly.models.modules.heads import SimCLRProjectionHead

        self.projection: nn.Module = SimCLRProjectionHead(
            in_features, hidden_dim, projection_dim, batch_norm=batch_norm
        )
        self.criterion: Any = NTXentLoss(temperature=temperature, gather_distributed=gather)

    def chance(self, images: int) -> float:
        """Get ln(2N - 1), NT-Xent of N images whose views are all alike."""
        return math.log(2 * images - 1)

    def gather_views(self) -> None:
        """Compare with the views of all processes from now on."""
        self.criterion.gather_distributed = True

    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """Compute NT-Xent, a scalar, of two views `(batch, 3, height, width)` each.

        Both views pass through the network in one batch, so that batch norm sees both.
        """
        projected: Tensor = self.projection(self.backbone(torch.cat(views)))
        first, second = projected.chunk(2)
        loss: Tensor = self.criterion(first, second)
        return loss


def build_simclr(encoder: Encoder, config: SimclrConfig) -> SimCLR:
    """Put SimCLR's projection head and loss on an encoder."""
    return SimCLR(
        encoder,
        in_features=encoder.num_features,
        hidden_dim=config.hidden_dim,
        projection_dim=config.projection_dim,
        temperature=config.temperature,
    )


SIMCLR = SslEntry(SimclrConfig, build_simclr, "SimCLR", "NT-Xent loss")
