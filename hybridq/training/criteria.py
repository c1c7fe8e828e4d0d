"""What fine-tuning is judged by: the loss of a step, and the AUC of the validation split."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hybridq.data import ImageData


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


def auc_metric(data: ImageData) -> Any:
    """AUC of the second of two classes, else of each class or label, on what one rank has seen."""
    from torchmetrics.classification import BinaryAUROC, MulticlassAUROC, MultilabelAUROC

    if data.task == "multilabel":
        return MultilabelAUROC(data.num_classes, average="none", sync_on_compute=False)
    if data.num_classes == 2:
        return BinaryAUROC(sync_on_compute=False)
    return MulticlassAUROC(data.num_classes, average="none", sync_on_compute=False)


def defined_aucs(labels: Tensor, count: int) -> Tensor:
    """Which of `count` AUCs have images on both sides: of each class or label, or of two classes.

    Their mean is what `hybridq.evaluation.metrics.scores.auc` gives.
    """
    if labels.ndim == 2:
        positive = labels.sum(dim=0)
    elif count == 1:
        positive = labels.sum().reshape(1)
    else:
        positive = torch.bincount(labels, minlength=count)
    return (positive > 0) & (positive < len(labels))


def validation_auc(metric: Any, labels: Tensor) -> Tensor:
    """The mean of the defined AUCs that a metric has gathered, 0 where there is none; it is reset.

    Args:
        metric: Of `auc_metric`, updated with the whole split.
        labels: Of the split.
    """
    values: Tensor = metric.compute().float().reshape(-1)
    metric.reset()
    defined = defined_aucs(labels, values.numel())
    return values[defined].mean() if defined.any() else values.new_zeros(())
