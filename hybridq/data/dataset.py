"""The form in which every source hands over images and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["binary", "multiclass", "multilabel"]

SPLITS = ("train", "val", "test")
"""The splits a data set may have, in the order in which they are listed."""

UNLABELLED = -1
"""Label of an image without one; allowed in the train split, used by pretraining only."""


@dataclass(frozen=True)
class ImageSplit:
    """Images of one split, in memory.

    Attributes:
        images: `(count, height, width, channels)`, uint8, 1 or 3 channels.
        labels: `(count,)` class indices, int64, or `(count, num_classes)` of 0 and 1 for
            a multi-label task.
        ids: a name for each image, unique in the split.
        groups: `(count,)` strings (patient, slide): images of a group stay together; or None.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    groups: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.intp]) -> ImageSplit:
        """The images at `indices`, in that order."""
        return ImageSplit(
            images=self.images[indices],
            labels=self.labels[indices],
            ids=tuple(self.ids[i] for i in indices),
            groups=None if self.groups is None else self.groups[indices],
        )


@dataclass(frozen=True)
class ImageData:
    """A data set: its splits and what is known about it.

    Attributes:
        name: what the user called it, such as `breastmnist`.
        task: `binary`, `multiclass` or `multilabel`.
        class_names: one name for each class (or each label of a multi-label task).
        splits: `train`, `val` and `test`, as far as they were asked for and exist.
        licence: of the images, as its owners state it.
        positive: index of the class that sensitivity speaks of; None unless binary.
        notes: sentences worth printing beside any figure from this data.
        own: whether it is the user's, whose names may tell of patients; not a public set.
        file: of a named set, where it was read from.
        official_md5: of a named set, the MD5 of the file as its makers published it.
    """

    name: str
    task: Task
    class_names: tuple[str, ...]
    splits: Mapping[str, ImageSplit]
    licence: str = "not stated"
    positive: int | None = None
    notes: tuple[str, ...] = field(default=())
    own: bool = False
    file: Path | None = None
    official_md5: str | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes, which is also the number of logits."""
        return len(self.class_names)


def absent_classes(data: ImageData, split: str) -> list[str]:
    """Classes of which a split has no image; none where an image can have several labels."""
    if data.task == "multilabel":
        return []
    present = set(data.splits[split].labels.tolist())
    return [name for index, name in enumerate(data.class_names) if index not in present]
