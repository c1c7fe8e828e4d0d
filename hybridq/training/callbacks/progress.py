"""How long a training will take, and how far it is within an epoch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from hybridq.utils.pace import Pace


class Progress(Callback):
    """Tells by the first steps how long all will take, then now and then how far they are.

    Args:
        lines: Whether to tell how far they are; not where a bar does.
    """

    def __init__(self, *, lines: bool) -> None:
        self._lines = lines
        self._pace: Pace | None = None
        self._begun = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count; steps of an earlier process are done already."""
        self._begun = trainer.global_step
        left = int(trainer.estimated_stepping_batches) - self._begun
        self._pace = Pace(left, "steps", lines=self._lines)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a step."""
        if self._pace is not None and trainer.is_global_zero:
            place = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self._pace.done(trainer.global_step - self._begun, place)
