"""The labels of a study of heads: choices of labelled images, and the folds of the search."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hybridq.config.study import EncodersStudyConfig
from hybridq.data import ImageData, load_data
from hybridq.data.splits import labelled_mask, select_labels
from hybridq.errors import InvalidValueError
from hybridq.models.searched_regression import folds_of
from hybridq.studies.heads.given import Given
from hybridq.studies.lists import numbers
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted, percent

FOLDS = 3
SEARCHED = 2
"""Label subsets of each encoder in which settings are tried."""

EVERY = "all labels"
"""What the amount of all labels is called."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """The labels of a study, and the images that its heads are trained on.

    Attributes:
        train: `(images,)` classes, or `(images, classes)` of 0 and 1.
        test: Likewise.
        num_classes: The number of classes.
        subsets: Indices of the train images of each label subset; all encoders meet the same ones.
        folds: The folds of the first subsets, for the search: the subset, and the indices of the
            train images that heads are trained on and judged by.
    """

    train: Ints
    test: Ints
    num_classes: int
    subsets: tuple[Ints, ...]
    folds: tuple[tuple[int, Ints, Ints], ...]


def amounts_of(text: str) -> dict[str, float]:
    """Read the amounts of labels: what they are called, and shares up to 1 or numbers above it.

    Raises:
        InvalidValueError: If one is none, or twice there.
    """
    expected = "shares up to 1, or whole numbers above it: such as 25,0.1,1.0"
    found = numbers(
        "labels",
        text,
        lambda number: 0 < number <= 1 or (1 < number < 1e9 and number == int(number)),
        expected,
        name=_amount,
    )
    return {_amount(number): number for number in found}


def _amount(number: float) -> str:
    if number == 1:
        return EVERY
    return f"{percent(number)} of labels" if number < 1 else counted(int(number), "label")


def read_images(config: EncodersStudyConfig, given: Given) -> ImageData:
    """Read train and test; validation is not needed."""
    return load_data(
        given.data,
        data_root=config.data_root,
        splits=("train", "test"),
        pseudonyms=pseudonyms_of(config, *given.recipes, folder=config.runs),
    )


def labelled(data: ImageData, *, labels: float, subsets: int, seed: int) -> Labelled:
    """Draw the label subsets, and cut the first of them into folds.

    Args:
        data: With train and test.
        labels: Labelled images of a subset: a share up to 1, or a number above it.
        subsets: The number of label subsets.
        seed: The seed of the first, which the others follow.

    Raises:
        InvalidValueError: If more labels are asked for than there are.
    """
    train, asked = data.splits["train"], labels
    there = int(labelled_mask(train.labels).sum())
    if asked > there:
        raise InvalidValueError(
            f"Expected --labels of at most the {there:,} labelled images of train, got {asked:g}: "
            "lower it, or give a share up to 1."
        )
    draw = partial(select_labels, train, task=data.task, num_classes=data.num_classes)
    fraction = asked if asked <= 1 else asked / there
    chosen = tuple(draw(fraction, seed=seed + place) for place in range(subsets))
    folds = tuple(
        (place, rows[kept], rows[held])
        for place, rows in enumerate(chosen[:SEARCHED])
        for kept, held in folds_of(
            train.labels[rows],
            None if train.groups is None else train.groups[rows],
            seed=seed,
            most=FOLDS,
        )
    )
    both = train.labels, data.splits["test"].labels
    return Labelled(*both, data.num_classes, chosen, folds)
