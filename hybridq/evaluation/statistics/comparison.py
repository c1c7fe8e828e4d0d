"""What is said of two models on the same test images: the difference, and a verdict in words."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hybridq.evaluation.statistics.crossed import CrossedVariance

Verdict = Literal["better", "worse", "equivalent", "undecided"]

LOWER_IS_BETTER = ("brier",)
"""Figures that are errors: the model with the lower one is better."""


@dataclass(frozen=True)
class Comparison:
    """Model A against model B.

    Attributes:
        name: What is compared, for tables.
        figure: `auc`, `accuracy`, or another that is measured.
        images: Test images.
        seeds: Training seeds of each model; encoders, where label subsets are crossed with them.
        value_a: Mean of the figure over the seeds of A.
        value_b: Mean of the figure over the seeds of B.
        difference: `value_a - value_b`; the first effect size.
        variance: The variance of the difference, by its sources.
        low: Lower end of the interval of this comparison alone, over seeds and images together.
        high: Upper end.
        level: Coverage of the interval; verdicts are at `1 - level`.
        margin: Largest difference that does not matter.
        p_value: The p value of no difference, two-sided.
        p_equivalence: The p value of a difference of at least the margin (`tost`).
        p_holm: `p_value` after Holm over the family.
        p_equivalence_holm: `p_equivalence` after Holm over the family.
        family_size: Comparisons in the family.
        hedges_g: Difference in units of its spread over paired seeds; None below three seeds.
        odds_ratio: The odds ratio of accuracy's discordant pairs, over all seeds; None for AUC.
        verdict: What A is: `better`, `worse`, `equivalent` within the margin, or `undecided`.
        images_needed: Where undecided, test images that would decide with a chance of 80% if the
            difference seen is the true one; None if images alone would not.
        seeds_needed: Then the training seeds that would; None if seeds alone would not.
        subsets: Label subsets that every seed meets; 1 where each seed has its own.
        subsets_needed: Label subsets that would decide where neither images nor seeds would; None
            if they would not either.
        constant: Which of the two give all images one score or one class, in any seed: `A`, `B`.
    """

    name: str
    figure: str
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
    subsets: int = 1
    subsets_needed: int | None = None
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
        name = "AUC" if self.figure == "auc" else self.figure.replace("_", " ")
        shown = self.p_equivalence_holm if self.verdict == "equivalent" else self.p_holm
        p_text = "p < 0.001" if shown < 0.001 else f"p = {shown:.3f}"
        if self.family_size > 1:
            p_text += f" after Holm over {self.family_size}"
        over = "seeds and test images"
        if self.subsets > 1:
            over = "encoders, label subsets and test images"
            if self.seeds == 1:
                over = "label subsets and test images, one encoder"
        elif self.seeds == 1:
            over = "test images, one training seed"
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
            rows = "encoders" if self.subsets > 1 else "training seeds"
            return f", about {self.seeds_needed} {rows} would decide it, images alone not"
        if self.subsets_needed is not None:
            return f", about {self.subsets_needed} label subsets would decide it, images alone not"
        if not self.variance.varies:
            return ", nothing varies over these images, and they are too few to tell without"
        rows = "encoders, label subsets" if self.subsets > 1 else "training seeds"
        return f", more {rows} and more test images are needed"
