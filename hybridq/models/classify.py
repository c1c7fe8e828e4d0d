"""Probabilities of images, alike for splits in memory and for files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.data import ImageData, ImageSplit
from hybridq.data.sources.images import read_image
from hybridq.models.classifier import HybridClassifier, probabilities
from hybridq.models.decision import LEAST_IMAGES, Decision, choose_threshold
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.views import Views, views_of
from hybridq.utils.pace import Pace
from hybridq.utils.text import counted

logger = logging.getLogger("hybridq")

BATCH = 128

Floats = NDArray[np.float64]


def classify(
    model: HybridClassifier, split: ImageSplit, *, multilabel: bool, views: Views = "one"
) -> Floats:
    """Probabilities `(count, num_classes)` of the images of a split, averaged over `views`.

    Images that were resized on reading, since they differ in size, are read again from their
    files, as `predict` reads them.
    """
    batches = batches_of_split(model.encoder, split)
    return image_probs(model, batches, multilabel=multilabel, count=len(split), views=views)


def batches_of_split(encoder: Encoder, split: ImageSplit) -> Iterator[Tensor]:
    """Prepare the images of a split batch by batch, as an encoder wants them."""
    if split.files is not None:
        yield from batches_of_files(encoder, split.files, BATCH)
        return
    for start in range(0, len(split), BATCH):
        yield encoder.prepare(split.images[start : start + BATCH])


def batches_of_files(encoder: Encoder, paths: Sequence[Path], batch_size: int) -> Iterator[Tensor]:
    """Read image files batch by batch, as an encoder wants them; they may differ in size."""
    for start in range(0, len(paths), batch_size):
        own = paths[start : start + batch_size]
        yield torch.cat([encoder.prepare(read_image(path, channels=3)[None]) for path in own])


@torch.inference_mode()
def image_probs(
    model: HybridClassifier,
    batches: Iterable[Tensor],
    *,
    multilabel: bool,
    count: int,
    views: Views = "one",
) -> Floats:
    """Probabilities `(count, num_classes)` of prepared images, batch by batch.

    Args:
        model: A model in evaluation mode.
        batches: Images `(batch, 3, image_size, image_size)`.
        multilabel: Whether an image can have several labels.
        count: How many images there are, for the log.
        views: Views of an image whose probabilities are averaged.
    """
    parts: list[Tensor] = []
    done = 0
    pace = Pace(count, "images")
    for batch in batches:
        seen = [
            probabilities(model(view).double(), multilabel=multilabel)
            for view in views_of(batch, views)
        ]
        parts.append(torch.stack(seen).mean(dim=0))
        done += len(batch)
        pace.done(done)
    probs: Floats = torch.cat(parts).numpy()
    return probs


def choose_decision(model: HybridClassifier, data: ImageData, *, views: Views) -> Decision:
    """Choose the threshold that a model decides by, on the validation images of its run.

    It is 0.5, and a line says so, where there are fewer than `LEAST_IMAGES` of them or a class
    has none.

    Args:
        model: A model in evaluation mode.
        data: The data, with their validation split.
        views: Views of an image that are averaged.
    """
    if data.positive is None:
        return Decision(views=views)
    val = data.splits["val"]
    positive = val.labels == data.positive
    if len(val) < LEAST_IMAGES or positive.all() or not positive.any():
        told = counted(len(val), "validation image")
        logger.info(
            "the threshold is 0.5: of %s %d are positive, too few to choose one by",
            told,
            int(positive.sum()),
        )
        return Decision(views=views)
    scores = classify(model, val, multilabel=False, views=views)[:, data.positive]
    return Decision(
        threshold=choose_threshold(positive, scores),
        views=views,
        chosen_on=f"{counted(len(val), 'validation image')} of {data.name}",
    )
