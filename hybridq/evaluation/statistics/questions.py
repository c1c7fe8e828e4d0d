"""Questions that are asked beforehand of models on the same images, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.statistics.comparing import compare, family
from hybridq.evaluation.statistics.comparison import Comparison

Setting = TypeVar("Setting", str, float)


@dataclass(frozen=True)
class Question:
    """One pair of models, and what their difference answers.

    Attributes:
        topic: What several questions are about.
        text: What is asked.
        a: Model whose gain is asked about.
        b: Model it is measured against.
        family: Of the questions whose verdicts hold together.
    """

    topic: str
    text: str
    a: str
    b: str
    family: str = ""


def answers(
    labels: NDArray[np.int64],
    predictions: Mapping[tuple[Setting, str], NDArray[np.float64]],
    questions: Sequence[Question],
    *,
    margin: float,
    words: Callable[[Setting], str],
) -> list[tuple[Setting, Question, Comparison]]:
    """Compare AUCs, paired by seed and image; verdicts hold for all of a family together.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1.
        predictions: From a setting, such as the share of the labels, and a model to probabilities
            `(seeds, images, classes)`.
        questions: Each is asked in every setting that has both of its models.
        margin: Largest difference in AUC that does not matter.
        words: Says what a setting is.

    Returns:
        Setting, question and comparison, by setting and then as the questions are given.

    Raises:
        InvalidValueError: If labels and probabilities do not fit, or images are too few.
    """
    asked = [
        (setting, question)
        for setting in sorted({setting for setting, _ in predictions})
        for question in questions
        if (setting, question.a) in predictions and (setting, question.b) in predictions
    ]
    found = [
        compare(
            labels,
            predictions[setting, question.a],
            predictions[setting, question.b],
            margin=margin,
            name=f"{question.a} against {question.b}, {words(setting)}",
        )
        for setting, question in asked
    ]
    judged = family(found, [question.family for _, question in asked])
    return [
        (setting, question, comparison)
        for (setting, question), comparison in zip(asked, judged, strict=True)
    ]
