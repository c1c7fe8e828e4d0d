"""What a training asks of its objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader


class Step(NamedTuple):
    """Where a training stands; randomness that follows from it alone can be repeated."""

    epoch: int
    """Number of the epoch, from 0."""
    batch: int
    """Number of the batch in it, from 0."""
    rank: int = 0
    """Number of the process, from 0."""


class Objective(nn.Module, ABC):
    """A model in training: where batches come from, and what loss they make.

    An objective is a torch module that holds what is trained, so that devices, processes and
    checkpoints find it. What it draws at random in a step has to follow from the step, as
    `hybridq.training.seeding.step_generator` does; then a resumed training gives the same weights.
    """

    validates = False
    """Whether there is a validation: `val_batches` and `validate` are its own then."""

    @abstractmethod
    def train_batches(self, rank: int, world_size: int) -> DataLoader[Any]:
        """Get the batches of an epoch for one of several processes.

        A sampler with a method `set_epoch(epoch)` is told the epoch before it begins.

        Args:
            rank: Number of the process.
            world_size: How many there are.
        """

    @abstractmethod
    def loss(self, batch: Any, step: Step) -> Tensor:
        """Compute the loss of a batch, a scalar with a gradient."""

    @abstractmethod
    def optimizer(self, steps: int, epochs: int) -> tuple[Optimizer, Any]:
        """Make the optimiser, and a schedule that is stepped with it, or None.

        Args:
            steps: Optimiser steps of the whole training.
            epochs: Its epochs.
        """

    def after_step(self, step: int, total: int) -> None:
        """Do what follows a step of the optimiser, such as moving a slow copy of the weights.

        Args:
            step: Number of the step, from 0.
            total: Steps of the whole training.
        """
        return

    def gather(self) -> None:
        """Look at the batches of all processes from now on, where the loss does that."""
        return

    def val_batches(self) -> DataLoader[Any]:
        """Get the batches of validation, whole in each process."""
        raise NotImplementedError

    def validate(self, batch: Any) -> Mapping[str, Tensor]:
        """Compute means over a batch of validation, by name; `loss` is one.

        They are averaged over the images of all batches and logged as `val_NAME`.
        """
        raise NotImplementedError

    def figures(self) -> Mapping[str, Tensor | float | None]:
        """Compute figures of the whole validation, after its last batch, logged as `val_NAME`.

        One that is not defined for these images is None.
        """
        return {}
