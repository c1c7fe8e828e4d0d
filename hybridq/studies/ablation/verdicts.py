"""What an ablation compares, and the verdicts, which hold for all of a family together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.config import AblationStudyConfig
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import class_counts, compare
from hybridq.evaluation.statistics import family as judged_together
from hybridq.evaluation.statistics.intervals import FEWEST
from hybridq.studies.ablation.grid import RAW_PIXELS, STARTS, WHOLE_HEADS, whole_model
from hybridq.utils.text import percent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Predictions = Mapping[tuple[float, str], Floats]
"""From fraction of the labels and model to probabilities `(seeds, images, classes)`."""

FEW = 10
"""Test images of a class below which DeLong's variance is too small."""

BLOCKS = ("mlp", "pqc")
"""Heads with a block: the classical control, and the circuit."""


@dataclass(frozen=True)
class Question:
    """One pair of models, and what their difference answers.

    Attributes:
        topic: `quantum layer` or `self-supervision`.
        text: What is asked.
        a: Model whose gain is asked about.
        b: Model it is measured against.
    """

    topic: str
    text: str
    a: str
    b: str

    @property
    def family(self) -> str:
        """`whole networks` where one of the two is one, else `frozen features`."""
        whole = {whole_model(start, head) for start in STARTS for head in WHOLE_HEADS}
        return "whole networks" if {self.a, self.b} & whole else "frozen features"


def questions() -> tuple[Question, ...]:
    """Every pair that is compared at every fraction where both models are."""
    circuit, pretraining = partial(_ask, "quantum layer"), partial(_ask, "self-supervision")
    scratch = "beat training from scratch, head {}"
    return (
        *circuit("does the circuit beat its matched control", "simclr-pqc", "simclr-mlp"),
        *circuit(
            "does a circuit added to the features beat its control",
            *("simclr-pqc_residual", "simclr-mlp_residual"),
        ),
        *circuit("does the circuit beat a linear head", "simclr-pqc", "simclr-linear"),
        *circuit("does entanglement help", "simclr-pqc", "simclr-pqc_unentangled"),
        *circuit("does training the circuit help", "simclr-pqc", "simclr-pqc_untrained"),
        *circuit(
            "does the circuit beat one with random weights", "simclr-pqc", "simclr-pqc_random"
        ),
        *pretraining(
            "does SimCLR beat a random encoder, head {}", "simclr-{}", "random-{}", WHOLE_HEADS
        ),
        *pretraining("does SimCLR with head {} beat raw pixels", "simclr-{}", RAW_PIXELS, BLOCKS),
        *pretraining(
            "does SimCLR beat ImageNet's encoder, head {}", "simclr-{}", "imagenet-{}", WHOLE_HEADS
        ),
        *circuit(
            "does the circuit beat its matched control on the whole network",
            *("whole-simclr-pqc", "whole-simclr-mlp"),
        ),
        *circuit(
            "does the circuit beat a linear head on the whole network",
            *("whole-simclr-pqc", "whole-simclr-linear"),
        ),
        *pretraining(f"does SimCLR {scratch}", "whole-simclr-{}", "whole-scratch-{}", WHOLE_HEADS),
        *pretraining(
            f"does SimCLR, left as it is, {scratch}", "simclr-{}", "whole-scratch-{}", BLOCKS
        ),
        *pretraining(
            "does SimCLR with the whole network and head {} beat raw pixels",
            *("whole-simclr-{}", RAW_PIXELS, BLOCKS),
        ),
    )


def _ask(topic: str, text: str, a: str, b: str, heads: Sequence[str] = ("",)) -> Iterator[Question]:
    """Yield a question for each head that `{}` stands for."""
    for head in heads:
        yield Question(topic, *(words.format(head) for words in (text, a, b)))


def verdicts(labels: Ints, predictions: Predictions, *, margin: float) -> list[dict[str, Any]]:
    """All comparisons of AUC, paired by seed and test image, in two families for Holm.

    What is asked of frozen features alone is one family, what whole networks are part of the other:
    an answer on features does not depend on whether networks were trained as well.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1, of the test split.
        predictions: Of every model; comparisons without both models are left out.
        margin: Largest difference in AUC that does not matter.

    Returns:
        A dict for each: `labels`, `family`, `topic`, `question`, `a`, `b`, and the fields of
        `Comparison`.
    """
    asked = [
        (fraction, question)
        for fraction in sorted({fraction for fraction, _ in predictions})
        for question in questions()
        if (fraction, question.a) in predictions and (fraction, question.b) in predictions
    ]
    found = [
        compare(
            labels,
            predictions[fraction, question.a],
            predictions[fraction, question.b],
            margin=margin,
            name=f"{question.a} against {question.b}, {percent(fraction)} of the labels",
        )
        for fraction, question in asked
    ]
    judged = judged_together(found, [question.family for _, question in asked])
    return [
        {
            "labels": fraction,
            "family": question.family,
            "topic": question.topic,
            "question": question.text,
            "a": question.a,
            "b": question.b,
            **comparison.as_dict(),
        }
        for (fraction, question), comparison in zip(asked, judged, strict=True)
    ]


def check_test_labels(labels: Ints, class_names: Sequence[str]) -> None:
    """Refuse a test split that no verdict can come from, before any work is done.

    Raises:
        InvalidValueError: If a class has fewer than two images, or all but one.
    """
    for name, count in zip(class_names, class_counts(labels, len(class_names)), strict=True):
        if not FEWEST <= count <= len(labels) - FEWEST:
            raise InvalidValueError(
                f"Expected in the test split at least {FEWEST} images of class {name!r} and of the "
                f"rest, got {count} of {len(labels)}: add images, or leave the class out."
            )


def cautions(config: AblationStudyConfig, labels: Ints, class_names: Sequence[str]) -> list[str]:
    """Sentences on what the verdicts of a study can bear, to be printed beside them.

    Args:
        config: Of the study.
        labels: Of the test split, `(images,)`, or `(images, classes)` of 0 and 1.
        class_names: Names of the classes.
    """
    found = [
        f"The test split has {count} images of {name}: with fewer than {FEW} intervals are too "
        "narrow and p values too small."
        for name, count in zip(class_names, class_counts(labels, len(class_names)), strict=True)
        if count < FEW
    ]
    alike = "One qubit has nothing to be entangled with: pqc and pqc_unentangled are one model."
    return [alike, *found] if config.num_qubits == 1 else found
