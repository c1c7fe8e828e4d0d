"""Heads on frozen features: one search for all arms on validation, then the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hybridq.config import AblationStudyConfig
from hybridq.data import ImageData
from hybridq.data.splits import select_labels
from hybridq.errors import InvalidValueError
from hybridq.evaluation.evaluate import threshold_for
from hybridq.evaluation.metrics.scores import auc
from hybridq.models.heads import build_head, num_trainable
from hybridq.quantum.modules import quantum_parameters
from hybridq.studies.ablation.encoders import (
    EncoderKind,
    features_file,
    read_features,
    study_data,
)
from hybridq.studies.ablation.grid import SETTINGS, Arm, Setting, frozen_arms, frozen_model
from hybridq.training.head import head_probs, train_head
from hybridq.training.seeding import derive_seed
from hybridq_backends import Executable, open_backend

WEIGHT_DECAY = 1e-2
"""Of the outer parts' matrices, as in `hybridq finetune`."""


def cut_labels(data: ImageData, fraction: float, *, seed: int) -> dict[str, Any]:
    """Indices of the labelled images of train and of validation, both cut by the fraction."""
    return {
        split: select_labels(
            data.splits[split], fraction, seed=seed, task=data.task, num_classes=data.num_classes
        )
        for split in ("train", "val")
    }


def check_fractions(data: ImageData, fractions: Sequence[float], seeds: Sequence[int]) -> None:
    """Refuse fractions that cannot be cut, or two that choose the same images for every seed.

    Raises:
        InvalidValueError: If there are such.
    """
    cuts = [
        [(cut["train"].tolist(), cut["val"].tolist()) for cut in of_seeds]
        for of_seeds in (
            [cut_labels(data, fraction, seed=seed) for seed in seeds] for fraction in fractions
        )
    ]
    for (low, below), (high, above) in pairwise(zip(fractions, cuts, strict=True)):
        if below == above:
            raise InvalidValueError(
                f"Expected --labels that choose different images, got {low:g} and {high:g}, which "
                f"both choose {len(below[0][0])} of train: leave one out."
            )


def with_cut(data: ImageData, cut: Mapping[str, Any]) -> ImageData:
    """The data with no more than the labelled images of train and validation."""
    parts = {
        name: split.take(cut[name]) if name in cut else split for name, split in data.splits.items()
    }
    return replace(data, splits=parts)


@dataclass(frozen=True)
class _OneFraction:
    """Heads on the features of one encoder, with one fraction of the labels.

    Attributes:
        config: Of the study.
        folder: Of the study.
        kind: Of the encoder.
        seed: Of encoder, labels and heads.
        fraction: Of the labels.
    """

    config: AblationStudyConfig
    folder: Path
    kind: EncoderKind
    seed: int
    fraction: float

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"{self.kind}-s{self.seed}-l{self.fraction:g}"

    def _labelled(self, *more: str) -> tuple[ImageData, list[torch.Tensor]]:
        """Labelled images of train and validation, and the features of these and more splits."""
        data = study_data(self.config, "train", "val")
        cut = cut_labels(data, self.fraction, seed=self.seed)
        path = features_file(self.folder, self.kind, self.seed)
        train, val, *others = read_features(path, "train", "val", *more)
        return with_cut(data, cut), [train[cut["train"]], val[cut["val"]], *others]


@dataclass(frozen=True)
class SearchWork(_OneFraction):
    """All arms in all settings on one encoder, judged on validation; the test split is not read."""

    def compute(self) -> dict[str, Any]:
        """Validation AUC of each arm in each setting, in the order of `SETTINGS`."""
        data, (train, val) = self._labelled()
        multilabel = data.task == "multilabel"
        found: dict[str, list[float]] = {}
        with open_backend("statevector") as backend:
            for name, arm in frozen_arms(self.config).items():
                found[name] = []
                for setting in SETTINGS:
                    head = fitted(self.config, arm, setting, data, train, backend, self.seed)
                    probs = head_probs(head, val, multilabel=multilabel)
                    found[name].append(auc(data.splits["val"].labels, probs))
        return {"val_auc": found}


@dataclass(frozen=True)
class FrozenWork(_OneFraction):
    """All arms in the setting that was chosen, with their probabilities of the test images.

    Attributes:
        setting: The one for all arms and seeds.
    """

    setting: Setting

    def compute(self) -> dict[str, Any]:
        """A model for each arm."""
        data, (train, val, test) = self._labelled("test")
        multilabel = data.task == "multilabel"
        models = []
        with open_backend("statevector") as backend:
            for name, arm in frozen_arms(self.config).items():
                fresh = new_head(arm, train.shape[1], data.num_classes, backend, self.seed)
                head = fitted(self.config, arm, self.setting, data, train, backend, self.seed)
                on_val = head_probs(head, val, multilabel=multilabel)
                circuit = [weight for weight in quantum_parameters(head) if weight.requires_grad]
                models.append(
                    {
                        "model": frozen_model(self.kind, name),
                        "training": "frozen",
                        "encoder": self.kind,
                        "head": name,
                        "labels": self.fraction,
                        "seed": self.seed,
                        "train_images": len(train),
                        "val_images": len(val),
                        "steps": self.config.steps,
                        "learning_rate": self.setting.learning_rate,
                        "block_learning_rate": self.setting.block_learning_rate,
                        "parameters": num_trainable(head),
                        "circuit_parameters": sum(weight.numel() for weight in circuit),
                        "circuit_movement": circuit_movement(fresh, head),
                        "val_auc": auc(data.splits["val"].labels, on_val),
                        "threshold": threshold_for(data, on_val),
                        "probs": head_probs(head, test, multilabel=multilabel).tolist(),
                    }
                )
        return {"models": models}


def new_head(
    arm: Arm, num_features: int, num_classes: int, backend: Executable, seed: int
) -> nn.Module:
    """The head of an arm as training begins with it."""
    generator = torch.Generator().manual_seed(derive_seed(seed, 1))
    head = build_head(num_features, num_classes, arm.head, backend=backend, generator=generator)
    for weight in quantum_parameters(head):
        weight.requires_grad_(arm.trains_circuit)
    return head


@torch.no_grad()
def circuit_movement(before: nn.Module, after: nn.Module) -> float | None:
    """Root mean square by which training has moved the circuit's weights, in radians.

    Near 0 the circuit is still the one that was drawn, and a comparison says nothing of training
    it. None where there is no circuit.
    """
    pairs = zip(quantum_parameters(before), quantum_parameters(after), strict=True)
    moved = [(end - start).flatten() for start, end in pairs]
    return float(torch.cat(moved).square().mean().sqrt()) if moved else None


def fitted(
    config: AblationStudyConfig,
    arm: Arm,
    setting: Setting,
    data: ImageData,
    features: torch.Tensor,
    backend: Executable,
    seed: int,
) -> nn.Module:
    """A new head, trained on features of the labelled train images of `data`."""
    head = new_head(arm, features.shape[1], data.num_classes, backend, seed)
    train_head(
        head,
        features,
        torch.from_numpy(data.splits["train"].labels),
        num_classes=data.num_classes,
        steps=config.steps,
        learning_rate=setting.learning_rate,
        block_learning_rate=setting.block_learning_rate,
        weight_decay=WEIGHT_DECAY,
        seed=seed,
    )
    return head
