"""Training with labels: encoder and head, or the head alone, on images in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from hybridq.config import FinetuneConfig
from hybridq.data import ImageData, ImageSplit
from hybridq.models.classifier import HybridClassifier
from hybridq.models.reducers import reducer_of
from hybridq.models.ssl.augment import Augment
from hybridq.training.balancing.oversampling import (
    OVERSAMPLED,
    balanced_chances,
    oversampled,
)
from hybridq.training.batches import Batch, EpochBatches, TensorPairs, batch_loader
from hybridq.training.objectives.criteria import Criterion, ValidationAuc, loss_function
from hybridq.training.objectives.objective import Objective, Step
from hybridq.training.optimizer import head_groups, one_cycle, stage_groups
from hybridq.training.seeding import derive_seed, step_generator
from hybridq.utils.finite import check_finite

EVALUATION_BATCH = 128


class Supervised(Objective):
    """Cross-entropy, or binary cross-entropy for several labels.

    With a frozen encoder the features are computed once, here, and the head alone is trained.

    Args:
        config: Gives augmentation, batches, and the settings of the optimiser.
        model: What is trained.
        train: The labelled images.
        data: Its validation split is read.
        criterion: A function of logits and labels that gives a loss, in place of the usual one.
        loader: Batches in place of those of `train`: inputs, uint8 `(batch, height, width,
            channels)` or features if the encoder is frozen, and labels.
    """

    validates = True

    def __init__(
        self,
        config: FinetuneConfig,
        model: HybridClassifier,
        train: ImageSplit,
        data: ImageData,
        *,
        criterion: Criterion | None = None,
        loader: DataLoader[Any] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.model = model
        spec = model.encoder.spec
        self.augment = Augment(
            config.augment,
            image_size=spec.image_size,
            mean=spec.mean,
            std=spec.std,
            colour=train.images.shape[3] == 3,
        )
        self.num_classes = data.num_classes
        self.multilabel = data.task == "multilabel"
        self.train_labels = torch.from_numpy(train.labels)
        self.val_labels = torch.from_numpy(data.splits["val"].labels)
        self.val_inputs = self._inputs(data.splits["val"])
        self.train_inputs = self._inputs(train)
        self._fit_reducer(data.splits["train"])
        self.num_labelled = len(train)
        if config.balance in OVERSAMPLED:
            self.train_inputs, self.train_labels = oversampled(
                config.balance,
                self.train_inputs,
                self.train_labels,
                seed=derive_seed(config.seed, 12) % 2**32,
            )
        usual = loss_function(
            self.train_labels, data.num_classes, weighted=config.balance == "weights"
        )
        self.criterion: Criterion = usual if criterion is None else criterion
        self.val_auc = ValidationAuc(multilabel=self.multilabel)
        self._loader = loader

    def _inputs(self, split: ImageSplit) -> Tensor:
        """The images as they are stored, or their features if the encoder is frozen."""
        images = torch.from_numpy(split.images)
        return self.features_of(images) if self.config.freeze_encoder else images

    def features_of(self, images: Tensor) -> Tensor:
        """Compute the input of the head from images `(count, height, width, channels)`, uint8.

        The encoder is in evaluation mode, and as it is: there is neither a gradient nor a random
        change.
        """
        features = torch.empty(len(images), *self.model.feature_shape)
        encoder = self.model.encoder
        training = encoder.training
        encoder.eval()
        with torch.inference_mode():
            for start in range(0, len(images), EVALUATION_BATCH):
                prepared = encoder.prepare(images[start : start + EVALUATION_BATCH])
                part = self.model.features(prepared)
                check_finite("features of the encoder", part)
                features[start : start + EVALUATION_BATCH] = part
        encoder.train(training)
        return features

    def _fit_reducer(self, every: ImageSplit) -> None:
        """Fit principal components to the features of all train images, labelled or not."""
        reducer = reducer_of(self.model.head)
        if reducer is None or reducer.is_ready:
            return
        same = len(every) == len(self.train_labels)
        reducer.fit(self.train_inputs if same else self._inputs(every))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `(batch, num_classes)` of images, or of features if the encoder is frozen."""
        logits: Tensor = (
            self.model.head(inputs) if self.config.freeze_encoder else self.model(inputs)
        )
        return logits

    @property
    def chances(self) -> NDArray[np.float64] | None:
        """The chances with which images are drawn, `(images,)`; None where each comes once."""
        if self.config.balance != "sampler":
            return None
        found: NDArray[np.float64] = balanced_chances(self.train_labels).numpy()
        return found

    def train_batches(self, rank: int, world_size: int) -> DataLoader[Any]:
        """Get labelled batches in the order of (seed, epoch)."""
        if self._loader is not None:
            return self._loader
        batches = EpochBatches(
            len(self.train_inputs),
            self.config.batch_size,
            seed=derive_seed(self.config.seed, 2),
            rank=rank,
            world_size=world_size,
            chances=self.chances,
        )
        return batch_loader(TensorPairs(self.train_inputs, self.train_labels), batches)

    def val_batches(self) -> DataLoader[Any]:
        """Get the validation split, in its order."""
        dataset = TensorPairs(self.val_inputs, self.val_labels)
        order = list(range(len(dataset)))
        batches = [
            order[start : start + EVALUATION_BATCH]
            for start in range(0, len(order), EVALUATION_BATCH)
        ]
        return batch_loader(dataset, batches)  # type: ignore[arg-type]

    def loss(self, batch: Batch, step: Step) -> Tensor:
        """Compute the loss of an augmented batch."""
        inputs, labels = batch
        with step_generator(self.config.seed, 3, *step):
            if not self.config.freeze_encoder:
                inputs = self.augment(inputs.permute(0, 3, 1, 2).contiguous())
            loss: Tensor = self.criterion(self(inputs).float(), labels)
        return loss

    def validate(self, batch: Batch) -> Mapping[str, Tensor]:
        """Compute the loss, and keep the scores for the AUC."""
        inputs, labels = batch
        if not self.config.freeze_encoder:
            inputs = self.model.encoder.prepare(inputs)
        logits = self(inputs).float()
        loss = self.criterion(logits, labels)
        self.val_auc.update(logits, labels)
        return {"loss": loss}

    def figures(self) -> Mapping[str, float | None]:
        """Compute the AUC of the whole split, which every process has."""
        return {"auc": self.val_auc.compute()}

    def optimizer(self, steps: int, epochs: int) -> tuple[Optimizer, Any]:
        """Make AdamW in one cycle, with learning rates for encoder, head and its circuits."""
        config = self.config
        groups = stage_groups(
            self.model.encoder,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            layer_decay=config.layer_decay,
        )
        groups += head_groups(
            self.model.head,
            learning_rate=config.head_rate,
            block_learning_rate=config.quantum_learning_rate,
            weight_decay=config.weight_decay,
        )
        return one_cycle(groups, steps)
