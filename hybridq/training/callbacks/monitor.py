"""What the features of a pretraining are worth, at a few of its epochs."""

from __future__ import annotations

import logging
import math

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from hybridq.data import ImageSplit
from hybridq.training.callbacks.metrics_file import epochs_of_line
from hybridq.training.objectives.self_supervised import SelfSupervised
from hybridq.training.pretraining.representation import (
    SAMPLE,
    figures_of,
    has_collapsed,
    knn_auc,
)
from hybridq.training.seeding import derive_seed

logger = logging.getLogger("hybridq")

BATCH = 128
POINTS = 10
"""Epochs at which features are looked at, at most."""
COST = 0.02
"""The largest share of the time that this may take, but for the last epoch."""
PASSES = 6
"""What a step computes of an image, in forward passes: two views, forward and backward."""


class FeatureMonitor(Callback):
    """Logs RankMe and the spread of a sample's features, and warns where they collapse.

    The sample is the same at every epoch. No label is read, unless a split is given.

    Args:
        objective: The objective whose encoder is looked at.
        probe: The train split, whose labels give a vote of nearest neighbours as well.
    """

    def __init__(self, objective: SelfSupervised, probe: ImageSplit | None = None) -> None:
        self.objective = objective
        self.seed = derive_seed(objective.config.seed, 4)
        count = len(objective.images)
        drawn = np.random.default_rng(self.seed).choice(count, min(SAMPLE, count), replace=False)
        self.sample = np.sort(drawn)
        self.probe = None if probe is None else probe.take(self.sample)
        self._told = False

    def every(self, epochs: int, of_epoch: int) -> int:
        """Find how many epochs there are from one look to the next.

        Args:
            epochs: The epochs of the training.
            of_epoch: Steps of each.
        """
        cost = len(self.sample) / (PASSES * self.objective.config.batch_size)  # in steps
        least = max(epochs / POINTS, cost / COST / of_epoch)
        lines = epochs_of_line(epochs)
        return lines * math.ceil(least / lines)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the figures of the epoch before."""
        for name in ("rankme", "spread", "knn_auc"):
            trainer.callback_metrics.pop(name, None)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the features, if it is time to."""
        epochs, number = trainer.max_epochs or 1, trainer.current_epoch + 1
        every = self.every(epochs, int(trainer.num_training_batches))
        if (number % every and number != epochs) or not trainer.is_global_zero:
            return
        features = self.features()
        if not np.isfinite(features).all():  # the training has diverged, and is stopped
            return
        figures = figures_of(features)
        if self.probe is not None:
            area = knn_auc(features, self.probe, seed=self.seed % 2**32)
            figures |= {} if math.isnan(area) else {"knn_auc": area}
        for name, value in figures.items():
            pl_module.log(name, value, rank_zero_only=True)
        if has_collapsed(figures) and len(self.sample) > POINTS and not self._told:
            self._told = True
            logger.warning(
                "epoch %d: the features of %d images have collapsed (RankMe %.2f, spread %.3f): "
                "take a lower --learning-rate, a larger --batch-size or another --ssl",
                number,
                len(self.sample),
                figures["rankme"],
                figures["spread"],
            )

    @torch.inference_mode()
    def features(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Compute the features `(images, features)` of the sample, in evaluation mode."""
        encoder = self.objective.encoder
        training = encoder.training
        encoder.eval()
        parts = []
        for start in range(0, len(self.sample), BATCH):
            inputs = self.objective.prepared(self.sample[start : start + BATCH])
            parts.append(encoder(inputs).double().cpu())
        encoder.train(training)
        return torch.cat(parts).numpy()
