"""What a unit of a study of heads does: heads of one kind on what one encoder gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.config.study import FrozenStudyConfig
from hybridq.evaluation.metrics.scores import auc
from hybridq.evaluation.statistics import Measured
from hybridq.models.heads import is_fitted
from hybridq.studies.ablation.frozen import WEIGHT_DECAY, new_heads
from hybridq.studies.ablation.grid import DRAWN, Arm, Setting
from hybridq.studies.heads.labelled import Labelled
from hybridq.training.heads.many_heads import heads_probs, train_heads
from hybridq.training.seeding import derive_seed
from hybridq_backends import Executable, open_backend

Ints = NDArray[np.int64]
Heads: TypeAlias = Sequence[nn.Module]


@dataclass(frozen=True)
class HeadWork(ABC):
    """Heads of one kind on what one encoder gives.

    Attributes:
        config: The config of the study.
        labels: Its labels.
        folder: The folder of the study.
        encoder: Place of the encoder among those given.
    """

    config: FrozenStudyConfig
    labels: Labelled
    folder: Path
    encoder: int

    @property
    @abstractmethod
    def head(self) -> Arm:
        """What is built."""

    @abstractmethod
    def inputs(self) -> tuple[Tensor, Tensor]:
        """What heads are given of train and of test, standardised by all train images."""

    def begin(self, inputs: Tensor, subsets: Sequence[int], backend: Executable) -> Heads:
        """Make a head for each of some label subsets, from seeds that all kinds share."""
        seeds = [derive_seed(self.config.seed, self.encoder, place) for place in subsets]
        return new_heads(self.head, inputs, self.labels.num_classes, backend, seeds)

    def train(
        self,
        heads: Heads,
        inputs: Tensor,
        rows: Sequence[Ints],
        setting: Setting,
        *,
        longer: int = 1,
    ) -> None:
        """Train heads in place, each on its own rows of train, `longer` times the study's steps.

        Heads that are fitted in closed form are fitted to their rows, whatever the setting.
        """
        labels = torch.from_numpy(self.labels.train)
        if is_fitted(heads[0]):
            for head, own in zip(heads, rows, strict=True):
                head.eval().fit(inputs[own], labels[own])  # type: ignore[operator]
            return
        train_heads(
            heads,
            inputs,
            labels,
            rows,
            num_classes=self.labels.num_classes,
            steps=longer * self.config.steps,
            learning_rate=setting["learning_rate"],
            block_learning_rate=setting["block_learning_rate"],
            weight_decay=WEIGHT_DECAY,
            seeds=[derive_seed(self.config.seed, place) for place in range(len(heads))],
        )

    def probs(self, heads: Heads, inputs: Tensor) -> NDArray[np.float64]:
        """Probabilities `(heads, images, classes)`."""
        return heads_probs(heads, inputs, multilabel=self.labels.train.ndim == 2)

    def search(self) -> dict[str, Any]:
        """Give, for each setting, the AUC on every held-out fold of the label subsets.

        Heads that are fitted in closed form have the same with every setting.
        """
        (inputs, _), folds = self.inputs(), self.labels.folds
        found: list[list[float]] = []
        with open_backend("statevector") as backend:
            for setting in DRAWN:
                heads = self.begin(inputs, [subset for subset, *_ in folds], backend)
                if found and heads and is_fitted(heads[0]):
                    found.append(found[0])
                    continue
                if folds:
                    self.train(heads, inputs, [kept for _, kept, _ in folds], setting)
                found.append(
                    [
                        auc(self.labels.train[held], self.probs([head], inputs[held])[0])
                        for head, (_, _, held) in zip(heads, folds, strict=True)
                    ]
                )
        return {"auc": found}


def searched(left: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay out what `HeadWork.search` left: each setting with its mean AUC, None without any."""
    rows = []
    for setting, aucs in zip(DRAWN, left["auc"] or [[]] * len(DRAWN), strict=True):
        values = [one for one in aucs if one is not None]
        rows.append({**setting, "auc": float(np.mean(values)) if values else None})
    return rows


def best_setting(search: Sequence[Mapping[str, Any]]) -> Setting:
    """Choose the setting of the best mean over all rows, the first among equals."""

    def mean(setting: Setting) -> float:
        own = [row["auc"] for row in search if setting.items() <= row.items()]
        known = [value for value in own if value is not None]
        return round(float(np.mean(known)), 12) if known else 0.0

    return max(DRAWN, key=mean)


def kept(measured: Measured) -> dict[str, Any]:
    """Keep the AUCs of one encoder's heads for JSON."""
    return {
        "auc": measured.values[0].tolist(),
        "influence": measured.influence[0].tolist(),
        "units": measured.units,
    }


def measured_of(left: Sequence[Mapping[str, Any]]) -> Measured:
    """Put together what `kept` gave of each encoder, as the arrays in a study's folder have it."""
    found = Measured(
        np.array([one["auc"] for one in left], dtype=np.float64),
        np.array([one["influence"] for one in left], dtype=np.float64),
        units=left[0]["units"],
    )
    return Measured.from_arrays(found.arrays())
