"""Heads that are fitted in closed form, on the features of a frozen encoder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import ModelSpec, save_model
from hybridq.models.classifier import HybridClassifier, probabilities
from hybridq.models.heads import is_fitted
from hybridq.training.criteria import validation_auc
from hybridq.utils.files import write_jsonl

BATCH = 128


class Supervised(Protocol):
    """What is asked of a supervised training: its model, and inputs and labels of both splits."""

    model: HybridClassifier
    train_inputs: Tensor
    train_labels: Tensor
    val_inputs: Tensor
    val_labels: Tensor
    criterion: nn.Module
    val_auc: Metric
    multilabel: bool
    binary: bool


def check_fitted(config: FinetuneConfig, model: HybridClassifier) -> None:
    """Refuse to train the encoder below a head that is fitted in closed form.

    Raises:
        InvalidValueError: If that is what is asked for.
    """
    if is_fitted(model.head) and not config.freeze_encoder:
        raise InvalidValueError(
            f"Expected --freeze-encoder with head {config.head.name}, which is fitted in closed "
            "form and gives the encoder no gradient, got a trained encoder: add --freeze-encoder."
        )


@torch.no_grad()
def fit_head(module: Supervised, folder: Path, spec: ModelSpec) -> dict[str, float]:
    """Fit the head on the labelled features, and keep the model and its figures on validation.

    Args:
        module: Holds the model, and features and labels of both splits.
        folder: The run folder.
        spec: What is written beside the weights.

    Returns:
        Epoch, validation AUC and loss, as of a training that keeps its one epoch.
    """
    started = time.perf_counter()
    head = module.model.head.eval()
    head.fit(module.train_inputs, module.train_labels)  # type: ignore[operator]
    logits = torch.cat([head(part) for part in torch.split(module.val_inputs, BATCH)])
    scores = probabilities(logits.double(), multilabel=module.multilabel)
    module.val_auc.update(scores[:, 1] if module.binary else scores, module.val_labels)
    kept = {
        "epoch": 0.0,
        "val_auc": float(validation_auc(module.val_auc, module.val_labels)),
        "val_loss": float(module.criterion(logits.float(), module.val_labels)),
    }
    save_model(folder / "model", module.model, spec)
    train = torch.cat([head(part) for part in torch.split(module.train_inputs, BATCH)])
    row = {
        **kept,
        "epoch": 0,
        "loss": float(module.criterion(train.float(), module.train_labels)),
        "learning_rate": 0.0,
        "seconds": round(time.perf_counter() - started, 3),
    }
    write_jsonl(folder / "metrics.jsonl", [row])
    return kept
