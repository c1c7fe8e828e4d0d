"""What an ablation compares, and the verdicts, which hold for all of a family together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from hybridq.config import AblationStudyConfig
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics import Comparison, auc_covariance, compare, crossed_variance
from hybridq.evaluation.statistics import family as judged_together
from hybridq.studies.ablation.grid import (
    RAW_PIXELS,
    STARTS,
    WHOLE_HEADS,
    frozen_model,
    whole_model,
)
from hybridq.utils.text import percent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Predictions = Mapping[tuple[float, str], Floats]
"""From fraction of the labels and model to probabilities `(seeds, images, classes)`."""

FEWEST = 2
"""Test images that each class needs, and the rest beside it."""


FEW = 10
"""Test images of a class below which DeLong's variance is too small."""


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
    quantum, selfsup = "quantum layer", "self-supervision"
    heads = (
        ("does the circuit beat its matched control", "pqc", "mlp"),
        (
            "does a circuit added to the features beat its control",
            "pqc_residual",
            "mlp_residual",
        ),
        ("does the circuit beat a linear head", "pqc", "linear"),
        ("does entanglement help", "pqc", "pqc_unentangled"),
        ("does training the circuit help", "pqc", "pqc_untrained"),
        ("does the circuit beat one with random weights", "pqc", "pqc_random"),
    )
    return (
        *(
            Question(quantum, text, frozen_model("simclr", a), frozen_model("simclr", b))
            for text, a, b in heads
        ),
        *(
            Question(
                selfsup,
                f"does SimCLR beat a random encoder, head {head}",
                frozen_model("simclr", head),
                frozen_model("random", head),
            )
            for head in WHOLE_HEADS
        ),
        *(
            Question(
                selfsup,
                f"does SimCLR with head {head} beat raw pixels",
                frozen_model("simclr", head),
                RAW_PIXELS,
            )
            for head in ("mlp", "pqc")
        ),
        *(
            Question(
                selfsup,
                f"does SimCLR beat ImageNet's encoder, head {head}",
                frozen_model("simclr", head),
                frozen_model("imagenet", head),
            )
            for head in WHOLE_HEADS
        ),
        *(
            Question(
                quantum,
                f"does the circuit beat {text} on the whole network",
                whole_model("simclr", "pqc"),
                whole_model("simclr", head),
            )
            for text, head in (("its matched control", "mlp"), ("a linear head", "linear"))
        ),
        *(
            Question(
                selfsup,
                f"does SimCLR beat training from scratch, head {head}",
                whole_model("simclr", head),
                whole_model("scratch", head),
            )
            for head in WHOLE_HEADS
        ),
        *(
            Question(
                selfsup,
                f"does SimCLR, left as it is, beat training from scratch, head {head}",
                frozen_model("simclr", head),
                whole_model("scratch", head),
            )
            for head in ("mlp", "pqc")
        ),
        *(
            Question(
                selfsup,
                f"does SimCLR with the whole network and head {head} beat raw pixels",
                whole_model("simclr", head),
                RAW_PIXELS,
            )
            for head in ("mlp", "pqc")
        ),
    )


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
    found: list[Comparison] = [
        compare(
            labels,
            predictions[fraction, question.a],
            predictions[fraction, question.b],
            margin=margin,
            name=f"{question.a} against {question.b}, {percent(fraction)} of the labels",
        )
        for fraction, question in asked
    ]
    judged = dict(enumerate(found))
    for name in {question.family for _, question in asked}:
        where = [i for i, (_, question) in enumerate(asked) if question.family == name]
        judged |= zip(where, judged_together([found[i] for i in where]), strict=True)
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
        for (fraction, question), comparison in zip(asked, judged.values(), strict=True)
    ]


def auc_interval(labels: Ints, probs: Floats, *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean AUC over the seeds and its interval over seeds and test images together.

    The variance is that of `crossed_variance`; with one seed it is DeLong's.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1.
        probs: `(seeds, images, classes)`.
        level: Coverage.
    """
    scores = probs[:, :, 1] if labels.ndim == 1 and probs.shape[2] == 2 else probs
    values, covariance = auc_covariance(labels, scores)
    variance = crossed_variance(values, covariance)
    half = float(t.isf((1 - level) / 2, variance.degrees)) * variance.standard_error
    mean = float(values.mean())
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def check_test_labels(labels: Ints, class_names: Sequence[str]) -> None:
    """Refuse a test split that no verdict can come from, before any work is done.

    Raises:
        InvalidValueError: If a class has fewer than two images, or all but one.
    """
    for index, name in enumerate(class_names):
        hot = labels[:, index] == 1 if labels.ndim == 2 else labels == index
        if not FEWEST <= int(hot.sum()) <= len(labels) - FEWEST:
            raise InvalidValueError(
                f"Expected in the test split at least {FEWEST} images of class {name!r} and of the "
                f"rest, got {int(hot.sum())} of {len(labels)}: add images, or leave the class out."
            )


def cautions(config: AblationStudyConfig, labels: Ints, class_names: Sequence[str]) -> list[str]:
    """Sentences on what the verdicts of a study can bear, to be printed beside them.

    Args:
        config: Of the study.
        labels: Of the test split, `(images,)`, or `(images, classes)` of 0 and 1.
        class_names: Names of the classes.
    """
    found = []
    if config.num_qubits == 1:
        found.append(
            "One qubit has nothing to be entangled with: pqc and pqc_unentangled are one model."
        )
    for index, name in enumerate(class_names):
        count = int((labels[:, index] == 1 if labels.ndim == 2 else labels == index).sum())
        if count < FEW:
            found.append(
                f"The test split has {count} images of {name}: with fewer than {FEW} intervals are "
                "too narrow and p values too small."
            )
    return found
