"""The variance of a mean difference over training seeds and test images, crossed.

Every seed sees every test image, as every reader sees every case in a multi-reader multi-case
study: Obuchowski & Rockette, Commun. Statist. Simul. Comput. 24:285 (1995), with the degrees of
freedom of Hillis, Statist. Med. 26:596 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A smaller standard error is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class CrossedVariance:
    """Parts of the variance of the mean difference over the seeds.

    Attributes:
        seeds: Part of the training seeds; falls with their number alone.
        both: Part of the images that the seeds see differently; falls with both numbers.
        images: Part of the images that the seeds share; falls with the number of images alone.
        num_seeds: Training seeds, at least 1; with one the part of the seeds is unknown and 0.
    """

    seeds: float
    both: float
    images: float
    num_seeds: int

    @property
    def standard_error(self) -> float:
        """Of the mean difference."""
        return float(np.sqrt(self.seeds + self.both + self.images))

    @property
    def varies(self) -> bool:
        """Whether there is a spread to judge by; none over perfect scores, or equal ones."""
        return self.standard_error > ROUNDING

    @property
    def degrees(self) -> float:
        """Of freedom, by Hillis (2007); `inf` where the seeds add nothing."""
        return float(self.scaled()[1])

    def scaled(
        self, *, images: Floats | float = 1.0, seeds: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Standard errors and degrees of freedom of other sizes of the study.

        Args:
            images: Numbers of test images as multiples of the present one.
            seeds: Numbers of seeds as multiples of the present one.
        """
        images, seeds = np.broadcast_arrays(np.asarray(images, float), np.asarray(seeds, float))
        over_seeds = self.seeds / seeds + self.both / (seeds * images)
        total = over_seeds + self.images / images
        with np.errstate(divide="ignore", invalid="ignore"):
            degrees = (self.num_seeds * seeds - 1) * (total / over_seeds) ** 2
        return np.sqrt(total), np.where(over_seeds > 0, degrees, np.inf)


def crossed_variance(differences: Floats, covariance: Floats) -> CrossedVariance:
    """Variance of the mean of `differences` for other seeds and other images.

    With `s` the variance of the differences over `r` seeds, and `v` and `c` the mean variance and
    the mean covariance of two seeds that the draw of the images gives: the variance is `s / r + c`
    (Obuchowski & Rockette, written for the difference of two tests; a negative `c` counts as 0).
    `s / r` holds `(v - c) / r` of the images; the rest is the seeds'.

    Args:
        differences: `(seeds,)`.
        covariance: `(seeds, seeds)` of the differences over draws of the images, seeds held fixed.
    """
    count = len(differences)
    own = float(np.mean(np.diag(covariance)))
    if count == 1:
        return CrossedVariance(0.0, 0.0, own, 1)
    shared = max(0.0, float((covariance.sum() - np.trace(covariance)) / (count * (count - 1))))
    over_seeds = float(np.var(differences, ddof=1)) / count
    both = min(over_seeds, max(0.0, own - shared) / count)
    return CrossedVariance(over_seeds - both, both, shared, count)
