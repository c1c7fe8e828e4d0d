"""A source of one's own: a folder with a stack of CT slices for each class, in Hounsfield units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import ImageData, ImageSplit
from hybridq.data.sources import Asked, SourceEntry
from hybridq.errors import InvalidValueError

SHARES = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}


def is_stacks(name: str) -> bool:
    """Whether a folder has stacks, `CLASS.npy` with int16 `(slices, height, width)`."""
    folder = Path(name)
    return folder.is_dir() and any(folder.glob("*.npy"))


def load_stacks(asked: Asked) -> ImageData:
    """Read the stacks through a window; each is split in its own order, 60, 20 and 20 %."""
    paths = sorted(Path(asked.name).glob("*.npy"))
    if len(paths) < 2:
        raise InvalidValueError(
            f"Expected a stack for each of at least two classes in {asked.name}, got "
            f"{len(paths)}: add CLASS.npy."
        )
    level, width = asked.fields.get("level", 40.0), asked.fields.get("width", 400.0)
    stacks = [windowed(np.load(path), level, width) for path in paths]
    splits = {}
    for split in asked.splits:
        parts, ids, labels = [], [], []
        for label, (path, stack) in enumerate(zip(paths, stacks, strict=True)):
            low, high = (round(share * len(stack)) for share in SHARES[split])
            parts.append(stack[low:high])
            ids += [f"{path.name}/{place}" for place in range(low, high)]
            labels += [label] * (high - low)
        splits[split] = ImageSplit(np.concatenate(parts), np.array(labels), tuple(ids))
    return ImageData(
        name=Path(asked.name).name,
        task="binary" if len(paths) == 2 else "multiclass",
        class_names=tuple(path.stem for path in paths),
        splits=splits,
        positive=1 if len(paths) == 2 else None,
        notes=(f"Hounsfield units from {level - width / 2:g} to {level + width / 2:g}.",),
    )


def windowed(stack: NDArray[np.int16], level: float, width: float) -> NDArray[np.uint8]:
    """Turn Hounsfield units around a level into grey values, `(slices, height, width, 1)`."""
    grey = (stack.astype(np.float32) - level) / width + 0.5
    found: NDArray[np.uint8] = (255 * grey.clip(0, 1)).round().astype(np.uint8)[..., None]
    return found


STACKS = SourceEntry(is_stacks, load_stacks, fields={"level": float, "width": float}, files=True)
