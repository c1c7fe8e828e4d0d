"""The entry of a self-supervised method that can be chosen by name."""

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
    """The base of self-supervised methods: a module from two views of images to a loss.

    Args:
        backbone: The encoder that is trained.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def forward(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """Compute the loss, a scalar, of two views `(batch, 3, height, width)` each."""

    def chance(self, images: int) -> float | None:
        """Get the loss of an encoder that cannot tell images apart, where it is known.

        Args:
            images: Images that a step compares.
        """
        return None

    def gather_views(self) -> None:
        """Compare with the views of all processes from now on, if the method compares views."""
        return

    def after_step(self, step: int, total: int) -> None:
        """Finish a step of the optimiser, for instance by moving a slow copy.

        Args:
            step: Number of the step, from 0.
            total: The number of steps of the whole training.
        """
        return


@dataclass(frozen=True)
class SslEntry:
    """A self-supervised method that can be chosen by name.

    Attributes:
        config: The class of its config, a subclass of `SslConfig`.
        build: A function from the encoder and the config to the method. Its weights are drawn from
            torch's global generator, which the caller seeds.
        label: The name in cards and reports.
        loss: The name of its loss.
    """

    config: type[SslConfig]
    build: Callable[[Encoder, Any], Method]
    label: str
    loss: str = "loss"
