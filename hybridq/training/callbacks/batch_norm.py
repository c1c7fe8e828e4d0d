"""Running statistics of batch norm in trainings by Lightning."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from hybridq.training.objectives.batch_norm import EvenStatistics


class RunningStatistics(Callback):
    """Keep `EvenStatistics` of a training by Lightning."""

    def __init__(self) -> None:
        self._even = EvenStatistics(nn.Identity())

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the layers."""
        self._even = EvenStatistics(pl_module)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the weight of the batch."""
        self._even.before_batch()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the layers their own momentum back."""
        self._even.end()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Give the layers their own momentum back."""
        self._even.end()
