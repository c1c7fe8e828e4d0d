"""AUCs of several models on the same images, and their covariance.

DeLong, DeLong & Clarke-Pearson, Biometrics 44:837 (1988), by midranks as in Sun & Xu, IEEE Signal
Processing Letters 21:1389 (2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics.checks import checked_scores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def auc_covariance(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """AUCs of models on the same images, and the covariance that the draw of the images gives them.

    Sun & Xu (2014): with midranks among all images and within each class, the
    structural components of DeLong et al. cost a sort, not a comparison of all pairs. Several
    classes: the mean of one against the rest is a mean of such statistics, so each image's
    components are summed over the classes before their covariance is taken within each class
    (Hoeffding's projection; with two classes it is DeLong's covariance).

    Args:
        labels: `(images,)` classes, or `(images, classes)` of 0 and 1; then the images are one
            stratum.
        scores: `(models, images)` scores of class 1, ties count half; or
            `(models, images, classes)`; then a class without images is left out of the mean.

    Returns:
        `(models,)` AUCs and their `(models, models)` covariance.

    Raises:
        InvalidValueError: With fewer than two images of a class, or of the rest, or if labels and
            scores do not fit.
    """
    aucs, influence = auc_influence(labels, scores)
    return aucs, influence @ influence.T


def auc_influence(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """AUCs of models on the same images, and by how much each image moves them.

    Args:
        labels: What `auc_covariance` takes.
        scores: What `auc_covariance` takes.

    Returns:
        `(models,)` AUCs and their `(models, images)` influence, whose products summed over the
        images are the covariance; it sums to 0 within each class.

    Raises:
        InvalidValueError: As of `auc_covariance`.
    """
    labels, (scores,) = checked_scores(labels, scores)
    if scores.ndim == 2:
        positives, columns = [labels == 1], [scores]
    else:
        hot = labels == 1 if labels.ndim == 2 else labels[:, None] == np.arange(scores.shape[2])
        present = np.flatnonzero(hot.any(axis=0))
        positives, columns = list(hot.T[present]), [scores[:, :, k] for k in present]
    parts = [
        _components(positive, column) for positive, column in zip(positives, columns, strict=True)
    ]
    aucs = np.mean([part[0] for part in parts], axis=0)
    components = np.mean([part[1] for part in parts], axis=0)
    strata = [np.arange(len(labels))]
    if labels.ndim == 1:
        strata = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    for stratum in strata:
        own = components[:, stratum]
        count = len(stratum)
        # The products of `count` centred values, less one degree of freedom.
        components[:, stratum] = (own - own.mean(axis=1, keepdims=True)) * np.sqrt(
            count / (count - 1)
        )
    return aucs, components


def _components(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """`(models,)` AUCs and `(models, images)` by how much each image moves them."""
    count = int(positive.sum())
    rest = len(positive) - count
    if count < 2 or rest < 2:
        raise InvalidValueError(
            f"Expected at least two images of each class, got {count} and {rest}: "
            "a covariance needs more images."
        )
    ranks = rankdata(scores, axis=1)
    by_positive = (ranks[:, positive] - rankdata(scores[:, positive], axis=1)) / rest
    by_negative = 1 - (ranks[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / count
    aucs = by_positive.mean(axis=1)
    components = np.empty_like(ranks)
    components[:, positive] = (by_positive - aucs[:, None]) / count
    components[:, ~positive] = (by_negative - aucs[:, None]) / rest
    return aucs, components
