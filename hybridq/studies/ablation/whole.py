"""The whole network, encoder and head, trained from scratch or from SimCLR."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hybridq.config import EncoderConfig, FinetuneConfig
from hybridq.data import labelled_data
from hybridq.evaluation.evaluate import classify
from hybridq.models.checkpoint import load_model
from hybridq.models.encoders.file import load_encoder
from hybridq.models.heads import circuit_parameters
from hybridq.quantum.modules import quantum_parameters
from hybridq.runs.folder import read_result
from hybridq.studies.ablation.encoders import recipe_of
from hybridq.studies.ablation.grid import Start, frozen_arms, whole_model
from hybridq.studies.ablation.labels import SeedWork, judged, study_data
from hybridq.training.batches import EpochBatches
from hybridq.training.finetune import finetune
from hybridq.training.run import finished_run
from hybridq_backends import open_backend

PAUSES = 12
"""Checkpoints of a training, so that a kill costs little of it, and readings of validation."""


@dataclass(frozen=True)
class WholeWork(SeedWork):
    """One network of one seed: trained by `finetune`, then the test images.

    Attributes:
        start: Weights the encoder begins with.
        head: Name of the head.
        fraction: Of the labels.
        run: Of SimCLR, that seed; it also gives the size of the input.
    """

    start: Start
    head: str
    fraction: float
    run: Path

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"{self.start}-{self.head}-s{self.seed}-l{self.fraction:g}"

    def compute(self) -> dict[str, Any]:
        """One model."""
        data = study_data(self.config, "train", "val")
        data, _ = labelled_data(data, self.fraction, seed=self.seed)
        images = len(data.splits["train"])
        recipe = self._recipe(images)
        run = finished_run(recipe, finetune)
        trained = read_result(run, "finetune")
        with open_backend(recipe.backend) as backend:
            model, _ = load_model(run, backend=backend)
            multilabel = data.task == "multilabel"
            read = partial(classify, model, multilabel=multilabel, views=self.config.views)
            one = judged(
                data,
                read(data.splits["val"]),
                read(study_data(self.config, "test").splits["test"]),
                model=whole_model(self.start, self.head),
                training="whole",
                encoder=self.start,
                head=self.head,
                labels=self.fraction,
                seed=self.seed,
                steps=trained["epochs"] * _steps(images, recipe),
                learning_rate=recipe.learning_rate,
                block_learning_rate=(
                    recipe.quantum_learning_rate if circuit_parameters(model.head) else None
                ),
                parameters=trained["trainable_parameters"],
                circuit_parameters=sum(w.numel() for w in quantum_parameters(model.head)),
            )
        return {"run": run.relative_to(self.folder).as_posix(), "models": [one]}

    def _recipe(self, images: int) -> FinetuneConfig:
        spec = load_encoder(self.run).spec
        begin: dict[str, Any] = {"encoder": EncoderConfig(weights=str(self.run))}
        if self.start == "scratch":
            begin = {"encoder": EncoderConfig(name=spec.architecture), "stem": spec.stem}
        recipe = recipe_of(
            FinetuneConfig,
            self.config,
            labels=self.fraction,
            head=frozen_arms(self.config)[self.head].head,
            image_size=self.config.image_size or spec.image_size,
            seed=self.seed,
            runs=self.folder / "whole",
            name=self.name,
            **begin,
        )
        epochs = math.ceil(self.config.whole_steps / _steps(images, recipe))
        every = max(1, epochs // PAUSES)
        epochs = every * math.ceil(epochs / every)
        return recipe.model_copy(
            update={"epochs": epochs, "checkpoint_every": every, "val_every": every}
        )


def _steps(images: int, recipe: FinetuneConfig) -> int:
    """Optimiser steps of an epoch."""
    return len(EpochBatches(images, recipe.batch_size, seed=0))
