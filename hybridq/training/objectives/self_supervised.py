"""Training without labels: a self-supervised method on images in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from hybridq.config import PretrainConfig
from hybridq.data.pool import Pool
from hybridq.data.transforms import prepare_images
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.ssl import ssl_entry
from hybridq.models.ssl.augment import Augment
from hybridq.models.ssl.entry import Method
from hybridq.training.batches import Batch, EpochBatches, TensorPairs, batch_loader
from hybridq.training.objectives.objective import Objective, Step
from hybridq.training.optimizer import decay_groups, warmup_cosine
from hybridq.training.pretraining.budget import warmup_steps
from hybridq.training.seeding import derive_seed, step_generator


class SelfSupervised(Objective):
    """The loss of two random views of each image.

    Args:
        config: Gives the method, its settings, and those of the optimiser.
        encoder: What is trained.
        images: `(count, channels, height, width)`, uint8.
        pool: The sets of the images, where they are several: each is normalised by its own mean
            and standard deviation.
        method: What takes the place of the one that the config names; it holds the encoder.
        loader: Batches in place of those of the images, each a tuple whose first entry is images.
    """

    def __init__(
        self,
        config: PretrainConfig,
        encoder: Encoder,
        images: Tensor,
        *,
        pool: Pool | None = None,
        method: Method | None = None,
        loader: DataLoader[Any] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.images = images
        scales = [(encoder.spec.mean, encoder.spec.std)]
        self.sets: Tensor | None = None
        if pool is not None and not pool.is_one:
            scales, self.sets = pool.statistics(), torch.from_numpy(pool.numbers)
        self.augment = Augment(
            config.augment,
            image_size=encoder.spec.image_size,
            mean=[mean for mean, _ in scales],
            std=[std for _, std in scales],
            colour=images.shape[1] == 3,
        )
        self.encoder = encoder
        if method is None:
            with step_generator(config.seed, 1):
                method = ssl_entry(config.ssl.name).build(encoder, config.ssl)
        self.method = method
        self._loader = loader

    def gather(self) -> None:
        """Compare with the views of all processes."""
        self.method.gather_views()

    def train_batches(self, rank: int, world_size: int) -> DataLoader[Any]:
        """Get batches in the order of (seed, epoch)."""
        if self._loader is not None:
            return self._loader
        batches = EpochBatches(
            len(self.images),
            self.config.batch_size,
            seed=derive_seed(self.config.seed, 2),
            rank=rank,
            world_size=world_size,
        )
        sets = torch.zeros(len(self.images), dtype=torch.long) if self.sets is None else self.sets
        return batch_loader(TensorPairs(self.images, sets), batches)

    def loss(self, batch: Batch, step: Step) -> Tensor:
        """Compute the method's loss of two fresh views of the batch."""
        images, sets = batch[0], None if self.sets is None else batch[1]
        with step_generator(self.config.seed, 3, *step):
            loss: Tensor = self.method((self.augment(images, sets), self.augment(images, sets)))
        return loss

    def prepared(self, chosen: NDArray[np.intp]) -> Tensor:
        """Prepare some whole images, `(count, 3, height, width)`, as the encoder reads them."""
        rows, spec = torch.from_numpy(chosen), self.encoder.spec
        device = next(self.method.parameters()).device
        images = self.images[rows].permute(0, 2, 3, 1).to(device)
        if self.sets is None:
            return self.encoder.prepare(images)
        plain = prepare_images(images, image_size=spec.image_size, mean=[0.0] * 3, std=[1.0] * 3)
        return self.augment.normalise(plain, self.sets[rows].to(device))

    def chance(self, world_size: int) -> float | None:
        """Get the loss of a method that has learned nothing, where it is known."""
        shared = len(self.images) // world_size
        return self.method.chance(world_size * min(self.config.batch_size, shared))

    def after_step(self, step: int, total: int) -> None:
        """Let the method do what follows a step."""
        self.method.after_step(step, total)

    def optimizer(self, steps: int, epochs: int) -> tuple[Optimizer, Any]:
        """Make AdamW with warm-up and cosine decay."""
        optimizer = torch.optim.AdamW(
            decay_groups(
                self.method,
                learning_rate=self.config.learning_rate,
                weight_decay=self.config.weight_decay,
            )
        )
        warmup = warmup_steps(self.config, steps, epochs)
        return optimizer, warmup_cosine(optimizer, warmup_steps=warmup, total_steps=steps)
