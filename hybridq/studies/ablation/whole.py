"""The whole network, encoder and head, trained from scratch or from SimCLR."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hybridq.config import AblationStudyConfig, EncoderConfig, FinetuneConfig, HeadConfig
from hybridq.evaluation.evaluate import classify, threshold_for
from hybridq.evaluation.metrics.scores import auc
from hybridq.models.checkpoint import load_model
from hybridq.models.encoders.file import load_encoder
from hybridq.models.heads import circuit_parameters
from hybridq.quantum.modules import quantum_parameters
from hybridq.runs.folder import read_result
from hybridq.studies.ablation.encoders import finished_run, study_data
from hybridq.studies.ablation.frozen import cut_labels, with_cut
from hybridq.studies.ablation.grid import Start, frozen_arms, whole_model
from hybridq.training.batches import EpochBatches
from hybridq.training.finetune import finetune
from hybridq_backends import open_backend

PAUSES = 12
"""Checkpoints of a training, so that a kill costs little of it, and readings of validation."""


@dataclass(frozen=True)
class WholeWork:
    """One network of one seed: trained by `finetune`, then the test images.

    Attributes:
        config: Of the study.
        folder: Of the study.
        start: Weights the encoder begins with.
        head: Name of the head.
        seed: Of encoder, labels and training.
        fraction: Of the labels.
        run: Of SimCLR, that seed; it also gives the size of the input.
    """

    config: AblationStudyConfig
    folder: Path
    start: Start
    head: str
    seed: int
    fraction: float
    run: Path

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"{self.start}-{self.head}-s{self.seed}-l{self.fraction:g}"

    def compute(self) -> dict[str, Any]:
        """One model."""
        data = study_data(self.config, "train", "val")
        cut = cut_labels(data, self.fraction, seed=self.seed)
        recipe = self._recipe(len(cut["train"]))

        def train(begun: Path | None) -> Path:
            if begun is None:
                return finetune(recipe)
            return finetune(
                FinetuneConfig(resume=begun, data=recipe.data, pseudonym_key=recipe.pseudonym_key)
            )

        run = finished_run(recipe.runs, "finetune", self.name, train)
        with open_backend(recipe.backend) as backend:
            model, _ = load_model(run, backend=backend)
            data = with_cut(data, cut)
            multilabel = data.task == "multilabel"
            read = partial(classify, model, multilabel=multilabel, views=self.config.views)
            on_val = read(data.splits["val"])
            probs = read(study_data(self.config, "test").splits["test"])
            block = circuit_parameters(model.head)
        trained = read_result(run, "finetune")
        return {
            "run": run.relative_to(self.folder).as_posix(),
            "models": [
                {
                    "model": whole_model(self.start, self.head),
                    "training": "whole",
                    "encoder": self.start,
                    "head": self.head,
                    "labels": self.fraction,
                    "seed": self.seed,
                    "train_images": len(cut["train"]),
                    "val_images": len(cut["val"]),
                    "steps": trained["epochs"] * _steps(len(cut["train"]), recipe),
                    "learning_rate": recipe.learning_rate,
                    "block_learning_rate": recipe.quantum_learning_rate if block else None,
                    "parameters": trained["trainable_parameters"],
                    "circuit_parameters": sum(w.numel() for w in quantum_parameters(model.head)),
                    "val_auc": auc(data.splits["val"].labels, on_val),
                    "threshold": threshold_for(data, on_val),
                    "probs": probs.tolist(),
                }
            ],
        }

    def _recipe(self, images: int) -> FinetuneConfig:
        spec = load_encoder(self.run).spec
        pretrained = {"encoder": EncoderConfig(weights=str(self.run))}
        head: HeadConfig = frozen_arms(self.config)[self.head].head
        network = EncoderConfig(name=spec.architecture)
        scratch = {"encoder": network, "stem": spec.stem}
        recipe = FinetuneConfig(
            pseudonyms=self.config.pseudonyms,
            pseudonym_key=self.config.pseudonym_key,
            data=self.config.data,
            data_root=self.config.data_root,
            positive=self.config.positive,
            labels=self.fraction,
            head=head,
            image_size=self.config.image_size or spec.image_size,
            seed=self.seed,
            runs=self.folder / "whole",
            name=self.name,
        ).model_copy(update=scratch if self.start == "scratch" else pretrained)
        epochs = math.ceil(self.config.whole_steps / _steps(images, recipe))
        every = max(1, epochs // PAUSES)
        epochs = every * math.ceil(epochs / every)
        return recipe.model_copy(
            update={"epochs": epochs, "checkpoint_every": every, "val_every": every}
        )


def _steps(images: int, recipe: FinetuneConfig) -> int:
    """Optimiser steps of an epoch."""
    return len(EpochBatches(images, recipe.batch_size, seed=0))
