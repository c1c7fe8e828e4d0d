"""More rows of rare classes, by SMOTE and QI-SMOTE, where the rows are features."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.models.classifier import HybridClassifier
from hybridq.models.heads import is_fitted

NEIGHBOURS = 5
"""Nearest neighbours of a row, between which and it new rows lie; fewer, for all classes, where the
rarest has fewer."""
OVERSAMPLED = ("smote", "qi-smote")


def check_balance(config: FinetuneConfig, model: HybridClassifier, *, multilabel: bool) -> None:
    """Refuse a way to balance classes that the model or the data cannot have.

    Raises:
        InvalidValueError: If that is what is asked for.
        UnavailableError: If the library of an oversampling is not installed.
    """
    way = config.balance
    if way == "weights":
        return
    if is_fitted(model.head):
        raise InvalidValueError(
            f"Expected --balance weights with head {config.head.name}, which is fitted in closed "
            f"form with classes that weigh the same, got {way}: leave it out."
        )
    if way == "none":
        return
    if multilabel:
        raise InvalidValueError(
            f"Expected one label for each image with --balance {way}, got data with several: take "
            "weights."
        )
    if way not in OVERSAMPLED:
        return
    if not config.freeze_encoder or len(model.feature_shape) > 1:
        raise InvalidValueError(
            f"Expected --freeze-encoder, and a head on pooled features, with --balance {way}, "
            "whose new rows are features: add it, or take sampler or weights."
        )
    if find_spec("imblearn") is None:
        raise UnavailableError(
            f"Expected imbalanced-learn for --balance {way}, got none: install it with `pip "
            "install 'hybridq[imbalance]'`."
        )


def oversampled(way: str, features: Tensor, labels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
    """Add rows until all classes that there are have as many.

    Args:
        way: `smote` or `qi-smote`.
        features: `(rows, features)`.
        labels: `(rows,)` classes.
        seed: Seed of what is drawn.

    Returns:
        Features and labels, those given first.

    Raises:
        InvalidValueError: If a class that has to grow has a single row.
    """
    from imblearn.over_sampling import SMOTE

    from hybridq.training.balancing.qi_smote import QISMOTE

    counts = np.bincount(labels.numpy())
    rarest = int(counts[counts > 0].min())
    if rarest == counts.max():
        return features, labels
    if rarest < 2:
        raise InvalidValueError(
            f"Expected at least 2 labelled images of each class with --balance {way}, got 1: raise "
            "--labels, or take weights."
        )
    kind = SMOTE if way == "smote" else QISMOTE
    sampler = kind(random_state=seed, k_neighbors=min(NEIGHBOURS, rarest - 1))
    made, of_rows = sampler.fit_resample(features.double().numpy(), labels.numpy())
    return torch.from_numpy(made).to(features), torch.from_numpy(of_rows).to(labels)


def balanced_chances(labels: Tensor) -> Tensor:
    """Compute chances with which rows are drawn so that all classes come as often, `(rows,)`."""
    counts = torch.bincount(labels)
    present = int((counts > 0).sum())
    return 1 / (present * counts[labels].double())
