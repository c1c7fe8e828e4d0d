"""Images in any form, prepared for an encoder batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from hybridq.data import ImageSplit
from hybridq.data.pixels import is_picture, pixels_of
from hybridq.data.sources.images import check_image
from hybridq.errors import InvalidValueError
from hybridq.evaluation.predict import image_files
from hybridq.models.classify import batches_of_files
from hybridq.models.encoders.encoder import Encoder

Images: TypeAlias = ImageSplit | str | Path | Sequence[Any] | Dataset[Any] | Any
"""Arrays or tensors `(count, height, width)`, with or without channels; a sequence of images of any
sizes; image files or folders of them; a split; or a dataset of torch."""


class Batches:
    """Images in any form, as batches that an encoder takes.

    Args:
        encoder: The encoder whose input they become.
        images: What `Images` lists.
        size: Images of a batch.

    Raises:
        HybridqError: If they are something else, or a file cannot be read.
    """

    def __init__(self, encoder: Encoder, images: Images, size: int = 128) -> None:
        if size < 1:
            raise InvalidValueError(f"Expected `batch_size` of at least 1, got {size}: raise it.")
        self.encoder, self.size = encoder, size
        self.files, pixels = files_and_pixels(images)
        self.parts: Any = pixels if self.files is None else self.files

    def __len__(self) -> int:
        """Count the images."""
        return len(self.parts)

    def __iter__(self) -> Iterator[Tensor]:
        """Prepare the images `(batch, 3, image_size, image_size)`, batch by batch."""
        if self.files is not None:
            yield from batches_of_files(self.encoder, self.files, self.size)
            return
        for start in range(0, len(self.parts), self.size):
            yield self._prepared(self.parts[start : start + self.size])

    def _prepared(self, part: Any) -> Tensor:
        import torch

        if isinstance(part, np.ndarray):
            return self.encoder.prepare(part)
        return torch.cat([self.encoder.prepare(image[None]) for image in part])


def files_and_pixels(images: Images) -> tuple[list[Path] | None, Any]:
    """Tell image files from pixels.

    Args:
        images: What `Images` lists.

    Returns:
        The files, and nothing; or None, and the pixels as one array `(count, height, width,
        channels)`, or as a list of arrays where they came one by one.

    Raises:
        HybridqError: If they are something else, or a file is no image.
    """
    if isinstance(images, ImageSplit):
        images = images.images
    elif isinstance(images, Dataset):
        items = (images[number] for number in range(len(images)))  # type: ignore[arg-type]
        images = [item[0] if isinstance(item, tuple | list) else item for item in items]
    if isinstance(images, str | Path) or is_picture(images):
        images = [images]
    if not isinstance(images, Sequence):
        return None, pixels_of(images)
    if images and all(isinstance(image, str | Path) for image in images):
        files = image_files([Path(image) for image in images])
        for path in files:
            check_image(path)
        return files, None
    if not images:
        raise InvalidValueError("Expected images, got none: give at least one.")
    return None, [pixels_of([image])[0] for image in images]
