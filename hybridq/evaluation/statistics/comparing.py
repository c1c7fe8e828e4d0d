"""Two models on the same test images, over training seeds: the comparison and its verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, t

from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics.checks import (
    check_level,
    check_margin,
    checked_classes,
    checked_scores,
)
from hybridq.evaluation.statistics.comparison import LOWER_IS_BETTER, Comparison, Verdict
from hybridq.evaluation.statistics.crossed import crossed_variance
from hybridq.evaluation.statistics.equivalence import tost
from hybridq.evaluation.statistics.hoeffding import half_width, largest_chance
from hybridq.evaluation.statistics.hypotheses import hedges_g, holm, mcnemar
from hybridq.evaluation.statistics.measured import (
    Measured,
    is_constant,
    measure_auc,
    measure_mean,
)
from hybridq.evaluation.statistics.plan import needed_sizes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Figure = Literal["auc", "accuracy"]


def compare(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    margin: float,
    level: float = 0.95,
    figure: Figure = "auc",
    name: str = "",
) -> Comparison:
    """Is A better than B? Answered for other training seeds and other test images alike.

    Image i is the same in every row of both arrays. Row j of A and row j of B come from the same
    training seed (the same labelled subset, the same encoder); where the seeds of A and B have
    nothing in common, any order is valid and costs some power.

    The p value and the interval are those of a multi-reader multi-case study with seeds as readers
    and images as cases, both random (`crossed_variance`), with DeLong's covariance for AUC
    (`auc_covariance`; of several classes, the mean of one against the rest) and the covariance of
    right and wrong over the images for accuracy. With one seed they are DeLong's test and McNemar's
    mid-p test, and say nothing of another training.

    Models whose figure must be the same on these images, however they are drawn again, are equal:
    those that rank the images alike in every seed (AUC), or are right on the same ones (accuracy).
    Where nothing varies otherwise, seeds that agree add nothing, as in `crossed_variance`, and the
    images are judged by Hoeffding's inequality, which asks for no spread: without any the normal
    approximation has nothing to go by, and this bound errs on the side of undecided.

    The result is a family of one; comparisons reported together go through `family`.

    Args:
        labels: `(images,)` classes from 0; 1 is the positive one of two. Or `(images, classes)` of
            0 and 1 for several labels, with AUC only.
        scores_a: AUC: `(seeds, images)` scores of class 1, or `(seeds, images, classes)`
            probabilities. Accuracy: `(seeds, images)` predicted classes.
        scores_b: The same of B.
        margin: Largest difference that does not matter, in units of the figure.
        level: Coverage of the interval; verdicts are at `1 - level`.
        figure: `auc` or `accuracy`.
        name: What is compared.

    Raises:
        InvalidValueError: If shapes do not fit, a score is not finite, a label or a predicted class
            is none, a class has fewer than two images (AUC), or the margin, the level or the figure
            is not one that there is.
    """
    classes, a, b = _checked(labels, scores_a, scores_b, figure)
    if figure == "accuracy":
        measured = [
            replace(
                measure_mean((one == classes)[:, None], figure="accuracy"),
                constant=is_constant(one),
            )
            for one in (a, b)
        ]
    else:
        measured = [measure_auc(classes, one[:, None]) for one in (a, b)]
    found = compare_measured(*measured, margin=margin, level=level, name=name)
    if np.array_equal(_what_counts(classes, a, figure), _what_counts(classes, b, figure)):
        found = replace(found, p_value=1.0, p_equivalence=0.0)
    if figure == "accuracy":
        pairs = mcnemar((a == classes).ravel(), (b == classes).ravel())
        found = replace(found, odds_ratio=pairs.odds_ratio)
        if len(a) == 1:
            found = replace(found, p_value=pairs.p_mid)
    return family([found])[0]


def compare_measured(
    a: Measured, b: Measured, *, margin: float, level: float = 0.95, name: str = ""
) -> Comparison:
    """Is A better than B? Answered for other encoders, label subsets and test images alike.

    Cells are paired: those of one encoder and one label subset have the same place in both. A model
    without an encoder has one row, which stands for all. Models that every image moves alike, with
    equal figures in every cell, are equal.

    Args:
        a: A figure between 0 and 1 of A in every cell.
        b: The same figure of B, on the same images.
        margin: Largest difference that does not matter, in units of the figure.
        level: Coverage of the interval; verdicts are at `1 - level`.
        name: What is compared.

    Returns:
        The comparison, as a family of one.

    Raises:
        InvalidValueError: If figures, images or cells do not fit, or margin or level mean nothing.
    """
    check_margin(margin)
    check_level(level)
    images = a.influence.shape[1]
    if (a.figure, images) != (b.figure, b.influence.shape[1]):
        raise InvalidValueError(
            f"Expected {a.figure} of both models on the same {images} images, got {b.figure} on "
            f"{b.influence.shape[1]}: measure both on the same test split."
        )
    seeds, subsets = np.maximum(a.values.shape, b.values.shape)
    a, b = a.repeated(seeds, subsets), b.repeated(seeds, subsets)
    differences, influence = a.values - b.values, a.influence - b.influence
    variance = crossed_variance(differences, influence @ influence.T)
    difference = float(differences.mean())
    half = float(t.isf((1 - level) / 2, variance.degrees)) * variance.standard_error
    if a.influence.any() and not differences.any() and not influence.any():
        p_value, p_equivalence = 1.0, 0.0
    elif variance.varies:
        p_value = float(2 * t.sf(abs(difference) / variance.standard_error, variance.degrees))
        p_equivalence = tost(a, b, margin=margin)
    elif a.units is None or b.units is None:
        p_value, p_equivalence, half = 1.0, 1.0, 2.0
    else:
        units = min(a.units, b.units)
        half = half_width(level, units)
        p_value = min(1.0, 2 * largest_chance(abs(difference), units))
        p_equivalence = largest_chance(margin - abs(difference), units)
    effect = hedges_g(differences.ravel())
    alone = Comparison(
        name=name,
        figure=a.figure,
        images=images,
        seeds=int(seeds),
        value_a=float(a.values.mean()),
        value_b=float(b.values.mean()),
        difference=difference,
        variance=variance,
        low=max(-1.0, difference - half),
        high=min(1.0, difference + half),
        level=level,
        margin=margin,
        p_value=p_value,
        p_equivalence=p_equivalence,
        p_holm=p_value,
        p_equivalence_holm=p_equivalence,
        hedges_g=None if math.isnan(effect) else effect,
        subsets=int(subsets),
        constant=tuple(name for name, one in (("A", a), ("B", b)) if one.constant),
    )
    return family([alone])[0]


def family(
    comparisons: Sequence[Comparison], names: Sequence[str] | None = None
) -> list[Comparison]:
    """The comparisons with verdicts that hold for all of them together.

    Holm's correction is made over the tests of a difference and over those of equivalence: at
    `level` 0.95 the chance of any wrong "better" or "worse" is nominally 5%, and so is that of any
    wrong "equivalent"; measured: see `docs/results/verdicts.md`. A difference beyond chance goes
    before equivalence, and `words` says where it is within the margin. The intervals stay those of
    each comparison alone.

    Args:
        comparisons: Reported together, in any order, all of one `level`; verdicts and adjusted p
            values they bring along are made anew.
        names: The name of the family of each, where there are several; all are one family if None.

    Returns:
        Them in the same order.

    Raises:
        InvalidValueError: If their levels differ.
    """
    levels = {item.level for item in comparisons}
    if len(levels) > 1:
        raise InvalidValueError(
            f"Expected comparisons of one level, got {sorted(levels)}: compare all with the same."
        )
    named = [""] * len(comparisons) if names is None else names
    judged: dict[int, Comparison] = {}
    for name in set(named):
        own = {i: item for i, item in enumerate(comparisons) if named[i] == name}
        differs = holm(np.array([item.p_value for item in own.values()]))
        equals = holm(np.array([item.p_equivalence for item in own.values()]))
        for (i, item), p, q in zip(own.items(), differs, equals, strict=True):
            judged[i] = _judged(item, float(p), float(q), differs, equals)
    return [judged[i] for i in range(len(comparisons))]


def _judged(
    item: Comparison, p_holm: float, p_equivalence: float, differs: Floats, equals: Floats
) -> Comparison:
    alpha = 1 - item.level
    verdict: Verdict = "undecided"
    images = seeds = subsets = None
    if p_holm < alpha:
        higher, lower_wins = item.difference > 0, item.figure in LOWER_IS_BETTER
        verdict = "better" if higher != lower_wins else "worse"
    elif p_equivalence < alpha:
        verdict = "equivalent"
    else:
        # Whatever scale the test was made on, its statistic in units of the figure.
        room = float(t.isf(item.p_equivalence, item.variance.degrees))
        room *= item.variance.standard_error
        # The level is what Holm asks of the first of those that are still open.
        images, seeds, subsets = needed_sizes(
            item.difference,
            item.variance,
            item.images,
            room=room,
            alpha=alpha / max(1, int((differs >= alpha).sum())),
            alpha_equivalence=alpha / max(1, int((equals >= alpha).sum())),
        )
    return replace(
        item,
        p_holm=p_holm,
        p_equivalence_holm=p_equivalence,
        family_size=len(differs),
        verdict=verdict,
        images_needed=images,
        seeds_needed=seeds,
        subsets_needed=subsets,
    )


def _what_counts(labels: Ints, scores: Floats, figure: Figure) -> Floats:
    """All that the figure depends on: 1 where the model is right, or the ranks of the images."""
    if figure == "accuracy":
        return np.asarray(scores == labels, np.float64)
    if scores.ndim == 3:
        scores = scores[:, :, labels.any(axis=0) if labels.ndim == 2 else np.unique(labels)]
    ranks: Floats = rankdata(scores, axis=1)
    return ranks


def _checked(
    labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike, figure: Figure
) -> tuple[Ints, Floats, Floats]:
    if figure not in get_args(Figure):
        raise InvalidValueError(
            f"Expected the figure 'auc' or 'accuracy', got {figure!r}: choose one of them."
        )
    check = checked_classes if figure == "accuracy" else checked_scores
    classes, (a, b) = check(labels, scores_a, scores_b)
    if len(a) != len(b):
        raise InvalidValueError(
            f"Expected as many seeds of both models, got {len(a)} and {len(b)}: give the seeds "
            "that both have."
        )
    if classes.ndim == 1 and a.shape[2:] == (2,):
        a, b = a[:, :, 1], b[:, :, 1]
    return classes, a, b
