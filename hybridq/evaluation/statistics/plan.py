"""How large a study would have to be to decide what this one could not."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from hybridq.evaluation.statistics.crossed import CrossedVariance

Floats = NDArray[np.float64]
NeededSizes = tuple[int | None, int | None, int | None]

POWER = 0.8
MOST_IMAGES = 1_000_000
MOST_SEEDS = 200


def chance_to_decide(
    difference: float,
    standard_errors: Floats,
    degrees: Floats,
    *,
    room: float,
    alpha: float,
    alpha_equivalence: float,
) -> Floats:
    """The chance that a study says "better" or "worse", or "equivalent", whichever is likelier.

    Central t approximation at the observed difference, taken as the true one.

    Args:
        difference: Observed.
        standard_errors: `(sizes,)` of the studies asked about.
        degrees: `(sizes,)` of freedom.
        room: By how much the difference lies within the margin of equivalence, the nearer side.
        alpha: Two-sided level of the test of a difference.
        alpha_equivalence: Level of the test of equivalence.
    """
    shift = abs(difference) / standard_errors
    bound = t.isf(alpha / 2, degrees)
    differs = t.sf(bound - shift, degrees) + t.cdf(-bound - shift, degrees)
    bound = t.isf(alpha_equivalence, degrees)
    nearer = t.cdf(room / standard_errors - bound, degrees)
    farther = t.cdf((room + 2 * abs(difference)) / standard_errors - bound, degrees)
    chance: Floats = np.maximum(differs, nearer + farther - 1)
    return chance


def needed_sizes(
    difference: float,
    variance: CrossedVariance,
    images: int,
    *,
    room: float,
    alpha: float,
    alpha_equivalence: float,
) -> NeededSizes:
    """Test images that would decide with a chance of 80%; if none would, seeds; then subsets.

    The images' parts of the variance fall with their number (DeLong's variance is of order 1 / n),
    the seeds' and the label subsets' parts do not: where these alone are too large, more training
    seeds (encoders, where subsets are crossed with them) are asked for, then more subsets.

    Args:
        difference: Observed.
        variance: Its parts.
        images: Test images of this study.
        room: By how much the difference lies within the margin of equivalence, the nearer side.
        alpha: Two-sided level of the test of a difference.
        alpha_equivalence: Level of the test of equivalence.

    Returns:
        Numbers of images (to two digits, upwards), of seeds and of subsets, one of them at most;
        None for what would not decide alone up to a million images, or 200 seeds or subsets.
    """
    if not variance.varies:
        return None, None, None

    def decided(standard_errors: Floats, degrees: Floats) -> NDArray[np.intp]:
        found = chance_to_decide(
            difference,
            standard_errors,
            degrees,
            room=room,
            alpha=alpha,
            alpha_equivalence=alpha_equivalence,
        )
        return np.flatnonzero(found >= POWER)

    if images < MOST_IMAGES:
        sizes = np.geomspace(images, MOST_IMAGES, 500)[1:]
        enough = decided(*variance.scaled(images=sizes / images))
        if len(enough):
            return _two_digits(float(sizes[enough[0]])), None, None
    if variance.num_seeds > 1:
        numbers = np.arange(variance.num_seeds + 1, MOST_SEEDS + 1)
        enough = decided(*variance.scaled(seeds=numbers / variance.num_seeds))
        if len(enough):
            return None, int(numbers[enough[0]]), None
    if variance.num_subsets > 1:
        numbers = np.arange(variance.num_subsets + 1, MOST_SEEDS + 1)
        enough = decided(*variance.scaled(subsets=numbers / variance.num_subsets))
        if len(enough):
            return None, None, int(numbers[enough[0]])
    return None, None, None


def _two_digits(number: float) -> int:
    unit = int(10 ** max(0, math.floor(math.log10(number)) - 1))
    return math.ceil(number / unit) * unit
