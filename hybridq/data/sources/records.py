"""The records of a folder's images before they are read, and their splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import UNLABELLED
from hybridq.data.splits import ALL_SPLITS, SPLIT_SEED, VAL_OF_TRAIN, split_by_group
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.utils.text import listed

OnProblem = Callable[[HybridqError], None]
"""A function that takes a fault: it raises it (loading) or notes it (checking)."""


def raise_problem(error: HybridqError) -> None:
    """Stop at the first fault."""
    raise error


@dataclass(frozen=True)
class Record:
    """One image of a folder.

    Attributes:
        id: Path relative to the folder, with `/`; unique.
        path: Path of the file.
        label: Name of the class, or None for an image without one.
        group: Patient or slide, or None if the folder says nothing about groups.
        split: `train`, `val` or `test`; None if it has still to be made.
        columns: The values of the manifest's further columns, such as `site` or `sex`.
    """

    id: str
    path: Path
    label: str | None
    group: str | None = None
    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def class_names(records: Sequence[Record]) -> tuple[str, ...]:
    """List the names of the classes, sorted."""
    return tuple(sorted({record.label for record in records if record.label is not None}))


def label_indices(records: Sequence[Record], names: Sequence[str]) -> NDArray[np.int64]:
    """Return the class index of each record, UNLABELLED without a label."""
    index = {name: number for number, name in enumerate(names)}
    return np.array(
        [UNLABELLED if record.label is None else index[record.label] for record in records],
        dtype=np.int64,
    )


def group_names(records: Sequence[Record]) -> NDArray[np.str_] | None:
    """Return the group of each record, or None if no record has one.

    A record without a group, among others that have one, is a group of its own, named by its id.
    """
    if all(record.group is None for record in records):
        return None
    return np.array([r.id if r.group is None else r.group for r in records], dtype=np.str_)


def check_records(
    root: Path, records: Sequence[Record], on_problem: OnProblem, *, trained_on: bool = True
) -> None:
    """Report classes that train lacks, unlabelled images outside train, and split groups.

    Args:
        root: The folder.
        records: The records of all its images.
        on_problem: A function that takes each fault.
        trained_on: Whether train has to be there; what is there is looked at in any case.
    """
    names = class_names(records)
    if len(names) < 2:
        on_problem(
            InvalidValueError(
                f"Expected at least 2 classes in {root}, got {listed(names) or 'none'}: add "
                "images of another class."
            )
        )
    splits_of: dict[str, set[str]] = defaultdict(set)
    trained: set[str | None] = set()
    for record in records:
        if record.split in (None, "train"):
            trained.add(record.label)
        elif record.label is None:
            on_problem(
                InvalidValueError(
                    f"Expected a label for {record.id} in {record.split} of {root}, got none: only "
                    "train may hold images without one."
                )
            )
        if record.group is not None and record.split is not None:
            splits_of[record.group].add(record.split)
    for name in names if trained or trained_on else ():
        if name not in trained:
            on_problem(
                InvalidValueError(
                    f"Expected images of every class in train of {root}, got none of {name!r}: "
                    "add some, or leave the class out."
                )
            )
    for group, splits in sorted(splits_of.items()):
        if len(splits) > 1:
            on_problem(
                InvalidValueError(
                    f"Expected every group in one split of {root}, got group {group!r} in "
                    f"{' and '.join(sorted(splits))}: move its images to one of them."
                )
            )


def complete_splits(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Make the splits that are not given, and say so.

    Without any split, images are dealt out to train, val and test, 70/10/20. Without val, an eighth
    of train is taken. Both are stratified by class, and groups are kept whole.

    Returns:
        The records, each with a split, and sentences about what was made.

    Raises:
        InvalidValueError: If there are too few images or groups.
    """
    given = {record.split for record in records}
    if given == {None}:
        dealing = ALL_SPLITS
        done = _deal(records, dealing.shares)
    elif "val" in given or "train" not in given:
        return list(records), []
    else:
        train = [record for record in records if record.split == "train"]
        rest = [record for record in records if record.split != "train"]
        dealing = VAL_OF_TRAIN
        done = [*_deal(train, dealing.shares), *rest]
    kept = [record for record in done if record.split == "train" or record.label is not None]
    notes = [dealing.note(by_group=any(record.group is not None for record in records))]
    if len(kept) < len(done):
        notes.append(
            f"{len(done) - len(kept)} images without a label were left out, since others of their "
            "group are in val or test."
        )
    return kept, notes


def _deal(records: Sequence[Record], shares: Mapping[str, float]) -> list[Record]:
    names = class_names(records)
    dealt = split_by_group(
        label_indices(records, names),
        group_names(records),
        shares,
        seed=SPLIT_SEED,
        num_classes=len(names),
    )
    split_of = {int(index): split for split, indices in dealt.items() for index in indices}
    return [replace(record, split=split_of[number]) for number, record in enumerate(records)]
