"""The units of a study of blocks: features, where heads begin, the search, and trained heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.config import BlocksStudyConfig
from hybridq.data.splits import labelled_mask
from hybridq.evaluation.baselines import pixel_inputs
from hybridq.evaluation.features import image_features, standardised
from hybridq.evaluation.metrics.scores import auc
from hybridq.evaluation.statistics import measure_auc
from hybridq.models.blocks import trained_in
from hybridq.models.encoders.encoder import random_encoder_like
from hybridq.models.heads import head_entry
from hybridq.models.searched_regression import balanced_log_loss
from hybridq.quantum.modules import quantum_modules, running_on
from hybridq.records.studies import read_arrays
from hybridq.studies.ablation.frozen import PIXEL_SIDE, WEIGHT_DECAY, new_heads
from hybridq.studies.ablation.grid import DRAWN, Arm, Setting
from hybridq.studies.blocks.grid import PIXELS, RANDOM, Combination
from hybridq.studies.heads.given import Given, encoder_of
from hybridq.studies.heads.labelled import Labelled, read_images
from hybridq.training.heads.many_heads import heads_probs, train_heads
from hybridq.training.seeding import derive_seed
from hybridq.utils.arrays import write_arrays
from hybridq_backends import open_backend

LONGER = 5
"""How much longer a training to the end is."""
WHOLE = 3
"""Heads of an encoder that are trained to the end on all labels."""
NOISY = 3
"""Label subsets of an encoder whose heads are read under noise."""
CELLS = 4
"""Cells on a side of the grid to which feature maps are averaged, where they are larger."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BlocksFeatureWork:
    """What one encoder, or none, makes of every image; no label is read.

    Attributes:
        config: The config of the study.
        given: What its runs give.
        folder: The folder of the study.
        kind: What heads stand on.
        encoder: Place of the encoder among those given; raw pixels have one.
        maps: Whether feature maps are kept, too.
    """

    config: BlocksStudyConfig
    given: Given
    folder: Path
    kind: str
    encoder: int
    maps: bool

    @property
    def name(self) -> str:
        """Name of the unit."""
        return features_file(self.folder, self.kind, self.encoder).stem

    def compute(self) -> dict[str, Any]:
        """Write what heads are given of train and test."""
        splits = read_images(self.config, self.given).splits
        if self.kind == PIXELS:
            made = {name: pixel_inputs(one.images, PIXEL_SIDE) for name, one in splits.items()}
            made = {name: one.astype(np.float32) for name, one in made.items()}
        else:
            encoder = encoder_of(self.given.encoders[self.encoder]).eval()
            if self.kind == RANDOM:
                encoder = random_encoder_like(encoder, self.encoder).eval()
            made = {}
            for name, one in splits.items():
                made[name] = image_features(encoder, one.images).numpy()
                if self.maps:
                    found = image_features(encoder, one.images, of=lambda x: cells(encoder.maps(x)))
                    made[f"{name}_maps"] = found.numpy()
        path = features_file(self.folder, self.kind, self.encoder)
        write_arrays(path, made)
        return {"features": path.relative_to(self.folder).as_posix()}


def cells(maps: Tensor) -> Tensor:
    """Average feature maps to a grid that is no larger than heads ask for."""
    side = min(CELLS, *maps.shape[-2:])
    return nn.functional.adaptive_avg_pool2d(maps, side)


def features_file(folder: Path, kind: str, encoder: int) -> Path:
    """Where the features of an encoder are kept."""
    return folder / "features" / f"{kind}-e{encoder}.npz"


@dataclass(frozen=True)
class _HeadWork:
    """Heads of one combination on what one encoder gives.

    Attributes:
        config: The config of the study.
        labels: Its labels, of one amount.
        amount: What that amount is called.
        folder: The folder of the study.
        encoder: Place of the encoder among those given.
        built: The combination.
    """

    config: BlocksStudyConfig
    labels: Labelled
    amount: str
    folder: Path
    encoder: int
    built: Combination

    @property
    def name(self) -> str:
        """Name of the unit."""
        return f"{self.amount.replace(' ', '_')}-{self.built.name}-e{self.encoder}"

    def inputs(self) -> tuple[Tensor, Tensor]:
        """What heads are given of train and of test, standardised by all train images."""
        path = features_file(self.folder, self.built.kind, self.encoder)
        what, remedy = "the features of a study", "remove it and its unit, and go on."
        found = read_arrays(path, what, remedy)
        ending = "_maps" if head_entry(self.built.head).input == "map" else ""
        parts = {name: found[f"{name}{ending}"] for name in ("train", "test")}
        shape = parts["train"].shape[1:]
        if len(shape) > 1:  # a mean and a scale for each channel
            flat = {
                name: np.moveaxis(one, 1, -1).reshape(-1, shape[0]) for name, one in parts.items()
            }
            made = standardised(flat)
            parts = {
                name: np.moveaxis(one.reshape(-1, *shape[1:], shape[0]), -1, 1)
                for name, one in made.items()
            }
        else:
            parts = standardised(parts)
        train, test = (torch.from_numpy(parts[n].astype(np.float32)) for n in ("train", "test"))
        return train.contiguous(), test.contiguous()

    def begin(self, inputs: Tensor, subsets: Sequence[int], backend: Any) -> list[nn.Module]:
        """Make a head for each of some label subsets, from seeds that all combinations share."""
        seeds = [derive_seed(self.config.seed, self.encoder, place) for place in subsets]
        arm = Arm(self.built.config)
        return new_heads(arm, inputs, self.labels.num_classes, backend, seeds)

    def train(
        self,
        heads: Sequence[nn.Module],
        inputs: Tensor,
        rows: Sequence[Ints],
        setting: Setting,
        steps: int,
    ) -> None:
        """Train heads in place, each on its own rows of the train images."""
        train_heads(
            heads,
            inputs,
            torch.from_numpy(self.labels.train),
            rows,
            num_classes=self.labels.num_classes,
            steps=steps,
            learning_rate=setting["learning_rate"],
            block_learning_rate=setting["block_learning_rate"],
            weight_decay=WEIGHT_DECAY,
            seeds=[derive_seed(self.config.seed, place) for place in range(len(heads))],
        )

    def probs(self, heads: Sequence[nn.Module], inputs: Tensor) -> Floats:
        """Probabilities `(heads, images, classes)`."""
        return heads_probs(heads, inputs, multilabel=self.labels.train.ndim == 2)


@dataclass(frozen=True)
class BlocksSearchWork(_HeadWork):
    """A combination in all settings, judged by cross-validation inside label subsets."""

    def compute(self) -> dict[str, Any]:
        """Give, for each setting, the AUC on every held-out fold."""
        (inputs, _), folds = self.inputs(), self.labels.folds
        found: list[list[float]] = [[] for _ in DRAWN]
        with open_backend("statevector") as backend:
            for setting, aucs in zip(DRAWN, found, strict=True):
                heads = self.begin(inputs, [subset for subset, *_ in folds], backend)
                if folds:
                    kept = [rows for _, rows, _ in folds]
                    self.train(heads, inputs, kept, setting, self.config.steps)
                for head, (_, _, held) in zip(heads, folds, strict=True):
                    aucs.append(auc(self.labels.train[held], self.probs([head], inputs[held])[0]))
        return {"auc": found}


@dataclass(frozen=True)
class BlocksHeadWork(_HeadWork):
    """A combination in the setting that was chosen, on every label subset, read on the test split.

    Attributes:
        setting: The setting.
    """

    setting: Setting

    def compute(self) -> dict[str, Any]:
        """Give AUCs and what each image adds to them, risks, parameters, and AUCs under noise."""
        train, test = self.inputs()
        rows = self.labels.subsets
        with open_backend("statevector") as backend:
            heads = self.begin(train, range(len(rows)), backend)
            self.train(heads, train, rows, self.setting, self.config.steps)
            probs = self.probs(heads, test)
            measured = measure_auc(self.labels.test, probs[None])
            return {
                "auc": measured.values[0].tolist(),
                "influence": measured.influence[0].tolist(),
                "units": measured.units,
                "trained": trained_in(heads[0]),
                "risk": [balanced_log_loss(self.labels.test, one) for one in probs],
                **(self._to_the_end(train, test, backend) if self.config.split_error else {}),
                "noise": self._noisy(heads[:NOISY], test),
            }

    def _to_the_end(self, train: Tensor, test: Tensor, backend: Any) -> dict[str, list[float]]:
        """Give the risks of heads that are trained longer: on the same labels, and on all."""
        rows, steps = self.labels.subsets, LONGER * self.config.steps
        fitted = self.begin(train, range(len(rows)), backend)
        self.train(fitted, train, rows, self.setting, steps)
        every = [np.flatnonzero(labelled_mask(self.labels.train))] * WHOLE
        best = self.begin(train, range(WHOLE), backend)
        self.train(best, train, every, self.setting, steps)
        return {
            "risk_fitted": [
                balanced_log_loss(self.labels.test, one) for one in self.probs(fitted, test)
            ],
            "risk_best": [
                balanced_log_loss(self.labels.test, one) for one in self.probs(best, test)
            ],
        }

    def _noisy(self, heads: Sequence[nn.Module], test: Tensor) -> dict[str, list[float]]:
        """Give the AUC of some heads on each noisy backend, and without noise."""
        if not self.config.noise or not quantum_modules(heads[0]):
            return {}
        found = {"none": self._aucs(heads, test)}
        for profile in self.config.noise:
            with open_backend(profile, shots=None) as backend:
                values = []
                for head in heads:
                    with running_on(head, backend):
                        values += self._aucs([head], test)
                found[profile] = values
        return found

    def _aucs(self, heads: Sequence[nn.Module], test: Tensor) -> list[float]:
        return [auc(self.labels.test, one) for one in self.probs(heads, test)]
