"""What an ablation compares, and the verdicts, which hold for all of a family together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.config import AblationStudyConfig
from hybridq.evaluation.statistics import Question, answers, class_counts, measure_auc
from hybridq.studies.ablation.grid import RAW_PIXELS, WHOLE_HEADS
from hybridq.utils.text import percent

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEW = 10
"""Test images of a class below which DeLong's variance is too small."""

BLOCKS = ("mlp", "pqc")
"""Heads with a block: the classical control, and the circuit."""


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
    """Yield a question for each head that `{}` stands for.

    What is asked of frozen features alone is one family, what whole networks are part of the other:
    an answer on features does not depend on whether networks were trained as well.
    """
    family = "whole networks" if "whole-" in a + b else "frozen features"
    for head in heads:
        yield Question(topic, text.format(head), a.format(head), b.format(head), family)


def verdicts(
    labels: Ints, predictions: Mapping[tuple[float, str], Floats], *, margin: float
) -> list[dict[str, Any]]:
    """All comparisons of AUC, paired by seed and test image, in two families for Holm.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1, of the test split.
        predictions: From fraction of the labels and model to probabilities
            `(seeds, images, classes)`; comparisons without both models are left out.
        margin: Largest difference in AUC that does not matter.

    Returns:
        A dict for each: `labels`, `family`, `topic`, `question`, `a`, `b`, and the fields of
        `Comparison`.
    """
    measured = {key: measure_auc(labels, probs[:, None]) for key, probs in predictions.items()}
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
        for fraction, question, comparison in answers(
            *(measured, questions()),
            margin=margin,
            words=lambda fraction: f"{percent(fraction)} of the labels",
        )
    ]


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
