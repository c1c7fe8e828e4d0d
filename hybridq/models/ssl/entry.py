"""What a self-supervised method has to say of itself to be chosen by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from hybridq.config import SslConfig
    from hybridq.models.encoders.encoder import Encoder


class Method(nn.Module, ABC):
    """An encoder in training without labels: two views of images to a loss.

    Args:
        backbone: The encoder, whose weights are what is wanted.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """Compute the loss, a scalar, of two views `(batch, 3, height, width)` each."""

    def gather_views(self) -> None:
        """Compare with the views of all processes from now on, where that is what is done."""
        return

    def after_step(self, step: int, total: int) -> None:
        """Do what follows a step of the optimiser, such as moving a slow copy.

        Args:
            step: Number of the step, from 0.
            total: Steps of the whole training.
        """
        return


@dataclass(frozen=True)
class SslEntry:
    """A self-supervised method that can be chosen by name.

    Attributes:
        config: What it can be told; a subclass of `SslConfig`.
        build: From the encoder and the config to the method. Its weights are drawn from torch's
            global generator, which the caller seeds.
        label: What it is called in cards and reports.
        loss: What its loss is called.
    """

    config: type[SslConfig]
    build: Callable[[Encoder, Any], Method]
    label: str
    loss: str = "loss"
