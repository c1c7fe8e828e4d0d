"""Simulated studies of encoders crossed with label subsets, skewed and collapsing, for `verdicts`.

The score of image i for a class by model m, from encoder e on label subset s, is

    (shift_m + A_me + B_ms + C_mes) y_i + H_i + D_mi + F_ei + G_mei + Z_mesi,

where y says whether the image is of the class, A, B and C are effects on the separation of the
classes, half of their variance the same for all models, and the rest is what makes an image hard
for all, for a model, for an encoder, for both, and for a cell, normal with variances that sum to 1.
The expected AUC is the mean of Phi((shift + A + B + C) / sqrt(2)), and the shift is set by it.
Several classes have columns of scores like this one, each with its own images' effects. `skewed`
effects are exponential, with the long tail downwards (skewness -2). A collapsed cell has no
separation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from hybridq.evaluation.statistics import Measured, compare_measured, mean_interval, measure_auc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Variances over images: of all, of a model, of an encoder, of both, of a cell.
IMAGE_VARIANCES = (0.3, 0.2, 0.2, 0.1, 0.2)
DRAWS = 200_000


@dataclass(frozen=True)
class CrossedWorld:
    """Where crossed studies are drawn from.

    Attributes:
        level: Expected AUC of model A, and of a B without a difference.
        margin: Of equivalence; another B is lower by it.
        images: Test images.
        seeds: Encoders, or training seeds that carry everything.
        subsets: Label subsets; 1 where each seed has its own.
        spreads: Standard deviations of an AUC between encoders, between subsets, and of the rest.
        effects: `normal` or `skewed`.
        collapse: Chance that a cell has no separation.
        classes: Number of classes.
        studies: How many are drawn.
    """

    level: float
    margin: float
    images: int
    seeds: int
    subsets: int
    spreads: tuple[float, float, float]
    effects: str
    collapse: float = 0.0
    classes: int = 2
    studies: int = 200


def effects_of(rng: np.random.Generator, world: CrossedWorld, models: int) -> Floats:
    """`(models, seeds, subsets)` effects on the separation."""
    shapes = ((world.seeds, 1), (1, world.subsets), (world.seeds, world.subsets))
    total = np.zeros((models, world.seeds, world.subsets))
    for spread, shape in zip(world.spreads, shapes, strict=True):
        for count in (1, models):
            total += drawn(rng, world, spread, (count, *shape))
    return total


def drawn(
    rng: np.random.Generator, world: CrossedWorld, spread: float, size: tuple[int, ...]
) -> Floats:
    """Effects with half of the variance that gives AUCs of this spread."""
    scale = spread * np.sqrt(0.5) * np.sqrt(2) / norm.pdf(norm.ppf(world.level))
    skewed = world.effects == "skewed"
    plain = 1 - rng.standard_exponential(size) if skewed else rng.standard_normal(size)
    return np.asarray(scale * plain)


def shift_of(world: CrossedWorld, level: float) -> float:
    """Separation at which the expected AUC is `level`, from the same draws for each."""
    rng = np.random.default_rng(0)
    effects = sum(drawn(rng, world, spread, (2, DRAWS)).sum(axis=0) for spread in world.spreads)

    def gap(shift: float) -> float:
        aucs = norm.cdf((shift + effects) / np.sqrt(2)).mean()
        return float((1 - world.collapse) * aucs + world.collapse / 2 - level)

    return float(brentq(gap, -2, 6))


def simulate(
    rng: np.random.Generator, world: CrossedWorld, shifts: Floats
) -> tuple[Ints, NDArray[np.float32]]:
    """`(images,)` labels and `(models, seeds, subsets, images[, classes])` scores."""
    models, images = len(shifts), world.images
    cells = (models, world.seeds, world.subsets)
    # Two classes as in BreastMNIST, 27 to 73; several in equal parts.
    labels = np.arange(images) * world.classes // images
    if world.classes == 2:
        labels = (np.arange(images) >= 0.27 * images).astype(np.int64)
    separation = shifts[:, None, None] + effects_of(rng, world, models)
    separation[rng.random(cells) < world.collapse] = 0
    shapes = ((1, 1, 1), (models, 1, 1), (1, world.seeds, 1), (models, world.seeds, 1), cells)
    columns = []
    for k in range(1 if world.classes == 2 else world.classes):
        own = labels == (1 if world.classes == 2 else k)
        scores = (separation[..., None] * own).astype(np.float32)
        for variance, shape in zip(IMAGE_VARIANCES, shapes, strict=True):
            drawn = rng.standard_normal((*shape, images), dtype=np.float32)
            scores += np.float32(np.sqrt(variance)) * drawn
        columns.append(scores)
    return labels, columns[0] if len(columns) == 1 else np.stack(columns, axis=-1)


def run_crossed(world: CrossedWorld, *, seed: int) -> list[dict[str, Any]]:
    """Shares of the verdicts on A against a B without a difference, and one lower by the margin."""
    rng = np.random.default_rng(seed)
    levels = (world.level, world.level, world.level - world.margin)
    shifts = np.array([shift_of(world, level) for level in levels])
    found: tuple[list[Any], list[Any]] = ([], [])
    covered = np.zeros(3)
    for _ in range(world.studies):
        labels, scores = simulate(rng, world, shifts)
        a, *others = (measure_auc(labels, own) for own in scores)
        for item, other in zip(found, others, strict=True):
            item.append(compare_measured(a, other, margin=world.margin))
        covered += [covers(one, level) for one, level in zip((a, *others), levels, strict=True)]
    rows = []
    for item, difference, means in zip(
        found, (0.0, world.margin), (covered[:2].mean(), covered[2]), strict=True
    ):
        shares = {
            name: sum(one.verdict == name for one in item) / world.studies
            for name in ("better", "worse", "equivalent", "undecided")
        }
        rows.append(
            {
                "figure": "auc",
                "level": world.level,
                "difference": difference,
                "margin": world.margin,
                "images": world.images,
                "seeds": world.seeds,
                "subsets": world.subsets,
                "spread": " ".join(f"{spread:g}" for spread in world.spreads),
                "effects": world.effects,
                "collapse": world.collapse,
                "classes": world.classes,
                "models": 2,
                "studies": world.studies,
                **shares,
                "differs": shares["better"] + shares["worse"],
                "tost": sum(one.p_equivalence < 0.05 for one in item) / world.studies,
                "interval_covers": sum(one.low <= difference <= one.high for one in item)
                / world.studies,
                "mean_covers": float(means) / world.studies,
            }
        )
    return rows


def covers(measured: Measured, level: float) -> bool:
    """Whether the interval of a mean holds the expected one."""
    _, low, high = mean_interval(measured)
    return low <= level <= high


def crossed_worlds() -> list[CrossedWorld]:
    """Encoders crossed with label subsets, and plain seeds, where few labels lead to."""
    crossed, led, plain = (0.02, 0.04, 0.03), (0.04, 0.03, 0.03), (0.05, 0.0, 0.0)
    found = [CrossedWorld(level, 0.05, 150, 5, 50, crossed, "skewed") for level in (0.65, 0.7, 0.8)]
    found += [
        CrossedWorld(0.7, 0.05, 150, 5, 50, crossed, "normal"),
        CrossedWorld(0.7, 0.05, 150, 5, 50, crossed, "normal", collapse=0.03),
        CrossedWorld(0.8, 0.05, 150, 5, 50, led, "skewed"),
        CrossedWorld(0.7, 0.05, 150, 5, 50, crossed, "skewed", classes=3, studies=400),
        CrossedWorld(0.8, 0.02, 1042, 5, 50, led, "skewed", studies=100),
        CrossedWorld(0.7, 0.02, 1042, 5, 50, crossed, "normal", collapse=0.03, studies=100),
    ]
    found += [
        CrossedWorld(level, 0.05, 150, 5, 1, plain, "skewed", studies=600)
        for level in (0.65, 0.7, 0.8)
    ]
    found += [
        CrossedWorld(level, 0.05, images, 5, 1, plain, "normal", collapse=collapse, studies=studies)
        for level, images, collapse, studies in (
            (0.7, 150, 0.03, 600),
            (0.7, 150, 0.1, 600),
            (0.8, 1042, 0.03, 300),
            (0.8, 1042, 0.1, 300),
        )
    ]
    found.append(CrossedWorld(0.8, 0.05, 1042, 5, 1, plain, "skewed", studies=300))
    return found
