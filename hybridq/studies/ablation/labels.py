"""The data of an ablation, and the labelled images that its models see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.config import AblationStudyConfig
from hybridq.data import ImageData, load_data
from hybridq.data.splits import select_labels
from hybridq.errors import InvalidValueError
from hybridq.models.searched_regression import Fold, folds_of
from hybridq.studies.ablation.grid import Budget, subsets_at
from hybridq.training.seeding import derive_seed
from hybridq.utils.pseudonyms import pseudonyms_of

Rows = NDArray[np.intp]


def study_data(config: AblationStudyConfig, *splits: str) -> ImageData:
    """Read splits of the study's data; the others are not read."""
    return load_data(
        config.data,
        data_root=config.data_root,
        splits=splits,
        positive=config.positive,
        pseudonyms=pseudonyms_of(config, folder=config.runs),
    )


@dataclass(frozen=True)
class SeedWork:
    """What the units of an ablation have in common.

    Attributes:
        config: The study's settings.
        folder: The study's folder.
        seed: The encoder's seed.
    """

    config: AblationStudyConfig
    folder: Path
    seed: int


def labelled_rows(data: ImageData, config: AblationStudyConfig, budget: Budget) -> list[Rows]:
    """Choose labelled images of train, once for each subset and alike for all encoders.

    The choice of a subset for a smaller budget lies within that for a larger one.

    Returns:
        For each subset indices into train, ascending.
    """
    train, first = data.splits["train"], config.seed
    return [
        select_labels(
            train,
            budget.share,
            seed=first if budget.share == 1 else first + subset,
            task=data.task,
            num_classes=data.num_classes,
        )
        for subset in range(subsets_at(config, budget))
    ]


def cut(
    data: ImageData, rows: Sequence[Rows], config: AblationStudyConfig, most: int
) -> list[list[Fold]]:
    """Cut the labelled images of each subset for cross-validation, as indices into train.

    Args:
        data: The data, with train.
        rows: What `labelled_rows` gives.
        config: Gives the seed.
        most: Most parts.
    """
    train = data.splits["train"]
    return [
        [
            (one[fitted], one[held])
            for fitted, held in folds_of(
                train.labels[one],
                None if train.groups is None else train.groups[one],
                seed=derive_seed(config.seed, 7, subset) % 2**32,
                most=most,
            )
        ]
        for subset, one in enumerate(rows)
    ]


def cell_seed(config: AblationStudyConfig, seed: int, subset: int) -> int:
    """Derive the seed of a cell: of initial weights and order, for an encoder and a subset."""
    return derive_seed(config.seed, 8, seed, subset) % 2**31


def check_budgets(data: ImageData, config: AblationStudyConfig, budgets: Sequence[Budget]) -> None:
    """Refuse budgets that cannot be cut, or two that choose the same images in every subset.

    Raises:
        InvalidValueError: If there are such.
    """
    rows = [[one.tolist() for one in labelled_rows(data, config, budget)] for budget in budgets]
    for (low, below), (high, above) in pairwise(zip(budgets, rows, strict=True)):
        if all(one == other for one, other in zip(below, above, strict=False)):
            raise InvalidValueError(
                f"Expected --labels that choose different images, got {low.text} and {high.text}, "
                f"which both choose {len(below[0])} of train: leave one out."
            )
