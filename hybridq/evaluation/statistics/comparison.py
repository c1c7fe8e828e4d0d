"""Two models on the same test images, over training seeds: the difference and a verdict on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

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
from hybridq.evaluation.statistics.crossed import CrossedVariance, crossed_variance
from hybridq.evaluation.statistics.delong import auc_covariance
from hybridq.evaluation.statistics.equivalence import tost
from hybridq.evaluation.statistics.hoeffding import auc_units, half_width, largest_chance
from hybridq.evaluation.statistics.hypotheses import hedges_g, holm, mcnemar
from hybridq.evaluation.statistics.plan import needed_sizes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Figure = Literal["auc", "accuracy"]
Verdict = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Model A against model B.

    Attributes:
        name: What is compared, for tables.
        figure: `auc` or `accuracy`.
        images: Test images.
        seeds: Training seeds of each model.
        value_a: Mean of the figure over the seeds of A.
        value_b: Mean of the figure over the seeds of B.
        difference: `value_a - value_b`; the first effect size.
        variance: Of the difference, by its sources.
        low: Lower end of the interval of this comparison alone, over seeds and images together.
        high: Upper end.
        level: Coverage of the interval; verdicts are at `1 - level`.
        margin: Largest difference that does not matter.
        p_value: Of no difference, two-sided.
        p_equivalence: Of a difference of at least the margin (`tost`).
        p_holm: `p_value` after Holm over the family.
        p_equivalence_holm: `p_equivalence` after Holm over the family.
        family_size: Comparisons in the family.
        hedges_g: Difference in units of its spread over paired seeds; None below three seeds.
        odds_ratio: Of the discordant pairs of accuracy, over all seeds; None for AUC.
        verdict: On A: `better`, `worse`, `equivalent` within the margin, or `undecided`.
        images_needed: Where undecided, test images that would decide with a chance of 80% if the
            difference seen is the true one; None if images alone would not.
        seeds_needed: Then the training seeds that would; None if seeds alone would not.
        constant: Which of the two give all images one score or one class, in any seed: `A`, `B`.
    """

    name: str
    figure: Figure
    images: int
    seeds: int
    value_a: float
    value_b: float
    difference: float
    variance: CrossedVariance
    low: float
    high: float
    level: float
    margin: float
    p_value: float
    p_equivalence: float
    p_holm: float
    p_equivalence_holm: float
    family_size: int = 1
    hedges_g: float | None = None
    odds_ratio: float | None = None
    verdict: Verdict = "undecided"
    images_needed: int | None = None
    seeds_needed: int | None = None
    constant: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        if self.verdict == "undecided":
            return f"undecided{self._remedy()}{self._numbers()}{self._caution()}"
        said: str = self.verdict
        if self.verdict == "equivalent":
            said = f"equivalent within {self.margin:g}"
        elif self.p_equivalence_holm < 1 - self.level:
            said = f"{self.verdict}, by less than {self.margin:g}"
        return f"{said}{self._numbers()}{self._caution()}"

    def as_dict(self) -> dict[str, Any]:
        """All fields, `standard_error`, `degrees` (None if infinite) and `words`, for JSON.

        What is `constant` is in the words.
        """
        degrees = self.variance.degrees
        return {
            **{name: value for name, value in asdict(self).items() if name != "constant"},
            "standard_error": self.variance.standard_error,
            "degrees": degrees if math.isfinite(degrees) else None,
            "words": self.words,
        }

    def _numbers(self) -> str:
        name = {"auc": "AUC", "accuracy": "accuracy"}[self.figure]
        shown = self.p_equivalence_holm if self.verdict == "equivalent" else self.p_holm
        p_text = "p < 0.001" if shown < 0.001 else f"p = {shown:.3f}"
        if self.family_size > 1:
            p_text += f" after Holm over {self.family_size}"
        over = "test images, one training seed" if self.seeds == 1 else "seeds and test images"
        return (
            f" ({name} {self.difference:+.3f}, {100 * self.level:g}% interval {self.low:+.3f} to "
            f"{self.high:+.3f} over {over}; {p_text})"
        )

    def _caution(self) -> str:
        if not self.constant:
            return ""
        who = "both give" if len(self.constant) == 2 else f"{self.constant[0]} gives"
        one = "score" if self.figure == "auc" else "class"
        return f"; beware: {who} all images one {one}, which is no model of them"

    def _remedy(self) -> str:
        if self.images_needed is not None:
            return f", about {self.images_needed:,} test images would decide it"
        if self.seeds_needed is not None:
            return f", about {self.seeds_needed} training seeds would decide it, images alone not"
        if not self.variance.varies:
            return ", nothing varies over these images, and they are too few to tell without"
        return ", more training seeds and more test images are needed"


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
    check_margin(margin)
    check_level(level)
    classes, a, b = _checked(labels, scores_a, scores_b, figure)
    seeds = len(a)
    values, covariance = _figures(classes, np.concatenate([a, b]), figure)
    differences = values[:seeds] - values[seeds:]
    contrast = np.hstack([np.eye(seeds), -np.eye(seeds)])
    variance = crossed_variance(differences, contrast @ covariance @ contrast.T)
    difference = float(differences.mean())
    error, degrees = variance.standard_error, variance.degrees
    half = float(t.isf((1 - level) / 2, degrees)) * error
    if np.array_equal(_what_counts(classes, a, figure), _what_counts(classes, b, figure)):
        p_value, p_equivalence = 1.0, 0.0
    elif variance.varies:
        p_value = float(2 * t.sf(abs(difference) / error, degrees))
        p_equivalence = tost(
            values[:seeds], values[seeds:], covariance, margin=margin, images=len(classes)
        )
    else:
        units = len(classes) if figure == "accuracy" else auc_units(classes)
        half = half_width(level, units)
        p_value = min(1.0, 2 * largest_chance(abs(difference), units))
        p_equivalence = largest_chance(margin - abs(difference), units)
    odds_ratio = None
    if figure == "accuracy":
        pairs = mcnemar((a == classes).ravel(), (b == classes).ravel())
        odds_ratio = pairs.odds_ratio
        if seeds == 1:
            p_value = pairs.p_mid
    effect = hedges_g(differences)
    alone = Comparison(
        name=name,
        figure=figure,
        images=len(classes),
        seeds=seeds,
        value_a=float(values[:seeds].mean()),
        value_b=float(values[seeds:].mean()),
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
        odds_ratio=odds_ratio,
        constant=tuple(name for name, scores in (("A", a), ("B", b)) if _is_constant(scores)),
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
        names: Of the family of each, where there are several; all are one family if None.

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
    images = seeds = None
    if p_holm < alpha:
        verdict = "better" if item.difference > 0 else "worse"
    elif p_equivalence < alpha:
        verdict = "equivalent"
    else:
        # Whatever scale the test was made on, its statistic in units of the figure.
        room = float(t.isf(item.p_equivalence, item.variance.degrees))
        room *= item.variance.standard_error
        # The level is what Holm asks of the first of those that are still open.
        images, seeds = needed_sizes(
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
    )


def _is_constant(scores: Floats) -> bool:
    """Whether in any seed all images have one score, or one vector of scores."""
    same = scores == scores[:, :1]
    return bool(same.reshape(len(scores), -1).all(axis=1).any())


def _figures(labels: Ints, scores: Floats, figure: Figure) -> tuple[Floats, Floats]:
    """`(models,)` figures and their `(models, models)` covariance over draws of the images."""
    if figure == "accuracy":
        right = _what_counts(labels, scores, figure)
        return right.mean(axis=1), np.atleast_2d(np.cov(right)) / len(labels)
    return auc_covariance(labels, scores)


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
