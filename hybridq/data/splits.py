"""Choose labels and make splits: stratified, seeded, and with whole groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import UNLABELLED, ImageData, ImageSplit, Task
from hybridq.errors import InvalidValueError

_CANDIDATES = 8  # groups compared at each step of a proportional order

Counts = NDArray[np.float64]
Indices = NDArray[np.intp]

SPLIT_SEED = 0
"""The seed of every split made here, so that the same images always give the same splits."""


@dataclass(frozen=True)
class Dealing:
    """How splits are made that are not given.

    Attributes:
        shares: Share of the images by split.
        done: What is said of it.
    """

    shares: Mapping[str, float]
    done: str

    def note(self, *, by_group: bool) -> str:
        """Say what was made, and whether groups were kept whole."""
        how = "by group, " if by_group else ""
        return self.done.format(how=how, seed=SPLIT_SEED)


ALL_SPLITS = Dealing(
    {"train": 0.7, "val": 0.1, "test": 0.2},
    "No split is given: train, val and test were made {how}70/10/20, seed {seed}.",
)
VAL_OF_TRAIN = Dealing(
    {"train": 0.875, "val": 0.125},
    "No val split is given: an eighth of train was taken for it, {how}seed {seed}.",
)


def labelled_mask(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the images that have a label: `(count,)` booleans."""
    each = labels[:, None] if labels.ndim == 1 else labels  # there may be no image at all
    known: NDArray[np.bool_] = np.all(each != UNLABELLED, axis=1)
    return known


def labelled_subset(data: ImageData, split: str, fraction: float, *, seed: int) -> ImageSplit:
    """Return the images of a split whose labels may be seen: those of `select_labels`.

    Training and its baselines call this with the same seed, and so see the same labels.

    Args:
        data: The data set.
        split: Name of the split.
        fraction: Share of the labels, in (0, 1].
        seed: Seed of the choice.
    """
    images = data.splits[split]
    return images.take(
        select_labels(images, fraction, seed=seed, task=data.task, num_classes=data.num_classes)
    )


def labelled_data(
    data: ImageData, fraction: float, *, seed: int
) -> tuple[ImageData, dict[str, Indices]]:
    """Cut train and validation to the images whose labels may be seen.

    Args:
        data: The data set, with both; other splits stay whole.
        fraction: Share of the labels of both, in (0, 1].
        seed: Seed of the choice.

    Returns:
        The data with no more than these images, and the indices that they had.
    """
    chosen = {
        name: select_labels(
            data.splits[name], fraction, seed=seed, task=data.task, num_classes=data.num_classes
        )
        for name in ("train", "val")
    }
    cut = {name: data.splits[name].take(indices) for name, indices in chosen.items()}
    return replace(data, splits={**data.splits, **cut}), chosen


def select_labels(
    split: ImageSplit, fraction: float, *, seed: int, task: Task, num_classes: int
) -> Indices:
    """Choose the labelled images that fine-tuning may see.

    The choice is stratified: of each class the given fraction, rounded, and at least one image. A
    group is chosen as a whole or not at all; the classes are then as near to the fraction as the
    groups allow. Images without a label are never chosen. For one seed, the choice for a smaller
    fraction lies within the choice for a larger one.

    Args:
        split: The images to choose from, usually train.
        fraction: Share of the labels, in (0, 1].
        seed: Seed of the order in which images or groups are taken.
        task: Task of the data set; in a multi-label task every label with a positive image gets at
            least one, and images with no positive label count as one more class.
        num_classes: Number of classes, or of labels in a multi-label task.

    Returns:
        Indices into `split`, ascending.

    Raises:
        InvalidValueError: If the fraction or the seed is out of range, a label is out of range,
            or a class has no labelled image.
    """
    if not 0 < fraction <= 1:
        raise InvalidValueError(
            f"Expected `labels` in (0, 1], got {fraction}: labels must be in (0, 1], "
            "such as 0.1 for a tenth."
        )
    if seed < 0:
        raise InvalidValueError(f"Expected `seed` of at least 0, got {seed}: choose another.")
    known = np.flatnonzero(labelled_mask(split.labels))
    members = class_members(split.labels[known], task, num_classes)
    _check_classes(members, task)
    if split.groups is None and task != "multilabel":
        chosen = [
            _share(known[members[:, index] > 0], fraction, np.random.default_rng([seed, index]))
            for index in range(num_classes)
        ]
        return np.sort(np.concatenate(chosen))
    if split.groups is None:
        unit_of = np.arange(len(known))
    else:
        unit_of = np.unique(split.groups[known], return_inverse=True)[1].reshape(-1)
    counts = sum_by_unit(members, unit_of)
    units = _take_units(counts, fraction, np.random.default_rng([seed, num_classes]))
    return known[np.isin(unit_of, units)]


def class_members(labels: NDArray[np.int64], task: Task, num_classes: int) -> Counts:
    """Mark the classes that each image counts for: `(count, classes)` of 0 and 1.

    A multi-label task has one more column, for the images with no positive label.

    Args:
        labels: `(count,)` class indices, or `(count, num_classes)` of 0 and 1.
        task: The task.
        num_classes: The number of classes or labels.

    Raises:
        InvalidValueError: If a label is out of range, or the shape does not fit the task.
    """
    if task == "multilabel":
        if labels.ndim != 2 or labels.shape[1] != num_classes:
            raise InvalidValueError(
                f"Expected labels of shape (count, {num_classes}), got {labels.shape}: give one "
                "column for each label."
            )
        bad = labels[(labels != 0) & (labels != 1)]
        wanted = "0 or 1"
        members = np.column_stack([labels, ~labels.any(axis=1)]).astype(np.float64)
    else:
        if labels.ndim != 1:
            raise InvalidValueError(
                f"Expected labels of shape (count,), got {labels.shape}: give one class index for "
                "each image."
            )
        bad = labels[(labels < 0) | (labels >= num_classes)]
        wanted = f"from 0 to {num_classes - 1}"
        members = (labels[:, None] == np.arange(num_classes)).astype(np.float64)
    if len(bad):
        raise InvalidValueError(
            f"Expected labels {wanted}, got {int(bad[0])}: correct the labels or the class names."
        )
    return members


def sum_by_unit(members: Counts, unit_of: NDArray[Any]) -> Counts:
    """Count the images of each class in each unit (a group): `(units, classes)`."""
    counts = np.zeros((int(unit_of.max()) + 1, members.shape[1]))
    np.add.at(counts, unit_of, members)
    return counts


def _check_classes(members: Counts, task: Task) -> None:
    totals = members.sum(axis=0)
    empty = np.flatnonzero(totals == 0)
    if not len(members) or (task != "multilabel" and len(empty)):
        where = f"none of class {int(empty[0])}" if len(members) else "no labelled image"
        raise InvalidValueError(
            f"Expected labelled images of every class, got {where}: add images of it or leave the "
            "class out."
        )


def _share(indices: Indices, fraction: float, rng: np.random.Generator) -> Indices:
    """Choose a random share of `indices`, rounded, at least one; nested in the fraction."""
    count = max(1, int(np.floor(fraction * len(indices) + 0.5)))
    return rng.permutation(indices)[:count]


def _take_units(counts: Counts, fraction: float, rng: np.random.Generator) -> Indices:
    """Choose units whose classes are together nearest to `fraction`, with every class present.

    The units come in one order, made without regard to the fraction, and a prefix of it is
    taken: the one with the smallest total distance to the fraction. The share of every class
    grows along the order, so that the best prefix never gets shorter as the fraction grows.

    Each step of the order serves the class that lags most: among the next few units of a random
    order that hold it, the one that leaves the shares of the classes most alike.
    """
    present = counts.sum(axis=0) > 0
    weights = counts[:, present] / counts[:, present].sum(axis=0)
    remaining = [np.flatnonzero(column)[::-1].tolist() for column in weights.T]
    for queue in remaining:
        rng.shuffle(queue)
    used = np.zeros(len(weights), dtype=bool)
    order: list[int] = []
    best, best_distance = 0, np.inf
    images = np.zeros(weights.shape[1])
    totals = counts[:, present].sum(axis=0)
    while len(order) < len(weights):
        shares = images / totals
        queue = remaining[int(np.argmin(np.where(shares < 1, shares, np.inf)))]
        candidates: list[int] = []
        while queue and len(candidates) < _CANDIDATES:
            unit = queue.pop()
            if not used[unit]:
                candidates.append(unit)
        after = shares + weights[candidates]
        pick = candidates[int(np.argmin(after.max(axis=1) - after.min(axis=1)))]
        queue.extend(unit for unit in reversed(candidates) if unit != pick)
        used[pick] = True
        order.append(pick)
        images += counts[pick, present]
        shares = images / totals
        if (images == 0).any():
            continue
        distance = float(np.abs(shares - fraction).sum())
        if distance < best_distance:
            best, best_distance = len(order), distance
        if (shares >= fraction).all():
            break
    return np.array(order[:best], dtype=np.intp)


def split_by_group(
    labels: NDArray[np.int64],
    groups: NDArray[np.str_] | None,
    shares: Mapping[str, float],
    *,
    seed: int,
    num_classes: int,
) -> dict[str, Indices]:
    """Deal images out to splits: stratified, seeded, a group never in two of them.

    Groups that hold a rare class, and large groups, are dealt first, each to the split that lacks
    its classes most (iterative stratification: Sechidis et al., ECML PKDD 2011). Groups without a
    labelled image go to the first split.

    Args:
        labels: `(count,)` class indices, or UNLABELLED.
        groups: `(count,)` names of the groups; None means that every image is its own.
        shares: Share of each split; the first should be the largest.
        seed: Seed of the order among equal groups.
        num_classes: Number of classes.

    Returns:
        For each split its indices, ascending.

    Raises:
        InvalidValueError: If a label is out of range, or too few groups leave a split empty.
    """
    known = labelled_mask(labels)
    if not known.any():
        raise InvalidValueError(
            f"Expected labelled images for {', '.join(shares)}, got none: add labels."
        )
    if groups is None:
        unit_of = np.arange(len(labels))
    else:
        unit_of = np.unique(groups, return_inverse=True)[1].reshape(-1)
    members = np.zeros((len(labels), num_classes))
    members[known] = class_members(labels[known], "multiclass", num_classes)
    counts = sum_by_unit(members, unit_of)
    totals = np.maximum(counts.sum(axis=0), 1)
    rarest = np.where(counts > 0, totals, np.inf).min(axis=1)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.lexsort((-counts[order].sum(axis=1), rarest[order]))]
    target = np.array(list(shares.values()), dtype=np.float64)[:, None] / sum(shares.values())
    lacking = np.broadcast_to(target, (len(shares), num_classes)).copy()
    split_of = np.zeros(len(counts), dtype=np.intp)
    for unit in order[np.isfinite(rarest[order])]:
        weight = counts[unit] / totals
        split = int(np.argmax(np.round(lacking @ weight, 12)))
        split_of[unit] = split
        lacking[split] -= weight
    dealt = {name: np.flatnonzero(split_of[unit_of] == index) for index, name in enumerate(shares)}
    for name, indices in dealt.items():
        if not known[indices].any():
            raise InvalidValueError(
                f"Expected enough labelled images or groups for {', '.join(shares)}, got none for "
                f"{name} from {len(counts)}: add images, or give the split in the manifest."
            )
    return dealt
