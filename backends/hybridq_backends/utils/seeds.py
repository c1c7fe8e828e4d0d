"""Derive the seeds of jobs, and convert precision into shots."""

from __future__ import annotations

import math

import numpy as np


class SeedSequenceCounter:
    """A sequence of seeds for jobs: the first is the seed itself, later ones are derived.

    Jobs of one open backend are thus independent of each other, and the whole sequence
    repeats when the backend is opened anew with the same seed.
    """

    def __init__(self, seed: int) -> None:
        """Start a sequence from a seed."""
        self.seed = seed
        self.count = 0

    def next(self) -> int:
        """Take the seed of the next job."""
        index, self.count = self.count, self.count + 1
        return derive_seed(self.seed, index)


def derive_seed(seed: int, *path: int) -> int:
    """Derive an independent seed for a part of a job.

    Args:
        seed: The seed of the whole.
        *path: Which part, counted from 0.

    Returns:
        The seed itself for the first part, else a hash of seed and path below 2^31.
    """
    if not any(path):
        return seed
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0] % 2**31)


def shots_of(precision: float | None, default: int) -> int:
    """Convert a precision into shots.

    Args:
        precision: Standard deviation asked for; None or 0 means the default.
        default: Shots when nothing is asked.

    Returns:
        The smallest count with 1 / sqrt(shots) no larger than the precision, up to rounding.
    """
    if not precision:
        return default
    return max(1, math.ceil(1.0 / precision**2 - 1e-6 / precision**2))


def precision_of(shots: int | None) -> float:
    """Convert shots into the standard deviation of an expectation value."""
    return 0.0 if shots is None else 1.0 / math.sqrt(shots)
