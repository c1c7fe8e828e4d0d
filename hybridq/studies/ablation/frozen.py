"""Models on fixed inputs, features or pixels: one search for all arms, then the test split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.data import ImageData, labelled_data
from hybridq.evaluation.baselines import logistic_regression, pixel_inputs
from hybridq.evaluation.features import standardised
from hybridq.evaluation.metrics.scores import auc
from hybridq.models.heads import build_head, num_trainable
from hybridq.quantum.modules import quantum_parameters
from hybridq.studies.ablation.encoders import features_file, read_features
from hybridq.studies.ablation.grid import (
    PIXELS,
    RAW_PIXELS,
    Arm,
    Inputs,
    Setting,
    frozen_arms,
    frozen_model,
    settings_of,
)
from hybridq.studies.ablation.labels import SeedWork, judged, study_data
from hybridq.training.head import BATCH, head_probs, train_head
from hybridq.training.seeding import derive_seed
from hybridq_backends import Executable, open_backend

WEIGHT_DECAY = 1e-2
"""Of the outer parts' matrices, as in `hybridq finetune`."""


@dataclass(frozen=True)
class Fitted:
    """A model on fixed inputs.

    Attributes:
        arm: Its name among those on the same inputs.
        model: A head, or a regression.
        probs: From inputs `(count, inputs)` to probabilities `(count, classes)`.
        about: Columns of `ablation.csv` on its size and its training.
    """

    arm: str
    model: Any
    probs: Callable[[Any], NDArray[np.float64]]
    about: dict[str, Any]


@dataclass(frozen=True)
class _OneFraction(SeedWork):
    """Models on one kind of input, with one fraction of the labels.

    Attributes:
        kind: Of the encoder that makes the inputs.
        fraction: Of the labels.
    """

    kind: Inputs
    fraction: float

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"{self.kind}-s{self.seed}-l{self.fraction:g}"

    def _labelled(self, *splits: str) -> tuple[ImageData, dict[str, Any]]:
        """Labelled images of train and validation, and their inputs, with those of other splits.

        Inputs are standardised by all train images: numbers for a regression, tensors for heads.
        """
        is_pixels = self.kind == PIXELS
        data = study_data(self.config, *(splits if is_pixels else ("train", "val")))
        if is_pixels:
            inputs = standardised({s: pixel_inputs(data.splits[s].images) for s in splits})
        else:
            path = features_file(self.folder, self.kind, self.seed)
            inputs = standardised(read_features(path, *splits))
            inputs = {s: torch.from_numpy(x.astype(np.float32)) for s, x in inputs.items()}
        data, chosen = labelled_data(data, self.fraction, seed=self.seed)
        return data, inputs | {name: inputs[name][indices] for name, indices in chosen.items()}

    def fitted(
        self, setting: Setting, data: ImageData, inputs: Any, backend: Executable
    ) -> Iterator[Fitted]:
        """Fit every model on these inputs, in one setting, to the train images of `data`."""
        labels, multilabel = data.splits["train"].labels, data.task == "multilabel"
        num_inputs, num_classes = inputs.shape[1], data.num_classes
        if self.kind == PIXELS:
            model = logistic_regression(setting["penalty"], several=multilabel).fit(inputs, labels)
            outputs = 1 if num_classes == 2 and not multilabel else num_classes
            about: dict[str, Any] = {
                "parameters": outputs * (num_inputs + 1),
                "circuit_parameters": 0,
            }
            yield Fitted("logistic_regression", model, model.predict_proba, about)
            return
        for name, arm in frozen_arms(self.config).items():
            head = new_head(arm, num_inputs, num_classes, backend, self.seed)
            begun = [weight.detach().clone() for weight in quantum_parameters(head)]
            train_head(
                head,
                inputs,
                torch.from_numpy(labels),
                num_classes=num_classes,
                steps=self.config.steps,
                weight_decay=WEIGHT_DECAY,
                seed=self.seed,
                batch_size=BATCH,
                **setting,
            )
            circuit = [weight for weight in quantum_parameters(head) if weight.requires_grad]
            about = {
                "steps": self.config.steps,
                "parameters": num_trainable(head),
                "circuit_parameters": sum(weight.numel() for weight in circuit),
                "circuit_movement": movement(begun, quantum_parameters(head)),
            }
            yield Fitted(name, head, partial(head_probs, head, multilabel=multilabel), about)


@dataclass(frozen=True)
class SearchWork(_OneFraction):
    """All arms in all settings, judged on validation; the test split is not read."""

    def compute(self) -> dict[str, Any]:
        """Validation AUC of each arm in each setting, in the order of `settings_of`."""
        data, inputs = self._labelled("train", "val")
        found: dict[str, list[float]] = defaultdict(list)
        with open_backend("statevector") as backend:
            for setting in settings_of(self.kind):
                for one in self.fitted(setting, data, inputs["train"], backend):
                    found[one.arm].append(auc(data.splits["val"].labels, one.probs(inputs["val"])))
        return {"val_auc": dict(found)}


@dataclass(frozen=True)
class FrozenWork(_OneFraction):
    """All arms in the setting that was chosen, with their probabilities of the test images.

    Attributes:
        setting: The one for all arms and seeds.
    """

    setting: Setting

    def compute(self) -> dict[str, Any]:
        """A model for each arm."""
        data, inputs = self._labelled("train", "val", "test")
        is_pixels = self.kind == PIXELS
        with open_backend("statevector") as backend:
            models = [
                judged(
                    data,
                    one.probs(inputs["val"]),
                    one.probs(inputs["test"]),
                    model=RAW_PIXELS if is_pixels else frozen_model(self.kind, one.arm),
                    training="pixels" if is_pixels else "frozen",
                    encoder=self.kind,
                    head=one.arm,
                    labels=self.fraction,
                    seed=self.seed,
                    **self.setting,
                    **one.about,
                )
                for one in self.fitted(self.setting, data, inputs["train"], backend)
            ]
        return {"models": models}


@dataclass(frozen=True)
class Choice:
    """What the search found on one kind of input at one fraction.

    Attributes:
        encoder: Kind of the encoder that makes the inputs; `none` for pixels.
        fraction: Of the labels.
        val_auc: By seed and arm, the validation AUC in each setting; None is undefined.
        means: Over all arms and seeds, of each of them.
        chosen: Index of the setting with the best mean, the first among equals.
    """

    encoder: Inputs
    fraction: float
    val_auc: Mapping[int, Mapping[str, Sequence[float | None]]]
    means: tuple[float, ...]
    chosen: int

    @property
    def setting(self) -> Setting:
        """The one chosen."""
        return settings_of(self.encoder)[self.chosen]


def choose(encoder: Inputs, fraction: float, val_auc: Mapping[int, Any]) -> Choice:
    """Choose the setting with the best mean validation AUC over all arms and seeds."""
    every = [values for arms in val_auc.values() for values in arms.values()]
    values = np.ma.masked_invalid(np.array(every, dtype=np.float64))
    means = values.mean(axis=0).filled(0.0)
    chosen = int(np.argmax(np.round(means, 12)))
    return Choice(encoder, fraction, val_auc, tuple(means.tolist()), chosen)


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
def movement(begun: Sequence[Tensor], weights: Sequence[Tensor]) -> float | None:
    """Root mean square by which training has moved the circuit's weights, in radians.

    Near 0 the circuit is still the one that was drawn, and a comparison says nothing of training
    it. None where there is no circuit.
    """
    moved = [(end - start).flatten() for start, end in zip(begun, weights, strict=True)]
    return float(torch.cat(moved).square().mean().sqrt()) if moved else None
