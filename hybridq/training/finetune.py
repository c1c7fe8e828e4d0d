"""Supervised training of encoder and head on a fraction of the labels.

The test split is never read here: recipes are chosen on train and validation.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor
from torch.utils.data import DataLoader

from hybridq.config import FinetuneConfig
from hybridq.data import ImageData, ImageSplit, data_record, labelled_subset, load_data
from hybridq.data.dataset import absent_classes
from hybridq.data.provenance import hashes_of_splits
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import ModelSpec, hashes_of, save_model
from hybridq.models.classifier import HybridClassifier, head_summary, probabilities
from hybridq.models.heads import is_fitted, num_trainable
from hybridq.models.ssl.augment import Augment
from hybridq.records.results import read_epochs
from hybridq.runs.recorded import check_same_data, recorded, resumed
from hybridq.training.batches import Batch, EpochBatches, TensorPairs, batch_loader
from hybridq.training.closed_form import check_fitted, fit_head
from hybridq.training.compute import check_compute, check_training_memory
from hybridq.training.criteria import auc_metric, loss_function, validation_auc
from hybridq.training.curriculum import check_circuits, check_curriculum, curriculum_for
from hybridq.training.engine import EngineNote, open_for_training
from hybridq.training.initial import initial_model
from hybridq.training.loop import (
    MetricsFile,
    fit,
    is_first_rank,
    make_trainer,
    shared_folder,
    trained_seconds,
    training_run,
)
from hybridq.training.on_hardware import check_training_backend, prepare_training
from hybridq.training.optimizer import decay_groups, head_groups, one_cycle
from hybridq.training.seeding import derive_seed, step_generator
from hybridq.utils.files import write_json
from hybridq.utils.finite import check_finite
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import listed
from hybridq_backends import Executable

logger = logging.getLogger("hybridq")

EVALUATION_BATCH = 128


class FinetuneModule(LightningModule):
    """Cross-entropy (or binary cross-entropy for several labels) on in-memory images."""

    def __init__(
        self, config: FinetuneConfig, model: HybridClassifier, train: ImageSplit, data: ImageData
    ) -> None:
        """Keep the labelled images of `train` and the validation split of `data`."""
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
        self.multilabel = data.task == "multilabel"
        self.binary = not self.multilabel and data.num_classes == 2
        self.train_labels = torch.from_numpy(train.labels)
        self.val_labels = torch.from_numpy(data.splits["val"].labels)
        self.val_inputs = self._inputs(data.splits["val"])
        self.train_inputs = self._inputs(train)
        self.criterion = loss_function(
            self.train_labels, data.num_classes, weighted=config.class_weights
        )
        self.val_auc = auc_metric(data)

    def _inputs(self, split: ImageSplit) -> Tensor:
        """The images as they are stored, or their features if the encoder is frozen."""
        if not self.config.freeze_encoder:
            return torch.from_numpy(split.images)
        features = torch.empty(len(split), *self.model.feature_shape)
        encoder = self.model.encoder.eval()
        with torch.inference_mode():
            for start in range(0, len(split), EVALUATION_BATCH):
                images = split.images[start : start + EVALUATION_BATCH]
                part = self.model.features(encoder.prepare(images))
                check_finite("features of the encoder", part)
                features[start : start + EVALUATION_BATCH] = part
        return features

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `(batch, num_classes)` of images, or of features if the encoder is frozen."""
        logits: Tensor = (
            self.model.head(inputs) if self.config.freeze_encoder else self.model(inputs)
        )
        return logits

    def train_dataloader(self) -> DataLoader[Batch]:
        """Labelled batches in the order of (seed, epoch)."""
        batches = EpochBatches(
            len(self.train_inputs),
            self.config.batch_size,
            seed=derive_seed(self.config.seed, 2),
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )
        return batch_loader(TensorPairs(self.train_inputs, self.train_labels), batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The validation split, whole on every rank."""
        dataset = TensorPairs(self.val_inputs, self.val_labels)
        order = list(range(len(dataset)))
        batches = [
            order[start : start + EVALUATION_BATCH]
            for start in range(0, len(order), EVALUATION_BATCH)
        ]
        return batch_loader(dataset, batches)  # type: ignore[arg-type]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of an augmented batch."""
        inputs, labels = batch
        with step_generator(self.config.seed, 3, self.current_epoch, batch_idx, self.global_rank):
            if not self.config.freeze_encoder:
                inputs = self.augment(inputs.permute(0, 3, 1, 2).contiguous())
            loss: Tensor = self.criterion(self(inputs).float(), labels)
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and AUC of the validation split."""
        inputs, labels = batch
        if not self.config.freeze_encoder:
            inputs = self.model.encoder.prepare(inputs)
        logits = self(inputs).float()
        loss = self.criterion(logits, labels)
        scores = probabilities(logits.cpu().double(), multilabel=self.multilabel)
        self.val_auc.update(scores[:, 1] if self.binary else scores, labels.cpu())
        self.log("val_loss", loss, on_epoch=True, sync_dist=True, batch_size=len(labels))

    def on_validation_epoch_end(self) -> None:
        """Log the AUC of the whole split, which every rank has."""
        self.log("val_auc", validation_auc(self.val_auc, self.val_labels))

    def configure_optimizers(self) -> Any:
        """AdamW in one cycle, with learning rates for encoder, head and the head's block."""
        config = self.config
        groups = decay_groups(
            self.model.encoder,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        groups += head_groups(
            self.model.head,
            learning_rate=config.head_learning_rate,
            block_learning_rate=config.quantum_learning_rate,
            weight_decay=config.weight_decay,
        )
        optimizer, schedule = one_cycle(groups, int(self.trainer.estimated_stepping_batches))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


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


def finetune(config: FinetuneConfig) -> Path:
    """Train a classifier; return its run folder, with the model kept in it.

    Raises:
        HybridqError: if data, encoder, head, backend or settings cannot be used; nothing is
            written then.
        KeyboardInterrupt: when stopped; `--resume` goes on from the last checkpoint.
    """
    given, resume = config, config.resume
    config = resumed(given, "finetune")
    if config.patience and config.keep == "last":
        raise InvalidValueError(
            "Expected --keep best with --patience, got --keep last: the last epoch is only worth "
            "keeping when the learning rate has come down."
        )
    if config.epochs % config.val_every:
        raise InvalidValueError(
            f"Expected --epochs that is a multiple of --val-every, got {config.epochs} and "
            f"{config.val_every}: the last epoch has to be read."
        )
    check_training_backend(config)
    check_curriculum(config)
    check_compute(config.compute)
    pseudonyms = pseudonyms_of(config, folder=config.runs)
    data = load_data(
        config.data,
        data_root=config.data_root,
        splits=("train", "val"),
        positive=config.positive,
        pseudonyms=pseudonyms,
    )
    check_same_data(given, "finetune", data)
    config = recorded(config, data, pseudonyms)
    train = labelled_subset(data, "train", config.labels, seed=config.seed)
    if len(train) < 2:
        raise InvalidValueError(
            f"Expected at least 2 labelled images, got {len(train)}: raise --labels."
        )
    model = initial_model(config, data)
    check_circuits(config, model)
    check_fitted(config, model)
    backend, note = open_for_training(config, model, resume)
    with backend:
        model.use_backend(backend)
        if not config.freeze_encoder:
            check_training_memory(
                config.compute,
                image_size=model.encoder.spec.image_size,
                stem=model.encoder.spec.stem,
                images=min(config.batch_size, len(train)),
            )
        return _train(config, model, train, data, backend, note, resume)


def _train(
    config: FinetuneConfig,
    model: HybridClassifier,
    train: ImageSplit,
    data: ImageData,
    backend: Executable,
    note: EngineNote | None,
    resume: Path | None,
) -> Path:
    module = FinetuneModule(config, model, train, data)
    record = data_record(data)
    with training_run(
        config,
        "finetune",
        f"{data.name}-{config.head.name}",
        resume=resume,
        data=record,
        backend=backend.describe(),
    ) as folder:
        spec = ModelSpec(
            encoder=model.encoder.spec,
            head=config.head,
            task=data.task,
            class_names=data.class_names,
            positive=data.positive,
            data=data.name,
            data_licence=data.licence,
            labels=config.labels,
            backend=config.backend,
            seed=config.seed,
            data_hashes=hashes_of_splits(record),
        )
        writable = folder if is_first_rank(config.compute) else None
        keeper = KeepModel(writable, model, spec, config.keep)
        stages = curriculum_for(config, model, backend)
        elsewhere = prepare_training(config, model, backend, writable)
        callbacks: list[Callback] = [keeper, MetricsFile(writable)]
        callbacks += [one for one in (stages, elsewhere) if one is not None]
        if config.patience:
            readings = math.ceil(config.patience / config.val_every)
            callbacks.append(EarlyStopping("val_auc", mode="max", patience=readings))
        trainer = make_trainer(
            config.compute,
            epochs=config.epochs,
            folder=folder,
            checkpoint_every=config.checkpoint_every,
            val_every=config.val_every,
            callbacks=callbacks,
        )
        logger.info("run folder %s", folder)
        logger.info("%s", describe(config, model, train, data))
        if note is not None:
            note.log()
        if lacking := listed(absent_classes(data, "val")):
            told = "told as 0" if data.num_classes == 2 else "left out of the mean"
            logger.warning("no %s in validation: its AUC is undefined, and %s", lacking, told)
        if is_fitted(model.head):
            if folder is not None and trainer.is_global_zero:
                keeper.kept = fit_head(module, folder, spec)
        else:
            try:
                fit(trainer, module, resume)
            finally:
                if stages is not None:
                    stages.close()
        if folder is not None and trainer.is_global_zero:
            result = {
                "kept": keeper.kept,
                "epochs": len(read_epochs(folder)),
                "labelled_images": len(train),
                "trainable_parameters": num_trainable(model),
                "head_parameters": num_trainable(model.head),
                "circuit_jobs": backend.num_jobs + (0 if stages is None else stages.num_jobs),
                "seconds": trained_seconds(folder),
                "hashes": hashes_of(folder),
            }
            write_json(folder / "result.json", result)
            logger.info(
                "kept epoch %d: validation AUC %.4f; figures: hybridq evaluate %s",
                keeper.kept["epoch"] + 1,
                keeper.kept["val_auc"],
                folder,
            )
    return shared_folder(trainer, folder)


def describe(
    config: FinetuneConfig, model: HybridClassifier, train: ImageSplit, data: ImageData
) -> str:
    """One line on what is about to be trained."""
    encoder = "frozen" if config.freeze_encoder else "trained"
    start = model.encoder.spec.weights if config.start is None else f"the run {config.start}"
    positive = "" if data.positive is None else f"; positive: {data.class_names[data.positive]}"
    return (
        f"{len(train)} labelled images of {data.name} ({listed(data.class_names)}{positive}), "
        f"encoder {encoder} from {start}, head {config.head.name} "
        f"({head_summary(model.head)}), backend {config.backend}"
    )
