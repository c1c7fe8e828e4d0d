"""The units of a study of blocks: features, where heads begin, the search, and trained heads."""

from __future__ import annotations

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
from hybridq.models.encoders.initial import imagenet_like
from hybridq.models.heads import head_entry
from hybridq.models.searched_regression import balanced_log_loss
from hybridq.quantum.modules import quantum_modules, running_on
from hybridq.records.studies import read_arrays
from hybridq.studies.ablation.frozen import PIXEL_SIDE
from hybridq.studies.ablation.grid import Arm, Setting
from hybridq.studies.blocks.grid import IMAGENET, PIXELS, RANDOM, Combination
from hybridq.studies.heads.given import Given, encoder_of
from hybridq.studies.heads.labelled import read_images
from hybridq.studies.heads.work import Heads, HeadWork, kept
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
            elif self.kind == IMAGENET:
                encoder = imagenet_like(encoder, splits["train"].images).eval()
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
class _BlocksWork(HeadWork):
    """Heads of one combination on what one encoder gives.

    Attributes:
        config: The config of the study.
        amount: The amount of labels, as it is called.
        built: The combination.
    """

    config: BlocksStudyConfig
    amount: str
    built: Combination

    @property
    def name(self) -> str:
        """Name of the unit."""
        return f"{self.amount.replace(' ', '_')}-{self.built.name}-e{self.encoder}"

    @property
    def head(self) -> Arm:
        """What is built."""
        return Arm(self.built.config)

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


@dataclass(frozen=True)
class BlocksSearchWork(_BlocksWork):
    """A combination in all settings, judged by cross-validation inside label subsets."""

    def compute(self) -> dict[str, Any]:
        """Give, for each setting, the AUC on every held-out fold."""
        return self.search()


@dataclass(frozen=True)
class BlocksHeadWork(_BlocksWork):
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
            self.train(heads, train, rows, self.setting)
            probs = self.probs(heads, test)
            measured = measure_auc(self.labels.test, probs[None])
            return {
                **kept(measured),
                "trained": trained_in(heads[0]),
                "risk": [balanced_log_loss(self.labels.test, one) for one in probs],
                **(self._to_the_end(train, test, backend) if self.config.split_error else {}),
                "noise": self._noisy(heads[:NOISY], test),
            }

    def _to_the_end(self, train: Tensor, test: Tensor, backend: Any) -> dict[str, list[float]]:
        """Give the risks of heads that are trained longer: on the same labels, and on all."""
        rows = self.labels.subsets
        fitted = self.begin(train, range(len(rows)), backend)
        self.train(fitted, train, rows, self.setting, longer=LONGER)
        every = [np.flatnonzero(labelled_mask(self.labels.train))] * WHOLE
        best = self.begin(train, range(WHOLE), backend)
        self.train(best, train, every, self.setting, longer=LONGER)
        return {
            "risk_fitted": [
                balanced_log_loss(self.labels.test, one) for one in self.probs(fitted, test)
            ],
            "risk_best": [
                balanced_log_loss(self.labels.test, one) for one in self.probs(best, test)
            ],
        }

    def _noisy(self, heads: Heads, test: Tensor) -> dict[str, list[float]]:
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

    def _aucs(self, heads: Heads, test: Tensor) -> list[float]:
        return [auc(self.labels.test, one) for one in self.probs(heads, test)]
