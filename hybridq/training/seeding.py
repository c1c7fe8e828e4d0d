"""Randomness of a training step, derived from (seed, epoch, step) and nothing else.

Lightning's checkpoints hold no random state and kornia draws from torch's global generator.
A step that derives its randomness from where it stands gives the same numbers in a resumed
run as in one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(*position: int) -> int:
    """One 63-bit seed from a tuple of non-negative integers, well mixed."""
    words = np.random.SeedSequence(list(position)).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])


@contextmanager
def step_generator(*position: int) -> Iterator[None]:
    """Seed torch's generators from `position` inside, and restore them after."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(*position))
        yield
