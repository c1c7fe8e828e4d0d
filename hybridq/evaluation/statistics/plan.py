"""What a study of a given size can decide, and how large one would have to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from hybridq.evaluation.statistics.crossed import CrossedVariance

Floats = NDArray[np.float64]
NeededSizes = tuple[int | None, int | None, int | None]

POWER = 0.8
MOST_IMAGES = 1_000_000
MOST_SEEDS = 200


@dataclass(frozen=True)
class Design:
    """A study that is planned, and what its comparisons of AUC are expected to vary by.

    The spreads are those of differences between two models with 27 labels of BreastMNIST, where the
    median over the comparisons is 0.058 between seeds that carry everything at once; with 236 of
    PneumoniaMNIST it is 0.009 (docs/results/ablation). Give those of a first small study.

    Attributes:
        encoders: Encoders, or training seeds that carry everything.
        subsets: Label subsets that every encoder meets; 1 where each seed has its own.
        images: Test images.
        class_counts: `(classes,)` test images of each class.
        auc: Expected AUC of both models.
        spread_encoders: Standard deviation of the difference between encoders.
        spread_subsets: Standard deviation of the difference between label subsets.
        spread_cells: Standard deviation of the rest of the difference, as by initial weights.
        alike: Correlation of the two models' AUCs over draws of the images, between 0 and 1; the
            median of these studies is 0.95, a tenth lie below 0.5.
    """

    encoders: int
    subsets: int
    images: int
    class_counts: tuple[int, ...]
    auc: float
    spread_encoders: float = 0.02
    spread_subsets: float = 0.03
    spread_cells: float = 0.04
    alike: float = 0.8

    def variance(self) -> CrossedVariance:
        """Compute the expected variance of a mean difference.

        That of an AUC over the images is Hanley & McNeil's, Radiology 143:29 (1982), equation 1,
        with neither class taken for the more spread one; of several classes, their mean, as if what
        makes an image hard for one made it so for all.
        """
        a = self.auc
        pairs = a / (2 - a) + 2 * a**2 / (1 + a) - 2 * a**2
        ours = np.asarray(self.class_counts, float)
        own = (a * (1 - a) + (self.images - 2) / 2 * pairs) / (ours * (self.images - ours))
        images = 2 * (1 - self.alike) * float(own.mean())
        seeds, subsets = self.spread_encoders**2, self.spread_subsets**2
        cells = self.spread_cells**2
        if self.subsets == 1:
            seeds, subsets, cells = seeds + subsets + cells, 0.0, 0.0
        if self.encoders == 1:
            seeds, subsets, cells = 0.0, (subsets + cells) * (self.subsets > 1), 0.0
        return CrossedVariance(
            seeds / self.encoders,
            0.0,
            images,
            self.encoders,
            subsets / self.subsets,
            cells / (self.encoders * self.subsets),
            self.subsets,
        )


def smallest_difference(
    design: Design, *, primaries: int = 1, level: float = 0.95, power: float = POWER
) -> float:
    """Compute the smallest true difference that a study says "better" or "worse" of.

    Central t approximation, at the level that Holm asks of the first of the primary comparisons.

    Args:
        design: The study.
        primaries: Primary comparisons whose verdicts hold together.
        level: The level of the verdicts, as of `compare`.
        power: Chance of the verdict at that difference.
    """
    error, degrees = design.variance().scaled()
    bound = t.isf((1 - level) / primaries / 2, degrees) + t.isf(1 - power, degrees)
    return float(bound * error)


def chance_of_equivalence(
    design: Design, margin: float, *, primaries: int = 1, level: float = 0.95
) -> float:
    """Compute the chance that a study says "equivalent" of two models without a difference.

    Args:
        design: The study.
        margin: Largest difference that does not matter.
        primaries: Primary comparisons whose verdicts hold together.
        level: The level of the verdicts, as of `compare`.
    """
    error, degrees = design.variance().scaled()
    bound = t.isf((1 - level) / primaries, degrees)
    return max(0.0, float(2 * t.cdf(margin / error - bound, degrees) - 1))


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
