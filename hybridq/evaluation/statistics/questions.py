"""Questions that are asked beforehand of models on the same images, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hybridq.evaluation.statistics.comparing import compare_measured, family
from hybridq.evaluation.statistics.comparison import Comparison
from hybridq.evaluation.statistics.measured import Measured

Setting = TypeVar("Setting", str, float)


@dataclass(frozen=True)
class Question:
    """One pair of models, and what their difference answers.

    Attributes:
        topic: What several questions are about.
        text: What is asked.
        a: Model whose gain is asked about.
        b: Model it is measured against.
        family: The name of the family, the questions whose verdicts hold together.
        primary: Whether it is one that the study was made for, declared before anything is read.
        control: Whether the answer is known beforehand, and tests the study.
    """

    topic: str
    text: str
    a: str
    b: str
    family: str = ""
    primary: bool = False
    control: bool = False

    @property
    def together(self) -> str:
        """Name of those whose verdicts hold together with this one.

        Primary questions of a family pay for each other alone, and so do controls: what is asked
        beside them costs them nothing.
        """
        role = "controls" if self.control else "primary" if self.primary else ""
        return ", ".join(part for part in (self.family, role) if part)


def answers(
    measured: Mapping[tuple[Setting, str], Measured],
    questions: Sequence[Question],
    *,
    margin: float,
    words: Callable[[Setting], str],
) -> list[tuple[Setting, Question, Comparison]]:
    """Compare models, paired by cell and image; verdicts hold for all of a family together.

    Args:
        measured: By a setting, such as the share of the labels, and a model: its figure in
            every cell.
        questions: Each is asked in every setting that has both of its models.
        margin: Largest difference in the figure that does not matter.
        words: Says what a setting is.

    Returns:
        Setting, question and comparison, by setting and then as the questions are given.

    Raises:
        InvalidValueError: If figures, images or cells of two models do not fit.
    """
    asked = [
        (setting, question)
        for setting in sorted({setting for setting, _ in measured})
        for question in questions
        if (setting, question.a) in measured and (setting, question.b) in measured
    ]
    found = [
        compare_measured(
            measured[setting, question.a],
            measured[setting, question.b],
            margin=margin,
            name=f"{question.a} against {question.b}, {words(setting)}",
        )
        for setting, question in asked
    ]
    judged = family(found, [question.together for _, question in asked])
    return [
        (setting, question, comparison)
        for (setting, question), comparison in zip(asked, judged, strict=True)
    ]
