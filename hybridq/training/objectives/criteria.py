"""What fine-tuning is judged by: the loss of a step, and the AUC of the validation split."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.models.classifier import probabilities
from hybridq.utils.auc import auc


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
    balance = len(labels) / (num_classes * count)
    return nn.CrossEntropyLoss(weight=balance if weighted else None)


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
