"""The whole network, encoder and head, trained from scratch or from a pretrained encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.config import EncoderConfig, FinetuneConfig
from hybridq.data import ImageData, ImageSplit
from hybridq.evaluation.evaluate import classify
from hybridq.models.checkpoint import load_model
from hybridq.models.encoders.file import load_encoder
from hybridq.models.heads import circuit_parameters
from hybridq.models.searched_regression import balanced_log_loss
from hybridq.quantum.modules import quantum_parameters
from hybridq.runs.folder import read_result
from hybridq.studies.ablation.encoders import recipe_of
from hybridq.studies.ablation.grid import (
    SCRATCH,
    Budget,
    arm_of,
    whole_heads,
    whole_model,
    whole_rates,
)
from hybridq.studies.ablation.labels import SeedWork, cell_seed, cut, labelled_rows, study_data
from hybridq.training.batches import EpochBatches
from hybridq.training.finetune import finetune
from hybridq.training.initial import Handed
from hybridq.training.run import finished_run
from hybridq_backends import open_backend

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

FOLDS = 2
"""Parts of the cross-validation by which the encoder's rate is chosen."""
SEARCHED = 2
"""Encoders, or draws of initial weights, of that search: the first of the study's."""
PAUSES = 12
"""Checkpoints of a training, so that a kill costs little of it."""


@dataclass(frozen=True)
class _Whole(SeedWork):
    """Whole networks with one start and one budget.

    Attributes:
        start: `scratch`, or the method of pretraining.
        budget: The amount of labelled images.
        run: The pretraining of that seed; it also gives the size of the input.
    """

    start: str
    budget: Budget
    run: Path

    def _train(
        self, name: str, train: ImageSplit, data: ImageData, head: str, rate: float, seed: int
    ) -> tuple[Path, FinetuneConfig]:
        """Train a network on some labelled images, or find it trained; return its run."""
        recipe = self._recipe(name, len(train), head, rate, seed)
        # Validation is read for the log alone: nothing is chosen by it.
        own = replace(data, splits={"train": train, "val": data.splits["val"]})
        return finished_run(recipe, partial(finetune, handed=Handed(data=own))), recipe

    def _recipe(self, name: str, images: int, head: str, rate: float, seed: int) -> FinetuneConfig:
        spec = load_encoder(self.run).spec
        begin: dict[str, Any] = {
            "encoder": EncoderConfig(weights=str(self.run)),
            "probe_steps": self.config.whole_probe_steps,
            "layer_decay": self.config.whole_layer_decay,
        }
        if self.start == SCRATCH:
            begin = {"encoder": EncoderConfig(name=spec.architecture), "stem": spec.stem}
        recipe = recipe_of(
            FinetuneConfig,
            self.config,
            head=arm_of(self.config, head).head,
            learning_rate=rate,
            image_size=self.config.image_size or spec.image_size,
            seed=seed,
            runs=self.folder / "whole",
            name=name,
            **begin,
        )
        epochs = math.ceil(self.config.whole_steps / steps_of(images, recipe))
        every = max(1, epochs // PAUSES)
        epochs = every * math.ceil(epochs / every)
        return recipe.model_copy(
            update={"epochs": epochs, "checkpoint_every": every, "val_every": epochs}
        )


@dataclass(frozen=True)
class RateWork(_Whole):
    """The search for the encoder's rate, by cross-validation within the first subset's labels."""

    @property
    def name(self) -> str:
        """The unit's name."""
        return f"{self.start}-s{self.seed}-l{self.budget.share:g}"

    def compute(self) -> dict[str, Any]:
        """Give the held-out log loss of every rate, with the first of the heads."""
        data = study_data(self.config, "train", "val")
        train, head = data.splits["train"], whole_heads(self.config)[0]
        rows = labelled_rows(data, self.config, self.budget)[:1]
        folds = cut(data, rows, self.config, FOLDS)[0]
        seed = cell_seed(self.config, self.seed, 0)
        losses = []
        for rate in whole_rates(self.config):
            found = []
            for part, (fitted, held) in enumerate(folds):
                name = f"search-{self.name}-r{rate:g}-{part}"
                run, recipe = self._train(name, train.take(fitted), data, head, rate, seed)
                probs = read_run(run, recipe, data, train.take(held), self.config.views)
                found.append(balanced_log_loss(train.labels[held], probs))
            losses.append(float(np.mean(found)) if found else None)
        return {"losses": losses}


@dataclass(frozen=True)
class WholeWork(_Whole):
    """One network of one cell: trained by `finetune`, then the test images.

    Attributes:
        head: The name of the head.
        subset: The choice of labelled images.
        rate: Peak rate of the encoder.
    """

    head: str
    subset: int
    rate: float

    @property
    def name(self) -> str:
        """The unit's name."""
        return f"{self.start}-{self.head}-s{self.seed}-c{self.subset}-l{self.budget.share:g}"

    def compute(self) -> dict[str, Any]:
        """Train the model and give its probabilities of the test images."""
        data = study_data(self.config, "train", "val")
        rows = labelled_rows(data, self.config, self.budget)[self.subset]
        train = data.splits["train"].take(rows)
        seed = cell_seed(self.config, self.seed, self.subset)
        run, recipe = self._train(self.name, train, data, self.head, self.rate, seed)
        trained = read_result(run, "finetune")
        test = study_data(self.config, "test").splits["test"]
        probs = read_run(run, recipe, data, test, self.config.views)
        with open_backend(recipe.backend) as backend:
            model, _ = load_model(run, backend=backend)
        return {
            "run": run.relative_to(self.folder).as_posix(),
            "probs": probs.tolist(),
            "models": [
                {
                    "model": whole_model(self.start, self.head),
                    "training": "whole",
                    "encoder": self.start,
                    "head": self.head,
                    "labels": self.budget.share,
                    "seed": self.seed,
                    "train_images": len(train),
                    "steps": trained["epochs"] * steps_of(len(train), recipe),
                    "learning_rate": self.rate,
                    "block_learning_rate": (
                        recipe.quantum_learning_rate if circuit_parameters(model.head) else None
                    ),
                    "parameters": trained["trainable_parameters"],
                    "circuit_parameters": sum(w.numel() for w in quantum_parameters(model.head)),
                }
            ],
        }


def read_run(
    run: Path, recipe: FinetuneConfig, data: ImageData, split: ImageSplit, views: Any
) -> Floats:
    """Compute a run's probabilities `(images, classes)` of the images of a split."""
    with open_backend(recipe.backend) as backend:
        model, _ = load_model(run, backend=backend)
        return classify(model, split, multilabel=data.task == "multilabel", views=views)


def best_rate(rates: Sequence[float], losses: Sequence[Sequence[float | None]]) -> float:
    """Choose the rate with the lowest mean held-out loss over the encoders.

    Args:
        rates: The rates that were tried, ascending.
        losses: For each encoder the loss of every rate; None where it could not be computed, which
            counts as the highest.
    """
    known = np.array([[np.inf if one is None else one for one in own] for own in losses])
    return rates[int(np.argmin(known.mean(axis=0)))]


def steps_of(images: int, recipe: FinetuneConfig) -> int:
    """Count the optimiser steps of an epoch."""
    return len(EpochBatches(images, recipe.batch_size, seed=0))
