"""How long a pretraining is: steps of the optimiser, and the whole epochs that are made of them."""

from __future__ import annotations

from hybridq.config import PretrainConfig
from hybridq.training.batches import EpochBatches

STEPS_PER_IMAGE = 0.5
"""Steps for each image of the train split, where the config says neither steps nor epochs."""
FEWEST_STEPS = 2000
"""The least number of such steps, for small sets."""
MOST_STEPS = 10_000
"""The largest number of such steps, for large sets."""
WARMUP_SHARE = 0.05
"""Share of the steps in which the learning rate grows, where the config does not say it."""
MOST_WARMUP = 100
"""The largest number of such steps."""


def with_steps(config: PretrainConfig, images: int) -> PretrainConfig:
    """Put the number of steps into a config that says neither steps nor epochs.

    Args:
        config: The config of a pretraining.
        images: Number of images in the train split.
    """
    if config.epochs is not None or config.steps is not None:
        return config
    steps = min(max(round(STEPS_PER_IMAGE * images), FEWEST_STEPS), MOST_STEPS)
    return config.model_copy(update={"steps": steps})


def epochs_of(config: PretrainConfig, images: int, processes: int = 1) -> tuple[int, int]:
    """Find how many epochs a pretraining has, and how many steps each of them.

    Args:
        config: The config of a pretraining.
        images: Number of images in the train split.
        processes: Number of processes that share each step.

    Returns:
        The epochs, as near to the steps of the config as whole epochs can be, and at least one;
        and the steps of an epoch.
    """
    of_epoch = len(EpochBatches(images, config.batch_size, seed=0, world_size=processes))
    if config.epochs is not None:
        return config.epochs, of_epoch
    steps = with_steps(config, images).steps or 1
    return max(1, round(steps / of_epoch)), of_epoch


def warmup_steps(config: PretrainConfig, steps: int, epochs: int) -> int:
    """Find in how many steps the learning rate grows.

    Args:
        config: The config of a pretraining.
        steps: The steps of the whole training.
        epochs: The epochs of the whole training.
    """
    if config.warmup_epochs is not None:
        return min(config.warmup_epochs, epochs // 4) * (steps // epochs)
    if config.warmup_steps is not None:
        return min(config.warmup_steps, steps // 4)
    return min(round(WARMUP_SHARE * steps), MOST_WARMUP)
