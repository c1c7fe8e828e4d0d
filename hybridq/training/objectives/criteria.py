"""What fine-tuning is judged by: the loss of a step, and the AUC of the validation split."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.config.handed import check_made
from hybridq.errors import InvalidValueError
from hybridq.models.classifier import probabilities
from hybridq.utils.auc import auc

Criterion: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""A loss, a module or a function of logits `(batch, num_classes)` and labels."""


def loss_function(labels: Tensor, num_classes: int, *, weighted: bool) -> nn.Module:
    """Cross-entropy with classes weighed by the inverse of their frequency.

    With several labels for an image: binary cross-entropy, positives weighed likewise, by at
    most 20.
    """
    if labels.ndim == 2:
        positive = labels.sum(dim=0).clamp(min=1).float()
        weights = ((len(labels) - positive) / positive).clamp(max=20.0)
        bce = nn.BCEWithLogitsLoss(pos_weight=weights if weighted else None)
        return _FloatLabels(bce)
    count = torch.bincount(labels, minlength=num_classes).float()
    balance = len(labels) / (num_classes * count.clamp(min=1))  # one that is not there has no loss
    return nn.CrossEntropyLoss(weight=balance if weighted else None)


def check_criterion(criterion: Criterion | None, num_classes: int, *, multilabel: bool) -> None:
    """Refuse what is no loss of logits and labels, before anything is trained.

    A copy of it is given the logits and the labels of two images.

    Args:
        criterion: What was handed over; None for the usual loss.
        num_classes: The number of logits.
        multilabel: Whether labels are columns of 0 and 1, not numbers of classes.

    Raises:
        InvalidValueError: If it cannot take them, or gives no single number.
    """
    if criterion is None:
        return
    check_made("criterion", criterion)
    if not callable(criterion):
        raise InvalidValueError(
            f"Expected a criterion as a module or a function of logits and labels, got a "
            f"{type(criterion).__name__}: give one, such as torch.nn.CrossEntropyLoss()."
        )
    logits = torch.linspace(-1, 1, 2 * num_classes).reshape(2, num_classes).requires_grad_()
    labels = torch.arange(2)
    if multilabel:
        labels = torch.arange(2 * num_classes).reshape(2, num_classes) % 2
    wanted = f"a criterion of logits {(2, num_classes)} and {tuple(labels.shape)} whole labels"
    remedy = "see that it fits; torch.nn.CrossEntropyLoss() is one for classes."
    try:
        loss = deepcopy(criterion)(logits, labels)
    except Exception as error:
        got = " ".join(str(error).split()) or type(error).__name__
        raise InvalidValueError(f"Expected {wanted}, got {got}: {remedy}") from error
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        got = f"a {type(loss).__name__}"
        if isinstance(loss, Tensor):
            got = f"a loss of shape {tuple(loss.shape)}" if loss.numel() != 1 else "no gradient"
        raise InvalidValueError(f"Expected {wanted} with one loss, got {got}: {remedy}")


class _FloatLabels(nn.Module):
    """Gives a loss its labels as floats."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = self.loss(logits, labels.to(logits.dtype))
        return value


def has_auc(labels: NDArray[np.int64], num_classes: int) -> bool:
    """Whether an AUC can be computed from images with these labels."""
    return not math.isnan(auc(labels, np.zeros((len(labels), num_classes))))


class ValidationAuc:
    """The AUC of a split whose scores come batch by batch, as `hybridq evaluate` computes it.

    Args:
        multilabel: Whether an image can have several labels.
    """

    def __init__(self, *, multilabel: bool) -> None:
        self.multilabel = multilabel
        self._parts: list[tuple[Tensor, Tensor]] = []

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Take in the logits of a batch, `(batch, num_classes)`, and its labels."""
        probs = probabilities(logits.detach().cpu().double(), multilabel=self.multilabel)
        self._parts.append((labels.cpu(), probs))

    def compute(self) -> float | None:
        """Compute the mean over the classes that have an AUC, None without any, and start again."""
        labels, probs = (torch.cat(parts).numpy() for parts in zip(*self._parts, strict=True))
        self._parts.clear()
        value = auc(labels, probs)
        return None if math.isnan(value) else value
