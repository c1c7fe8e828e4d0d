"""What features are worth on the way of a pretraining: their rank, their spread, their classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridq.data import UNLABELLED, ImageSplit
from hybridq.utils.auc import auc
from hybridq.utils.ranks import rank_me

Floats = NDArray[np.float64]

SAMPLE = 512
"""The largest number of images that are looked at."""
NEIGHBOURS = 20
FOLDS = 5
LEAST_RANK = 1.5
"""RankMe below which features have collapsed to one direction."""
LEAST_SPREAD = 0.01
"""Spread below which features have collapsed to one point."""


def spread(features: Floats) -> float:
    """Compute how far features of length 1 lie apart: 0 where all are equal, 1 in all directions.

    It is the standard deviation of their components times the root of their number (Chen & He,
    arXiv:2011.10566, section 4.1).

    Args:
        features: `(images, features)`.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(lengths > 0, lengths, 1)
    return float(np.sqrt(features.shape[1]) * unit.std(axis=0).mean())


def figures_of(features: Floats) -> dict[str, float]:
    """Compute `rankme` and `spread` of features `(images, features)`."""
    return {"rankme": rank_me(features), "spread": spread(features)}


def has_collapsed(figures: dict[str, float]) -> bool:
    """Say whether figures are those of features without information."""
    return figures["rankme"] < LEAST_RANK or figures["spread"] < LEAST_SPREAD


def knn_auc(features: Floats, split: ImageSplit, *, seed: int) -> float:
    """Compute the AUC of a vote of the nearest neighbours, by cross-validation.

    The 20 nearest images in cosine distance vote, of the other folds of five, which are stratified
    and keep groups whole. Images without a label are left out.

    Args:
        features: `(images, features)`.
        split: The same images, with one label each.
        seed: The seed of the folds.

    Returns:
        The AUC, from 0 to 1; NaN where a class has fewer images, or groups, than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    known = split.labels != UNLABELLED
    classes, labels = np.unique(split.labels[known], return_inverse=True)
    groups = None if split.groups is None else split.groups[known]
    apart = np.arange(len(labels)) if groups is None else groups
    rarest = min((len(np.unique(apart[labels == k])) for k in range(len(classes))), default=0)
    if len(classes) < 2 or rarest < FOLDS:
        return float("nan")
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = kind(FOLDS, shuffle=True, random_state=seed)
    least = len(labels) - max(len(test) for _, test in folds.split(labels, labels, groups))
    votes = KNeighborsClassifier(min(NEIGHBOURS, least), metric="cosine")
    probs = cross_val_predict(
        votes, features[known], labels, groups=groups, cv=folds, method="predict_proba"
    )
    return auc(labels.astype(np.int64), np.asarray(probs, dtype=np.float64))
