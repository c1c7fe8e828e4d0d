"""Data sets from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hybridq.data import SPLITS, ImageData
from hybridq.data import load_data as load_source


def load_data(
    source: str | Path,
    *,
    splits: Sequence[str] = SPLITS,
    image_size: int | None = None,
    positive: str | None = None,
    data_root: str | Path | None = None,
    download: bool = True,
) -> ImageData:
    """Load a data set into memory.

    Args:
        source: A MedMNIST name (`breastmnist`, `breastmnist,size=64`), a folder of images, an
            `.npz` file in MedMNIST's format, or the generated `phantom`.
        splits: Which of `train`, `val` and `test` to load.
        image_size: Side in pixels to which images of a folder are resized; None keeps them.
        positive: Name of the one of two classes that sensitivity speaks of; the set's own if None.
        data_root: Folder of named sets; `HYBRIDQ_DATA`, then the user's cache folder, if None.
        download: Whether a named set that is not on disk may be downloaded.

    Returns:
        Images `(count, height, width, channels)`, uint8, and labels of each split.

    Raises:
        HybridqError: If the source or something in it is wrong, missing, or cannot be downloaded.

    Example:
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> data.splits["train"].images.shape
        (24, 16, 16, 1)
    """
    return load_source(
        str(source),
        splits=splits,
        image_size=image_size,
        positive=positive,
        data_root=data_root,
        download=download,
    )
