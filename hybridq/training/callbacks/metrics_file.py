"""The figures of each epoch, in a file and in the log."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from hybridq.records.results import read_epochs
from hybridq.utils.files import append_jsonl, write_jsonl
from hybridq.utils.finite import check_finite

logger = logging.getLogger("hybridq")


LINES = 20
"""Lines in the log, at most about as many."""


def epochs_of_line(epochs: int) -> int:
    """Find how many epochs there are from one line in the log to the next."""
    return max(1, epochs // LINES)


class MetricsFile(Callback):
    """One JSON object for each epoch in `metrics.jsonl`, and a plain line in the log.

    Rows of epochs that a resumed run does again are dropped first.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / "metrics.jsonl"
        self._started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the rows of the epochs before the one that starts."""
        if self.path is None:
            return
        earlier = {row["epoch"]: row for row in read_epochs(self.path.parent, once=False)}
        kept = [row for epoch, row in earlier.items() if epoch < trainer.current_epoch]
        write_jsonl(self.path, kept)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of this epoch."""
        validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if validated or not name.startswith("val_")
        }
        for name, value in metrics.items():
            check_finite(name, value)
        check_finite("weights", pl_module.state_dict())
        if self.path is None:
            return
        undefined = dict.fromkeys(getattr(pl_module, "undefined", ()) if validated else ())
        row: dict[str, Any] = {"epoch": trainer.current_epoch, **metrics, **undefined}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = round(time.perf_counter() - self._started, 3)
        append_jsonl(self.path, row)
        epochs = trainer.max_epochs or 1
        number = trainer.current_epoch + 1
        if number % epochs_of_line(epochs) == 0 or number in (1, epochs):
            figures = " ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            logger.info("epoch %d/%d %s (%.1f s)", number, epochs, figures, row["seconds"])
