"""Several data sets whose train splits are pretrained on together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import ImageData
from hybridq.data.provenance import data_record
from hybridq.data.source import JOINT, load_data, sources_of
from hybridq.data.transforms import Statistics, channel_statistics, resize_images
from hybridq.errors import InvalidValueError
from hybridq.utils.pseudonyms import Pseudonyms


@dataclass(frozen=True)
class Pool:
    """The sets of a pretraining, of which the train splits are read; mostly it is one.

    Attributes:
        sets: The sets in the order in which they were named; the first gives the size of the input.
    """

    sets: tuple[ImageData, ...]

    def __post_init__(self) -> None:
        """Refuse a pool that has a set twice.

        Raises:
            InvalidValueError: If there is none, or the same one twice.
        """
        sources = [one.source or one.name for one in self.sets]
        twice = [name for name in sources if sources.count(name) > 1]
        if twice or not sources:
            got = f"{twice[0]} twice" if twice else "none"
            raise InvalidValueError(
                f"Expected data sets that differ by name, got {got}: give each once, and arrays a "
                "`name`."
            )

    def __len__(self) -> int:
        """The number of images."""
        return sum(len(one.splits["train"]) for one in self.sets)

    @property
    def first(self) -> ImageData:
        """The first of the sets."""
        return self.sets[0]

    @property
    def is_one(self) -> bool:
        """Whether it is a single set."""
        return len(self.sets) == 1

    @property
    def name(self) -> str:
        """The names of the sets."""
        return JOINT.join(one.name for one in self.sets)

    @property
    def own(self) -> bool:
        """Whether one of the sets belongs to the user."""
        return any(one.own for one in self.sets)

    @property
    def licence(self) -> str:
        """The licences of the sets, each with the names of its sets where there are several."""
        if self.is_one:
            return self.first.licence
        return "; ".join(f"{one.name}: {one.licence}" for one in self.sets)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The number of the set of each image, `(count,)`, from 0."""
        return np.repeat(np.arange(len(self.sets)), [len(one.splits["train"]) for one in self.sets])

    def statistics(self) -> list[Statistics]:
        """Compute means and standard deviations of the channels of each set."""
        return [channel_statistics(one.splits["train"].images) for one in self.sets]

    def images(self, image_size: int) -> NDArray[np.uint8]:
        """Get the images `(count, height, width, channels)` of all sets, one after the other.

        Those of one set stay as they are. Those of several get one size: the larger of their
        shorter sides, but no more than the network reads. Where one is in colour, all have three
        channels.

        Args:
            image_size: Height and width of the network's input in pixels.
        """
        images = [one.splits["train"].images for one in self.sets]
        if self.is_one:
            return images[0]
        side = min(image_size, max(min(part.shape[1:3]) for part in images))
        channels = max(part.shape[3] for part in images)
        same = [resize_images(part, side) for part in images]
        return np.concatenate([np.repeat(one, channels // one.shape[3], axis=3) for one in same])

    def record(self) -> dict[str, Any]:
        """Make the record of the data for `environment.json`, as `data_record` does of one set.

        Of several sets the hash is that of their hashes, and `sets` has the record of each.
        """
        records = [data_record(one) for one in self.sets]
        if self.is_one:
            return records[0]
        hashes = "".join(one["splits"]["train"]["sha256"] for one in records)
        train = {"images": len(self), "sha256": hashlib.sha256(hashes.encode()).hexdigest()}
        return {"name": self.name, "splits": {"train": train}, "sets": records}


def load_pool(
    source: str, *, data_root: str | Path | None = None, pseudonyms: Pseudonyms | None = None
) -> Pool:
    """Load the train splits of all sets that `--data` names.

    Args:
        source: One source, or several joined by `+`; see `sources_of`.
        data_root: The folder of named sets, as `load_data` takes it.
        pseudonyms: What `load_data` takes.

    Raises:
        HybridqError: As in `load_data`, or if a set is named twice.
    """
    return Pool(
        tuple(
            load_data(one, data_root=data_root, splits=("train",), pseudonyms=pseudonyms)
            for one in sources_of(source)
        )
    )
