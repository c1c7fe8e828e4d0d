"""Read the images that a submission sends: those of a split, or files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.config import FinetuneConfig, SubmitConfig
from hybridq.data import ImageData
from hybridq.data.sources.images import read_image
from hybridq.evaluation.evaluate import BATCH, classify, limited_split
from hybridq.evaluation.locked.asked_data import data_for
from hybridq.evaluation.locked.rule import rule_of
from hybridq.evaluation.predict import image_files
from hybridq.models.checkpoint import ModelSpec
from hybridq.models.classifier import HybridClassifier
from hybridq.runs.recorded import recorded
from hybridq.utils.pseudonyms import Pseudonyms, note_names

logger = logging.getLogger("hybridq")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Images to send.

    Attributes:
        name: Name of the data.
        split: The split; None for files.
        ids: Names of the images; for files their full paths.
        labels: `(images,)` or `(images, num_classes)`; empty without labels.
        images: Pixels, one array for each image.
        data: The data with its validation split; None for files.
    """

    name: str
    split: str | None
    ids: tuple[str, ...]
    labels: Ints
    images: list[NDArray[np.uint8]]
    data: ImageData | None


def source_of(
    config: SubmitConfig,
    run: FinetuneConfig,
    spec: ModelSpec,
    pseudonyms: Pseudonyms | None = None,
) -> Source:
    """Read the images that a command names, with pseudonyms in place of names if there are any.

    Args:
        config: The config of the command.
        run: The run folder of the model.
        spec: The spec of the model.
        pseudonyms: The pseudonyms of images, or None.

    Raises:
        HybridqError: If they cannot be read.
    """
    if config.images:
        files = sorted({path.resolve() for path in image_files(config.images)})
        pixels = _read(files)
        names = map(str, files)
        if pseudonyms is None:
            note_names("the images")
        else:
            names = map(pseudonyms.image, names)
        return Source("image files", None, tuple(names), np.empty(0, int), pixels, None)
    wanted = {"val", config.split}
    data = data_for(
        run,
        spec,
        data=config.data,
        data_root=config.data_root,
        splits=tuple(name for name in ("val", "test") if name in wanted),
        optional=("val",) if config.split != "val" else (),
        pseudonyms=pseudonyms,
    )
    return source_of_data(data, config)


def source_of_data(data: ImageData, config: SubmitConfig) -> Source:
    """Take the images of a split, or so many of them as the config says."""
    chosen = limited_split(data, config.split, config.limit, seed=config.seed)
    if config.limit is not None and config.limit > len(chosen):
        logger.info("--limit %d of %d images: all are sent", config.limit, len(chosen))
    return Source(
        data.name,
        config.split,
        tuple(chosen.ids),
        np.asarray(chosen.labels, dtype=np.int64),
        list(chosen.images) if chosen.files is None else _read(chosen.files),
        data,
    )


def without_names(
    config: SubmitConfig, source: Source, pseudonyms: Pseudonyms | None
) -> SubmitConfig:
    """Return the config to be written, without the names of files that have pseudonyms.

    Args:
        config: The config of the command.
        source: The images.
        pseudonyms: The pseudonyms of images, or None.
    """
    if pseudonyms is not None and source.data is None:
        config = config.model_copy(update={"images": ()})
    if source.data is None:
        return config.model_copy(
            update={"pseudonym_key": None, "pseudonyms": pseudonyms is not None}
        )
    return recorded(config, source.data, pseudonyms)


def _read(files: Sequence[Path]) -> list[NDArray[np.uint8]]:
    return [read_image(path, channels=3) for path in files]


def threshold_of(model: HybridClassifier, spec: ModelSpec, source: Source) -> float:
    """Take the threshold that is stored with the model.

    That of a model of an earlier version is chosen on validation without noise, where the images
    come with such a split, and is 0.5 elsewhere.

    Args:
        model: The model, on a backend without noise.
        spec: Its spec.
        source: The images.
    """
    rule = rule_of(spec, "one")
    for note in rule.notes:
        logger.info("%s", note)
    if source.data is None or not rule.needs_validation:
        return rule.threshold
    val, on_val = source.data.splits.get("val"), None
    if val is not None:
        on_val = classify(model, val, multilabel=spec.task == "multilabel")
    return rule.completed(source.data, on_val).threshold


@torch.inference_mode()
def features_of(model: HybridClassifier, source: Source) -> Tensor:
    """Compute the features of the images, `(images, num_features)`."""
    return torch.cat([model.features(batch) for batch in _batches(model, source)])


def _batches(model: HybridClassifier, source: Source) -> Iterator[Tensor]:
    """Yield prepared images batch by batch; files may have different sizes."""
    for start in range(0, len(source.images), BATCH):
        some = source.images[start : start + BATCH]
        if len({image.shape for image in some}) == 1:
            yield model.encoder.prepare(np.stack(some))
        else:
            yield torch.cat([model.encoder.prepare(image[None]) for image in some])
