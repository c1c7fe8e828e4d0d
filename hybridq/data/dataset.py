"""The form in which every source hands over images and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import InvalidValueError
from hybridq_backends.utils.by_name import by_name

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
        ids: A name for each image, unique in the split.
        groups: `(count,)` names of groups (patient, slide), or None. Images of a group stay
            together.
        columns: `(count,)` texts of each further column of a manifest, such as `site` or `sex`.
        files: The files of images that were resized on reading since they differ in size; a model
            reads them again, each once, as `predict` does. None for all others.

    Example:
        >>> from hybridq import load_data
        >>> test = load_data("phantom,size=16,count=40").splits["test"]
        >>> test.images.shape, test.labels.shape, len(test.take(test.labels.nonzero()[0]))
        ((10, 16, 16, 1), (10,), 5)
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    groups: NDArray[np.str_] | None = None
    columns: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    files: tuple[Path, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        """Say how many images there are, and how large."""
        return f"ImageSplit({self._words()})"

    def _words(self) -> str:
        size = " x ".join(map(str, self.images.shape[1:]))
        groups = "" if self.groups is None else f" in {len(np.unique(self.groups))} groups"
        return f"{len(self)} images of {size}{groups}"

    def take(self, indices: NDArray[np.intp]) -> ImageSplit:
        """Return the images at `indices`, in that order."""
        return ImageSplit(
            images=self.images[indices],
            labels=self.labels[indices],
            ids=tuple(self.ids[i] for i in indices),
            groups=None if self.groups is None else self.groups[indices],
            columns={name: values[indices] for name, values in self.columns.items()},
            files=None if self.files is None else tuple(self.files[i] for i in indices),
        )


Part: TypeAlias = tuple[Any, ...] | ImageSplit | Any
"""Images and labels, perhaps with the groups of the images; a split as it is; or a dataset, whose
entries are pairs of an image and its label."""


@dataclass(frozen=True)
class ImageData:
    """A data set: its splits and what is known about it.

    Attributes:
        name: The name that the user gave, such as `breastmnist`.
        task: `binary`, `multiclass` or `multilabel`.
        class_names: One name for each class (or each label of a multi-label task).
        splits: `train`, `val` and `test`, as far as they were asked for and exist.
        licence: Licence of the images, as their owners state it.
        positive: Index of the class that sensitivity speaks of; None unless binary.
        notes: Sentences worth printing beside any figure from this data.
        own: Whether it belongs to the user, so that its names may tell of patients.
        file: The file that a named set was read from.
        official_md5: The MD5 of a named set's file as its makers published it.
        source: What `--data` calls it; None for arrays, which no command can load again.
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
    source: str | None = None

    @classmethod
    def from_arrays(
        cls,
        images: Any = None,
        labels: Any = None,
        *,
        groups: Any = None,
        train: Part | None = None,
        val: Part | None = None,
        test: Part | None = None,
        class_names: Sequence[str] | None = None,
        positive: str | None = None,
        name: str = "arrays",
        licence: str = "not stated",
    ) -> ImageData:
        """Make a data set of arrays, tensors or datasets that are in memory.

        Give `images` and `labels`, which are dealt out to train, val and test (70/10/20,
        stratified, by group), or the splits one by one; a val split that is not given is taken
        from train (an eighth). Without any labels the data serve pretraining alone.

        Args:
            images: An array or tensor `(count, height, width)`,
                `(count, height, width, channels)` or `(count, channels, height, width)` with 1 or 3
                channels, uint8, or floating-point numbers from 0 to 1.
            labels: One for each image: class numbers from 0 (-1 where there is none), names of
                classes, or `(count, labels)` of 0 and 1 where an image can have several.
            groups: Patient or slide of each image; images of a group stay together.
            train: `(images, labels)`, `(images, labels, groups)`, an `ImageSplit`, or a
                `torch.utils.data.Dataset` of pairs, in place of `images`.
            val: The same for the split by which thresholds and epochs are chosen.
            test: The same for the split that figures are computed on; without `train` and `images`
                the data can be evaluated on alone.
            class_names: Names of the classes in the order of their numbers; those that occur,
                sorted, or the numbers where it is not given.
            positive: Name of the class that sensitivity speaks of; the second of two.
            name: What the data are called in records and reports.
            licence: The licence of the images.

        Raises:
            InvalidValueError: If images, labels or groups do not fit each other.

        Example:
            >>> import numpy as np
            >>> from hybridq import ImageData
            >>> rng = np.random.default_rng(0)
            >>> images = rng.integers(0, 256, (40, 16, 16), dtype=np.uint8)
            >>> data = ImageData.from_arrays(images, ["benign", "malignant"] * 20)
            >>> data.class_names, {name: len(split) for name, split in data.splits.items()}
            (('benign', 'malignant'), {'train': 28, 'val': 4, 'test': 8})
        """
        has_splits = train is not None or (images is None and test is not None)
        if (images is None) != has_splits:
            got = "neither" if images is None else "both"
            raise InvalidValueError(
                f"Expected either `images` or `train`, got {got}: give one of them."
            )
        first = train if images is None else (images, labels, groups)
        parts = {"train": first, "val": val, "test": test}
        given = {split: part for split, part in parts.items() if part is not None}
        make: Callable[..., ImageData] = by_name("hybridq.data.in_memory:data_from_arrays")
        return make(given, class_names=class_names, positive=positive, name=name, licence=licence)

    def __repr__(self) -> str:
        """Say what it holds: classes, and the number and size of the images of each split."""
        splits = "; ".join(f"{name} {split._words()}" for name, split in self.splits.items())
        classes = ", ".join(self.class_names) or "none"
        return f"ImageData({self.name}, {self.task}, classes {classes}; {splits})"

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the data to an `.npz` file, which `load_data`, `--data` and studies take.

        Images, labels, groups, the names of the classes, the positive one and the licence are
        kept; the data are then named by the file, and their images by their numbers.

        Args:
            path: A file whose name ends in `.npz`.
            force: Whether a file that is there is replaced.

        Returns:
            The path.

        Raises:
            InvalidValueError: If the file exists, its name ends otherwise, or there are no labels.

        Example:
            >>> import tempfile
            >>> import hybridq as hq
            >>> data = hq.load_data("phantom,size=16,count=40")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     hq.load_data(data.save(folder + "/mine.npz")).class_names
            ('no lesion', 'lesion')
        """
        write: Callable[..., Path] = by_name("hybridq.data.sources.arrays:save_npz")
        return write(self, Path(path), force=force)

    @property
    def num_classes(self) -> int:
        """The number of classes, which is also the number of logits."""
        return len(self.class_names)


def absent_classes(data: ImageData, split: str) -> list[str]:
    """List the classes of which a split has no image; empty for a multi-label task."""
    if data.task == "multilabel":
        return []
    present = set(data.splits[split].labels.tolist())
    return [name for index, name in enumerate(data.class_names) if index not in present]
