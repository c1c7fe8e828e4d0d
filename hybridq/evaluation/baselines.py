"""What a model has to beat: the majority class, raw pixels, and an untrained encoder.

The logistic regressions' penalty is chosen on the validation split, from one grid for both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from hybridq.data import ImageSplit
from hybridq.evaluation.features import image_features
from hybridq.evaluation.metrics.scores import auc
from hybridq.models.encoders.encoder import Encoder, random_encoder_like
from hybridq.models.searched_regression import PENALTIES, logistic_regression

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Probs = dict[str, tuple[Floats, Floats]]
"""The probabilities of each baseline on the validation split and on the evaluated one."""

BATCH = 128
"""Images at a time."""

NAMES = {
    "majority": "majority class",
    "raw_pixels": "raw pixels, logistic regression",
    "random_encoder": "random encoder, logistic regression",
}
"""What the baselines are called in words."""


def majority_probs(labels: Ints, num_classes: int, count: int) -> Floats:
    """The class frequencies of the training labels, for every image.

    Returns `(count, num_classes)`.
    """
    if labels.ndim == 2:
        frequency = labels.mean(axis=0)
    else:
        frequency = np.bincount(labels, minlength=num_classes) / len(labels)
    return np.tile(frequency.astype(np.float64), (count, 1))


class LogisticBaseline:
    """Logistic regression on standardised inputs, balanced classes, C chosen on validation.

    Where validation has one class only, and so no AUC, the smallest C is kept.

    Args:
        train: `(count, inputs)` and labels.
        val: the same of the validation split.
        num_classes: number of classes.
    """

    def __init__(
        self, train: tuple[Floats, Ints], val: tuple[Floats, Ints], num_classes: int
    ) -> None:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.num_classes = num_classes
        best: float | None = None
        for penalty in PENALTIES:
            model = logistic_regression(penalty, several=train[1].ndim == 2)
            pipeline = make_pipeline(StandardScaler(), model).fit(*train)
            score = auc(val[1], self._probs(pipeline, val[0]))
            if best is None or score > best:
                best, self._pipeline, self.penalty = score, pipeline, penalty

    def probs(self, inputs: Floats) -> Floats:
        """Probabilities `(count, num_classes)` of inputs `(count, inputs)`."""
        return self._probs(self._pipeline, inputs)

    def _probs(self, pipeline: Any, inputs: Floats) -> Floats:
        probs: Floats = np.asarray(pipeline.predict_proba(inputs), dtype=np.float64)
        return probs


def pixel_inputs(images: NDArray[np.uint8], largest: int = 64) -> Floats:
    """Raw pixels `(count, height * width * channels)` on a scale of 0 to 1.

    Images larger than `largest` are averaged over whole blocks down to at most that side, to
    keep the regression small.
    """
    count, *sides, channels = images.shape
    step = -(-max(sides) // largest)
    height, width = (side // step for side in sides)
    flat = np.empty((count, height * width * channels))
    for start in range(0, count, BATCH):
        part: NDArray[Any] = images[start : start + BATCH, : height * step, : width * step]
        if step > 1:
            blocks = part.astype(np.float32).reshape(-1, height, step, width, step, channels)
            part = blocks.mean(axis=(2, 4))
        flat[start : start + BATCH] = part.reshape(len(part), -1)
    flat /= 255
    return flat


def shaped_like(split: ImageSplit, other: ImageSplit) -> ImageSplit:
    """Resize images to the shape of others, so that what was fitted on those takes them.

    Grey becomes three equal channels, and colour the mean of its three.
    """
    height, width, channels = other.images.shape[1:]
    if split.images.shape[1:] == other.images.shape[1:]:
        return split
    parts = []
    for start in range(0, len(split), BATCH):
        part = torch.from_numpy(split.images[start : start + BATCH]).permute(0, 3, 1, 2).float()
        if channels != part.shape[1]:
            part = part.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)
        resized = interpolate(part, (height, width), mode="bilinear", antialias=True)
        parts.append(resized.round().clamp(0, 255).byte().permute(0, 2, 3, 1))
    return replace(split, images=torch.cat(parts).numpy(), files=None)


def baseline_probs(
    train: ImageSplit,
    val: ImageSplit,
    test: ImageSplit,
    encoder: Encoder,
    num_classes: int,
    seed: int,
) -> Probs:
    """Probabilities of the baselines on `val` and `test`, fitted on `train`."""
    result = {
        "majority": (
            majority_probs(train.labels, num_classes, len(val)),
            majority_probs(train.labels, num_classes, len(test)),
        )
    }
    untrained = random_encoder_like(encoder, seed).eval()
    inputs = {
        "raw_pixels": [pixel_inputs(split.images) for split in (train, val, test)],
        "random_encoder": [
            image_features(untrained, split.images).double().numpy() for split in (train, val, test)
        ],
    }
    for name, (on_train, on_val, on_test) in inputs.items():
        model = LogisticBaseline((on_train, train.labels), (on_val, val.labels), num_classes)
        result[name] = (model.probs(on_val), model.probs(on_test))
    return result
