"""A head alone on features that are there already: a plain loop of a second or two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.models.classifier import probabilities
from hybridq.models.reducers import check_reducer
from hybridq.training.batches import EpochBatches
from hybridq.training.objectives.batch_norm import EvenStatistics
from hybridq.training.objectives.criteria import Criterion, loss_function
from hybridq.training.objectives.supervised import Supervised
from hybridq.training.optimizer import head_groups, one_cycle
from hybridq.training.seeding import derive_seed, step_generator

BATCH = 32
"""Images of a batch, where there are as many."""


def train_head(
    head: nn.Module,
    features: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    steps: int,
    learning_rate: float,
    block_learning_rate: float,
    weight_decay: float,
    seed: int,
    batch_size: int = BATCH,
    criterion: Criterion | None = None,
    chances: NDArray[np.float64] | None = None,
) -> None:
    """Train a head in place, as `Supervised` does with a frozen encoder.

    Loss, optimiser and schedule are those of `hybridq finetune`; the batches are of `batch_size`
    images, or of all where there are fewer, and follow from the seed. The last step's weights stay.

    Args:
        head: what is trained; a weight that needs no gradient stays as it is.
        features: `(count, in_features)`.
        labels: `(count,)` classes, or `(count, num_classes)` of 0 and 1.
        num_classes: number of classes.
        steps: optimiser steps, at least 2.
        learning_rate: peak, of all but the block.
        block_learning_rate: peak, of the block: the circuit, or the control in its place.
        weight_decay: of matrices outside the block.
        seed: of the order of the images.
        batch_size: images of a batch, at least 1.
        criterion: the loss, in place of that of `hybridq finetune` with weights of classes.
        chances: with which images are drawn, as `EpochBatches` takes them.

    Raises:
        InvalidValueError: If its principal components have not been fitted.
    """
    check_reducer(head)
    groups = head_groups(
        head,
        learning_rate=learning_rate,
        block_learning_rate=block_learning_rate,
        weight_decay=weight_decay,
    )
    optimizer, schedule = one_cycle(groups, steps)
    criterion = criterion or loss_function(labels, num_classes, weighted=True)
    head.train()
    statistics = EvenStatistics(head)
    batches = head_batches(len(features), batch_size, seed, chances)
    for _, chosen in zip(range(steps), batches, strict=False):
        statistics.before_batch()
        optimizer.zero_grad()
        criterion(head(features[chosen]).float(), labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    statistics.end()
    head.eval()


def train_head_first(objective: Supervised) -> None:
    """Train the head alone for `probe_steps`, before all is trained; the encoder does not move.

    Kumar et al., "Fine-tuning can distort pretrained features", arXiv:2202.10054: a head that is
    not yet trained would pull the encoder away from what it has learned. The features are those
    of whole images; batches, rates and loss are those of the training that follows.

    Args:
        objective: Holds the model, the labelled images and the loss.
    """
    config, model = objective.config, objective.model
    training = model.head.training
    with step_generator(config.seed, 5):
        train_head(
            model.head,
            objective.features_of(objective.train_inputs),
            objective.train_labels,
            num_classes=objective.num_classes,
            steps=config.probe_steps,
            learning_rate=config.head_rate,
            block_learning_rate=config.quantum_learning_rate,
            weight_decay=config.weight_decay,
            seed=config.seed,
            batch_size=config.batch_size,
            criterion=objective.criterion,
            chances=objective.chances,
        )
    model.zero_grad(set_to_none=True)
    model.head.train(training)
    model.train(model.training)


def head_batches(
    images: int, batch_size: int, seed: int, chances: NDArray[np.float64] | None = None
) -> Iterator[list[int]]:
    """Index lists without end, epoch after epoch, each epoch in an order of its own."""
    batches = EpochBatches(images, batch_size, seed=derive_seed(seed, 2), chances=chances)
    for epoch in count():
        batches.set_epoch(epoch)
        yield from batches


@torch.inference_mode()
def head_probs(head: nn.Module, features: Tensor, *, multilabel: bool) -> NDArray[np.float64]:
    """Probabilities `(count, num_classes)` of features `(count, in_features)`."""
    probs: NDArray[np.float64] = probabilities(
        head(features).double(), multilabel=multilabel
    ).numpy()
    return probs
