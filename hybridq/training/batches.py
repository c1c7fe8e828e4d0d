"""Batches of in-memory images in an order that follows from (seed, epoch) alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hybridq.training.seeding import derive_seed

Batch = tuple[Tensor, Tensor]


class TensorPairs(Dataset[Batch]):
    """Inputs and labels, fetched a whole batch at a time."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs = inputs
        self.labels = labels

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: list[int]) -> Batch:
        chosen = torch.as_tensor(index)
        return self.inputs[chosen], self.labels[chosen]


class EpochBatches(Sampler[list[int]]):
    """Index lists of one epoch: shuffled by (seed, epoch), and shared out among ranks.

    Lightning calls `set_epoch` before each epoch. All ranks shuffle alike, and each takes every
    `world_size`-th index of the same list, so that they never see the same image in a step unless
    images are drawn by `chances`.

    Args:
        count: number of images.
        batch_size: of one rank.
        seed: of the order.
        rank: of this process.
        world_size: number of processes.
        drop_last: leave out an incomplete batch, unless it is the only one.
        chances: with which images are drawn, again and again, in place of each once; they add up
            to 1.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = True,
        chances: NDArray[np.float64] | None = None,
    ) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.drop_last = drop_last
        self.chances = chances
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of `epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        own = self.count // self.world_size
        if self.drop_last and own >= self.batch_size:
            return own // self.batch_size
        return math.ceil(own / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng(derive_seed(self.seed, self.epoch))
        if self.chances is None:
            order = rng.permutation(self.count)
        else:
            order = rng.choice(self.count, self.count, p=self.chances)
        own = order[: self.count // self.world_size * self.world_size]
        own = own[self.rank :: self.world_size]
        for start in range(len(self)):
            yield own[start * self.batch_size : (start + 1) * self.batch_size].tolist()


def batch_loader(dataset: TensorPairs, batches: Sampler[list[int]]) -> DataLoader[Batch]:
    """A loader that hands each index list to the data set at once."""
    return DataLoader(dataset, sampler=batches, batch_size=None)
