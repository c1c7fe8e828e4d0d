"""The interval of a mean figure, and the images that it takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t

from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics.checks import check_level
from hybridq.evaluation.statistics.crossed import crossed_variance
from hybridq.evaluation.statistics.measured import Measured, measure_auc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 2
"""Images of each class, and of the rest beside it, that an interval takes."""


def mean_interval(measured: Measured, level: float = 0.95) -> tuple[float, float, float]:
    """Compute a mean over encoders and label subsets, and its interval over these and the images.

    The variance is that of `crossed_variance`, and of one model that of the images. The interval is
    made on the logit scale, where figures near 1 are less skewed, with a degree of freedom less
    than the fewer of encoders and subsets leave: effects of few encoders are skewed too, and a
    plain interval then covers too seldom (docs/statistics.md).

    Args:
        measured: A figure between 0 and 1.
        level: Coverage.

    Returns:
        Mean, lower and upper end.

    Raises:
        InvalidValueError: If the level is not between 0 and 1.
    """
    check_level(level)
    variance = crossed_variance(measured.values, measured.covariance)
    mean = float(measured.values.mean())
    slope = mean * (1 - mean)
    if not variance.varies or slope <= 0:
        return mean, mean, mean
    fewest = min((size for size in measured.values.shape if size > 1), default=2)
    degrees = variance.degrees * max(1, fewest - 2) / (fewest - 1)
    half = float(t.isf((1 - level) / 2, degrees)) * variance.standard_error / slope
    return mean, float(expit(logit(mean) - half)), float(expit(logit(mean) + half))


def auc_interval(labels: Ints, probs: Floats, *, level: float = 0.95) -> tuple[float, float, float]:
    """Compute a mean AUC over the seeds, and its interval over seeds and images together.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1.
        probs: `(seeds, images, classes)`.
        level: Coverage.

    Returns:
        Mean, lower and upper end, by `mean_interval`.

    Raises:
        InvalidValueError: If labels and probabilities do not fit, or there are not `enough_images`.
    """
    return mean_interval(measure_auc(labels, probs[:, None]), level)


def class_counts(labels: Ints, num_classes: int) -> Ints:
    """Count the images of each class, `(classes,)`.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1.
        num_classes: Number of classes.
    """
    hot = labels == 1 if labels.ndim == 2 else labels[:, None] == np.arange(num_classes)
    counts: Ints = hot.sum(axis=0)
    return counts


def enough_images(labels: Ints, num_classes: int) -> bool:
    """Say whether each class, and the rest beside it, has the images that an interval takes."""
    counts = class_counts(labels, num_classes)
    return bool(min(counts.min(), (len(labels) - counts).min()) >= FEWEST)


def check_test_labels(labels: Ints, class_names: Sequence[str]) -> None:
    """Refuse a test split that no interval can come from, before any work is done.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1.
        class_names: Names of the classes.

    Raises:
        InvalidValueError: If a class has fewer than two images, or all but one.
    """
    for name, count in zip(class_names, class_counts(labels, len(class_names)), strict=True):
        if not FEWEST <= count <= len(labels) - FEWEST:
            raise InvalidValueError(
                f"Expected in the test split at least {FEWEST} images of class {name!r} and of the "
                f"rest, got {count} of {len(labels)}: add images, or leave the class out."
            )
