"""Heads, or parts of them, that are fitted in closed form to the features of a frozen encoder."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import torch

from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import ModelSpec, save_model
from hybridq.models.classifier import HybridClassifier
from hybridq.models.heads import HEADS, is_fitted
from hybridq.models.reducers import reducer_of
from hybridq.training.objectives.supervised import Supervised
from hybridq.utils.files import write_jsonl

logger = logging.getLogger("hybridq")

BATCH = 128


def check_fitted(config: FinetuneConfig, model: HybridClassifier, *, multilabel: bool) -> None:
    """Refuse to train the encoder below a head, or a reducer, that is fitted in closed form.

    A head of this package that is fitted so takes one label for each image.

    Raises:
        InvalidValueError: If that is what is asked for.
    """
    reducer = reducer_of(model.head)
    if reducer is not None and reducer.kind == "pca" and not config.freeze_encoder:
        raise InvalidValueError(
            "Expected --freeze-encoder with --head.reducer pca, whose components are those of "
            "fixed features, got a trained encoder: add --freeze-encoder, or take another reducer."
        )
    name = config.head.name
    if multilabel and name in HEADS and HEADS[name].fitted:
        raise InvalidValueError(
            f"Expected one label for each image with head {name}, got data with "
            "several: take another head."
        )
    if is_fitted(model.head) and not config.freeze_encoder:
        raise InvalidValueError(
            f"Expected --freeze-encoder with head {config.head.name}, which is fitted in closed "
            "form and gives the encoder no gradient, got a trained encoder: add --freeze-encoder."
        )


@torch.no_grad()
def fit_head(objective: Supervised, folder: Path, spec: ModelSpec) -> dict[str, float | None]:
    """Fit the head on the labelled features, and keep the model and its figures on validation.

    Args:
        objective: Holds the model, and features and labels of both splits.
        folder: The run folder.
        spec: What is written beside the weights.

    Returns:
        Epoch, validation AUC and loss, as of a training that keeps its one epoch.
    """
    started = time.perf_counter()
    head = objective.model.head.eval()
    head.fit(objective.train_inputs, objective.train_labels)  # type: ignore[operator]
    about = getattr(head, "about_fit", None)
    if callable(about) and (said := about()):
        logger.info("%s", said)
    logits = torch.cat([head(part) for part in torch.split(objective.val_inputs, BATCH)])
    objective.val_auc.update(logits, objective.val_labels)
    kept: dict[str, float | None] = {
        "epoch": 0.0,
        "val_auc": objective.val_auc.compute(),
        "val_loss": float(objective.criterion(logits.float(), objective.val_labels)),
    }
    save_model(folder / "model", objective.model, spec)
    train = torch.cat([head(part) for part in torch.split(objective.train_inputs, BATCH)])
    row = {
        **kept,
        "epoch": 0,
        "loss": float(objective.criterion(train.float(), objective.train_labels)),
        "learning_rate": 0.0,
        "seconds": round(time.perf_counter() - started, 3),
    }
    write_jsonl(folder / "metrics.jsonl", [row])
    return kept
