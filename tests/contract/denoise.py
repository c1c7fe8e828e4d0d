"""An objective of one's own: points from noisy ones, with a slow copy of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

from hybridq.training.batches import EpochBatches, TensorPairs, batch_loader
from hybridq.training.objectives.objective import Objective, Step
from hybridq.training.seeding import step_generator


class Denoise(Objective):
    """The squared error of a linear map from noisy points to the points."""

    validates = True

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with step_generator(seed, 1):
            self.model = nn.Linear(3, 3)
        self.slow = nn.Linear(3, 3).requires_grad_(False)
        self.slow.load_state_dict(self.model.state_dict())
        self.points = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
        self.seen: list[tuple[int, ...]] = []

    def train_batches(self, rank: int, world_size: int) -> DataLoader[Any]:
        """Eight points at a time, in an order that follows from the epoch."""
        batches = EpochBatches(24, 8, seed=5, rank=rank, world_size=world_size)
        return batch_loader(TensorPairs(self.points, self.points), batches)

    def loss(self, batch: tuple[Tensor, Tensor], step: Step) -> Tensor:
        """The error, with noise that follows from the step."""
        with step_generator(7, *step):
            noisy = batch[0] + 0.1 * torch.randn_like(batch[0])
        self.seen.append(tuple(step))
        return (self.model(noisy) - batch[1]).square().mean()

    def after_step(self, step: int, total: int) -> None:
        """Move the slow copy, ever less."""
        with torch.no_grad():
            for old, new in zip(self.slow.parameters(), self.model.parameters(), strict=True):
                old.lerp_(new, 1 - step / total)

    def val_batches(self) -> DataLoader[Any]:
        """The points as they are."""
        return DataLoader(TensorDataset(self.points, self.points), batch_size=10)

    def validate(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The error without noise."""
        return {"loss": (self.model(batch[0]) - batch[1]).square().mean()}

    def figures(self) -> dict[str, Tensor]:
        """How large the weights are."""
        return {"norm": self.model.weight.norm()}

    def optimizer(self, steps: int, epochs: int) -> tuple[Optimizer, Any]:
        """Momentum, with a rate that rises to its end."""
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        return optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=steps)
