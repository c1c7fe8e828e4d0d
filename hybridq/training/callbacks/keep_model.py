"""Keeping the model of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from hybridq.models.checkpoint import ModelSpec, save_model
from hybridq.models.classifier import HybridClassifier


class KeepModel(Callback):
    """Writes the model of the last epoch, or of the best by validation AUC, then loss.

    Where validation has no AUC, the loss alone tells which is the best.

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
        self.kept: dict[str, float | None] = {}

    def state_dict(self) -> dict[str, Any]:
        """Figures of the epoch kept so far, for a resumed run."""
        return dict(self.kept)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the figures of a checkpoint."""
        self.kept = dict(state_dict)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the model if this is the epoch to keep."""
        area = trainer.callback_metrics.get("val_auc")
        now: dict[str, float | None] = {
            "epoch": float(trainer.current_epoch),
            "val_auc": None if area is None else float(area),
            "val_loss": float(trainer.callback_metrics["val_loss"]),
        }
        if self.keep == "last":
            wanted = trainer.current_epoch + 1 == trainer.max_epochs
        else:
            wanted = not self.kept or _merit(now) > _merit(self.kept)
        if not wanted:
            return
        self.kept = now
        if self.folder is not None and trainer.is_global_zero:
            save_model(self.folder / "model", self.model, self.spec)


def _merit(kept: dict[str, float | None]) -> tuple[float, float]:
    """What the best epoch has the most of; an AUC that is missing is missing in every epoch."""
    return kept["val_auc"] or 0.0, -(kept["val_loss"] or 0.0)
