"""The units of a study of capacity: features, the search, and the heads of an arm."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hybridq.evaluation.statistics import measure_auc
from hybridq.models.heads import circuit_parameters
from hybridq.models.heads.base import BlockHead
from hybridq.studies.ablation.frozen import movement
from hybridq.studies.ablation.grid import Arm, Setting
from hybridq.studies.capacity.arms import (
    CIRCUIT,
    MEAN,
    RESET,
    parameters,
)
from hybridq.studies.capacity.lipschitz import block_lipschitz, head_lipschitz
from hybridq.studies.heads.features import features_of
from hybridq.studies.heads.work import HeadWork, kept
from hybridq_backends import open_backend


@dataclass(frozen=True)
class _ArmWork(HeadWork):
    """The heads of one arm on the features of one encoder.

    Attributes:
        reducer: How features become angles.
        arm: Name of the arm.
        built: What is built.
    """

    reducer: str
    arm: str
    built: Arm

    @property
    def name(self) -> str:
        """Name of the unit."""
        return f"{self.reducer}-{self.arm}-e{self.encoder}"

    @property
    def head(self) -> Arm:
        """What is built."""
        return self.built

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Features of train and of test, standardised by all train images."""
        return features_of(self.folder, self.encoder)


@dataclass(frozen=True)
class CapacitySearchWork(_ArmWork):
    """An arm in all settings, judged by cross-validation inside label subsets."""

    def compute(self) -> dict[str, Any]:
        """Give, for each setting, the AUC on every held-out fold."""
        return self.search()


@dataclass(frozen=True)
class CapacityArmWork(_ArmWork):
    """An arm in the setting that was chosen, on every label subset, read on the test split.

    Attributes:
        setting: The one for all arms.
    """

    setting: Setting

    def compute(self) -> dict[str, Any]:
        """Give AUCs and what each image adds to them, parameters, movement and slopes."""
        train, test = self.inputs()
        rows = self.labels.subsets
        with open_backend("statevector") as backend:
            heads = self.begin(train, range(len(rows)), backend)
            begun = [[one.detach().clone() for one in circuit_parameters(head)] for head in heads]
            self.train(heads, train, rows, self.setting)
            found = {self.arm: heads}
            if self.arm == CIRCUIT:
                found[MEAN] = [
                    averaged(*pair)
                    for pair in zip(heads, map(train.__getitem__, rows), strict=True)
                ]
                found[RESET] = [put_back(*pair) for pair in zip(heads, begun, strict=True)]
            measured = {
                name: measure_auc(self.labels.test, self.probs(own, test)[None])
                for name, own in found.items()
            }
            blocks = [head for head in heads if isinstance(head, BlockHead)]
            width = blocks[0].reducer.norm.num_features if blocks else 0
            ended = [circuit_parameters(head) for head in heads]
            return {
                "arms": {name: kept(own) for name, own in measured.items()},
                "parameters": parameters(heads[0]),
                "movement": [movement(*pair) for pair in zip(begun, ended, strict=True)],
                "lipschitz_block": block_lipschitz([head.block for head in blocks], width),
                "lipschitz_head": [head_lipschitz(head, test) for head in heads],
            }


class Constant(nn.Module):
    """A block that gives every image the same values.

    Args:
        values: `(num_outputs,)`.
    """

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def forward(self, angles: Tensor) -> Tensor:
        """Map angles `(batch, num_inputs)` to the values, `(batch, num_outputs)`."""
        return self.get_buffer("values").expand(len(angles), -1)


@torch.no_grad()
def averaged(head: nn.Module, features: Tensor) -> nn.Module:
    """Copy a head with its block replaced by the block's mean over features `(images, width)`."""
    twin = copy.deepcopy(head)
    reducer, block = head.get_submodule("reducer"), head.get_submodule("block")
    twin.block = Constant(block(reducer(features)).mean(dim=0))
    return twin


@torch.no_grad()
def put_back(head: nn.Module, begun: Sequence[Tensor]) -> nn.Module:
    """Copy a head with the weights of its block as they began, all others as they are."""
    twin = copy.deepcopy(head)
    for weight, start in zip(circuit_parameters(twin), begun, strict=True):
        weight.copy_(start)
    return twin
