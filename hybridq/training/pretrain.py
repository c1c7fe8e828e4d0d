"""Self-supervised pretraining of an encoder on the train split, labels unseen."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from hybridq.config import PretrainConfig
from hybridq.data import ImageData, data_record, load_data
from hybridq.data.source import is_own
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.file import FILE as ENCODER
from hybridq.models.encoders.file import save_encoder
from hybridq.models.encoders.initial import encoder_for
from hybridq.models.ssl import ssl_entry
from hybridq.models.ssl.augment import Augment
from hybridq.records.results import read_epochs
from hybridq.runs.recorded import check_same_data, recorded, resumed
from hybridq.training.batches import Batch, EpochBatches, TensorPairs, batch_loader
from hybridq.training.compute import check_compute, check_training_memory
from hybridq.training.loop import (
    MetricsFile,
    fit,
    is_first_rank,
    make_trainer,
    shared_folder,
    trained_seconds,
    training_run,
)
from hybridq.training.optimizer import decay_groups, warmup_cosine
from hybridq.training.seeding import derive_seed, step_generator
from hybridq.utils.files import write_json
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.weights import hash_of_file

logger = logging.getLogger("hybridq")

OWN = "own images"
"""What an encoder file calls the user's own data, whose name may tell of patients."""


class PretrainModule(LightningModule):
    """A method on in-memory images, with the randomness of a step taken from where it stands."""

    def __init__(self, config: PretrainConfig, encoder: Encoder, images: Tensor) -> None:
        """Keep `images`, uint8 `(count, channels, height, width)`."""
        super().__init__()
        self.config = config
        self.images = images
        self.augment = Augment(
            config.augment,
            image_size=encoder.spec.image_size,
            mean=encoder.spec.mean,
            std=encoder.spec.std,
            colour=images.shape[1] == 3,
        )
        self.encoder = encoder
        with step_generator(config.seed, 1):
            self.method = ssl_entry(config.ssl.name).build(encoder, config.ssl)

    def setup(self, stage: str) -> None:
        """Compare with the views of all processes where there are several."""
        if self.trainer.world_size > 1:
            self.method.gather_views()

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of (seed, epoch)."""
        batches = EpochBatches(
            len(self.images),
            self.config.batch_size,
            seed=derive_seed(self.config.seed, 2),
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )
        labels = torch.zeros(len(self.images), dtype=torch.long)
        return batch_loader(TensorPairs(self.images, labels), batches)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of two fresh views of the batch."""
        images = batch[0]
        position = (self.config.seed, 3, self.current_epoch, batch_idx, self.global_rank)
        with step_generator(*position):
            loss: Tensor = self.method((self.augment(images), self.augment(images)))
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(images))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Let the method do what follows a step."""
        total = int(self.trainer.estimated_stepping_batches)
        self.method.after_step(self.trainer.global_step - 1, total)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay."""
        optimizer = torch.optim.AdamW(
            decay_groups(
                self.method,
                learning_rate=self.config.learning_rate,
                weight_decay=self.config.weight_decay,
            )
        )
        steps = int(self.trainer.estimated_stepping_batches)
        per_epoch = steps // self.config.epochs
        warmup = min(self.config.warmup_epochs, self.config.epochs // 4) * per_epoch
        schedule = warmup_cosine(optimizer, warmup_steps=warmup, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def pretrain(config: PretrainConfig) -> Path:
    """Pretrain an encoder; return its run folder, with `encoder.safetensors` in it.

    Raises:
        HybridqError: if data, encoder or settings cannot be used; nothing is written then.
        KeyboardInterrupt: when stopped; `--resume` goes on from the last checkpoint.
    """
    given, resume = config, config.resume
    config = resumed(given, "pretrain")
    check_compute(config.compute)
    pseudonyms = pseudonyms_of(config, folder=config.runs)
    data = load_data(
        config.data, data_root=config.data_root, splits=("train",), pseudonyms=pseudonyms
    )
    check_same_data(given, "pretrain", data)
    config = recorded(config, data, pseudonyms)
    encoder = initial_encoder(config, data)
    images = torch.from_numpy(data.splits["train"].images).permute(0, 3, 1, 2).contiguous()
    if len(images) < 2:
        raise InvalidValueError(
            f"Expected at least 2 training images, got {len(images)}: the methods compare images."
        )
    check_training_memory(
        config.compute,
        image_size=encoder.spec.image_size,
        stem=encoder.spec.stem,
        images=2 * min(config.batch_size, len(images)),
    )
    with training_run(
        config, "pretrain", data.name, resume=resume, data=data_record(data)
    ) as folder:
        module = PretrainModule(config, encoder, images)
        trainer = make_trainer(
            config.compute,
            epochs=config.epochs,
            folder=folder,
            checkpoint_every=config.checkpoint_every,
            callbacks=[MetricsFile(folder if is_first_rank(config.compute) else None)],
        )
        logger.info("run folder %s", folder)
        logger.info(
            "%s of %s on %d images of %s, %d px, %s stem",
            ssl_entry(config.ssl.name).label,
            encoder.spec.label,
            len(images),
            data.name,
            encoder.spec.image_size,
            encoder.spec.stem,
        )
        fit(trainer, module, resume)
        if folder is not None and trainer.is_global_zero:
            path = folder / ENCODER
            save_encoder(encoder, path)
            write_json(
                folder / "result.json",
                {
                    "method": config.ssl.name,
                    "loss": read_epochs(folder)[-1]["loss"],
                    "epochs": config.epochs,
                    "images": len(images),
                    "seconds": trained_seconds(folder),
                    "encoder": encoder.spec.model_dump(mode="json"),
                    "hashes": {"encoder": hash_of_file(path)},
                },
            )
    return shared_folder(trainer, folder)


def initial_encoder(config: PretrainConfig, data: ImageData) -> Encoder:
    """The encoder that pretraining starts from, normalised for the images of `data`."""
    encoder = encoder_for(
        data.splits["train"].images,
        config.encoder,
        image_size=config.image_size,
        stem=config.stem,
        seed=config.seed,
    )
    method = config.ssl.name
    encoder.spec = encoder.spec.model_copy(
        update={
            "weights": f"{method} on {OWN if data.own else data.name}"
            + ("" if encoder.spec.weights == "none" else f", from {_origin(encoder.spec.weights)}"),
            "data_licence": data.licence
            if encoder.spec.data_licence == "none"
            else f"{data.licence}; {encoder.spec.data_licence}",
        }
    )
    return encoder


def _origin(weights: str) -> str:
    """Where an encoder's weights come from, without names of anybody's own data."""
    steps = []
    for step in weights.split(", from "):
        method, on, data = step.partition(" on ")
        steps.append(f"{method} on {OWN}" if on and is_own(data) else step)
    return ", from ".join(steps)
