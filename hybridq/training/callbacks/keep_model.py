"""Keeping the model of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from hybridq.models.checkpoint import ModelSpec, save_model
from hybridq.models.classifier import HybridClassifier


class KeepModel(Callback):
    """Writes the model of the last epoch, or of the best by validation AUC, then loss.

    Args:
        folder: the run folder; None on a rank that writes nothing.
        model: what is trained.
        spec: what is written beside its weights.
        keep: `last`, or `best`.
    """

    def __init__(
        self,
        folder: Path | None,
        model: HybridClassifier,
        spec: ModelSpec,
        keep: Literal["last", "best"],
    ) -> None:
        self.folder = folder
        self.model = model
        self.spec = spec
        self.keep = keep
        self.kept: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """Figures of the epoch kept so far, for a resumed run."""
        return dict(self.kept)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the figures of a checkpoint."""
        self.kept = dict(state_dict)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the model if this is the epoch to keep."""
        now = {
            "epoch": float(trainer.current_epoch),
            "val_auc": float(trainer.callback_metrics["val_auc"]),
            "val_loss": float(trainer.callback_metrics["val_loss"]),
        }
        if self.keep == "last":
            wanted = trainer.current_epoch + 1 == trainer.max_epochs
        else:
            wanted = not self.kept or (now["val_auc"], -now["val_loss"]) > (
                self.kept["val_auc"],
                -self.kept["val_loss"],
            )
        if not wanted:
            return
        self.kept = now
        if self.folder is not None and trainer.is_global_zero:
            save_model(self.folder / "model", self.model, self.spec)
