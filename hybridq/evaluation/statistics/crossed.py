"""The variance of a mean over encoders, label subsets and test images, all crossed.

Every cell sees every test image, as every reader sees every case in a multi-reader multi-case
study: Obuchowski & Rockette, Commun. Statist. Simul. Comput. 24:285 (1995), with degrees of freedom
by Satterthwaite as in Hillis, Statist. Med. 26:596 (2007).
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
    """Parts of the variance of a mean over training seeds, or over encoders and label subsets.

    A seed carries encoder, label subset and initial weights at once; where label subsets are
    crossed with encoders, what is said of seeds holds for encoders.

    Attributes:
        seeds: Part of the training seeds; falls with their number alone.
        both: Part of the images that the seeds see differently; falls with both numbers.
        images: Part of the images that the seeds share; falls with the number of images alone.
        num_seeds: Training seeds, at least 1; with one the part of the seeds is unknown and 0.
        subsets: Part of the label subsets; falls with their number alone.
        cells: The rest, such as the initial weights; falls with seeds and with subsets.
        num_subsets: Label subsets that every seed meets; 1 where each seed has its own.
    """

    seeds: float
    both: float
    images: float
    num_seeds: int
    subsets: float = 0.0
    cells: float = 0.0
    num_subsets: int = 1

    @property
    def standard_error(self) -> float:
        """The variance of the mean."""
        return float(self.scaled()[0])

    @property
    def varies(self) -> bool:
        """Whether there is a spread to judge by; none over perfect scores, or equal ones."""
        return self.standard_error > ROUNDING

    @property
    def degrees(self) -> float:
        """Degrees of freedom (Satterthwaite); `inf` where only the images add to the variance."""
        return float(self.scaled()[1])

    def scaled(
        self,
        *,
        images: Floats | float = 1.0,
        seeds: Floats | float = 1.0,
        subsets: Floats | float = 1.0,
    ) -> tuple[Floats, Floats]:
        """Standard errors and degrees of freedom of other sizes of the study.

        Args:
            images: Numbers of test images as multiples of the present one.
            seeds: Numbers of seeds as multiples of the present one.
            subsets: Numbers of label subsets as multiples of the present one.
        """
        images, seeds, subsets = np.broadcast_arrays(
            *(np.asarray(one, float) for one in (images, seeds, subsets))
        )
        cells = self.cells / (seeds * subsets)
        over_seeds = self.seeds / seeds + self.both / (seeds * images) + cells
        over_subsets = self.subsets / subsets + cells
        total = over_seeds + over_subsets - cells + self.images / images
        free_seeds = self.num_seeds * seeds - 1
        free_subsets = self.num_subsets * subsets - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            known = sum(
                np.where(part > 0, part**2 / free, 0.0)
                for part, free in (
                    (over_seeds, free_seeds),
                    (over_subsets, free_subsets),
                    (cells, free_seeds * free_subsets),
                )
            )
            degrees = np.where(known > 0, total**2 / known, np.inf)
        return np.sqrt(total), degrees


def crossed_variance(values: Floats, covariance: Floats) -> CrossedVariance:
    """Variance of the mean of `values` for other encoders, other label subsets and other images.

    The model is `D_es = mu + A_e + B_s + C_es + G + (AG)_e + (BG)_s + (CG)_es`, with G of the
    images. With the mean squares of E encoders, of S subsets and of the rest, all on the same
    images, and `c` the mean covariance of two encoders' means over draws of the images (a negative
    one counts as 0), the variance of the mean is

        (max(MS_E, MS_ES) + max(MS_S, MS_ES) - MS_ES) / (E S) + c.

    `c` holds `(BG) / S` too, which is counted twice and errs on the side of a wide interval. With
    one subset it is `MS_E / E + c` (Obuchowski & Rockette, written for the difference of two
    tests). With one encoder it is `MS_S / S` and the variance that the images give the encoder's
    mean; what another encoder would do is unknown. With one of both, the images' is all there is.

    Args:
        values: `(encoders, subsets)`, or `(seeds,)` with one subset.
        covariance: `(encoders, encoders)` of the means over the subsets, over draws of the images.
    """
    values = values.reshape(len(values), -1)
    seeds, subsets = values.shape
    own = float(np.mean(np.diag(covariance)))
    shared = own
    if seeds > 1:
        pairs = seeds * (seeds - 1)
        shared = max(0.0, float((covariance.sum() - np.trace(covariance)) / pairs))
    by_seed, by_subset = values.mean(axis=1), values.mean(axis=0)
    over_seeds = float(np.var(by_seed, ddof=1)) / seeds if seeds > 1 else 0.0
    over_subsets = float(np.var(by_subset, ddof=1)) / subsets if subsets > 1 else 0.0
    cells = 0.0
    if seeds > 1 and subsets > 1:
        rest = values - by_seed[:, None] - by_subset + values.mean()
        cells = float((rest**2).sum()) / ((seeds - 1) * (subsets - 1) * seeds * subsets)
    over_seeds = max(0.0, over_seeds - cells)
    both = min(over_seeds, max(0.0, own - shared) / seeds)
    return CrossedVariance(
        over_seeds - both, both, shared, seeds, max(0.0, over_subsets - cells), cells, subsets
    )
