"""What an ablation asks, each question a family of its own, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.config import AblationStudyConfig
from hybridq.evaluation.statistics import (
    Comparison,
    Measured,
    Question,
    class_counts,
    compare_measured,
    family,
)
from hybridq.models.heads import HEADS
from hybridq.models.names import start_name
from hybridq.studies.ablation.grid import (
    RANDOM,
    RAW_PIXELS,
    REGRESSION,
    SCRATCH,
    Budget,
    frozen_model,
    whole_model,
    whole_starts,
)
from hybridq.studies.ablation.judged import ALL, over_first
from hybridq.studies.lists import names_of

Ints = NDArray[np.int64]
Models = Mapping[tuple[float, str], Mapping[str, Measured]]
"""The figures of a model, by share of the labels and model."""

FEW = 10
"""Test images of a class below which DeLong's variance is too small."""

CIRCUIT: Mapping[str, tuple[str, str, str]] = {
    "circuit": ("does the circuit beat its matched control", "pqc", "mlp"),
    "regression": ("does the circuit beat a penalised regression", "pqc", REGRESSION),
    "linear": ("does the circuit beat a linear head", "pqc", "linear"),
    "identity": ("does the circuit beat the same head without a circuit", "pqc", "identity"),
    "fourier": ("does the circuit beat random Fourier features", "pqc", "rff"),
    "entanglement": ("does entanglement help", "pqc", "pqc_unentangled"),
    "training": ("does training the circuit help", "pqc", "pqc_untrained"),
    "start": ("does the circuit beat one with random weights", "pqc", "pqc_random"),
    "residual": (
        "does a circuit added to the features beat its control", "pqc_residual", "mlp_residual"
    ),
    "components": (
        "does the circuit on principal components beat its control", "pqc_pca", "mlp_pca"
    ),
}  # fmt: skip
"""Questions on heads of the same pretrained features: text, arm, and arm it is measured against."""

CONTROLS: Mapping[str, str] = {
    name: entry.control
    for name, entry in HEADS.items()
    if entry.control is not None and name not in {arm for _, arm, _ in CIRCUIT.values()}
}
"""The control of each quantum head that no question above is about."""

QUESTIONS = (
    *("pixels", "scratch", "finetuned", "random", "heads", *CIRCUIT),
    *("related", "whole", "methods"),
)
"""Names of all questions, each a family of comparisons over the budgets and methods."""


def primary(config: AblationStudyConfig) -> tuple[str, ...]:
    """List the questions that the study was declared to be made for.

    Raises:
        InvalidValueError: If one is no question, or is there twice.
    """
    return names_of("primary", config.primary, QUESTIONS)


def questions(
    kinds: Sequence[str], heads: Sequence[str], chosen: Sequence[str]
) -> tuple[Question, ...]:
    """List every pair that is compared at every budget where both models are.

    Args:
        kinds: The methods of pretraining, and `imagenet` where its weights are at hand.
        heads: Heads of the whole network; the first answers for pretraining.
        chosen: Names of the questions that the study was declared to be made for.
    """
    found: list[Question] = []

    def ask(name: str, topic: str, text: str, a: str, b: str) -> None:
        is_primary, is_control = name in chosen, name == RANDOM
        found.append(Question(topic, text, a, b, name, is_primary, is_control))

    for kind in kinds:
        label = start_name(kind)
        about = "self-supervision" if kind != "imagenet" else "ImageNet"
        reading = frozen_model(kind, REGRESSION)
        first = heads[0]
        scratch, tuned = whole_model(SCRATCH, first), whole_model(kind, first)
        ask("pixels", about, f"does {label} beat raw pixels", reading, RAW_PIXELS)
        ask(
            "scratch", about, f"does {label}, left as it is, beat training from scratch",
            reading, scratch,
        )  # fmt: skip
        ask(
            "finetuned", about, f"does {label}, fine-tuned, beat training from scratch",
            tuned, scratch,
        )  # fmt: skip
        ask(
            RANDOM, "control", f"does {label} beat an untrained encoder",
            reading, frozen_model(RANDOM, REGRESSION),
        )  # fmt: skip
        for head in ("mlp", "pqc"):
            ask(
                "heads", about, f"does {label} with head {head} beat an untrained encoder with it",
                frozen_model(kind, head), frozen_model(RANDOM, head),
            )  # fmt: skip
        for name, (text, a, b) in CIRCUIT.items():
            words = f"{text}, on {label}"
            ask(name, "quantum layer", words, frozen_model(kind, a), frozen_model(kind, b))
        for name, control in CONTROLS.items():
            ask(
                "related", "quantum layer", f"does {name} beat its control, on {label}",
                frozen_model(kind, name), frozen_model(kind, control),
            )  # fmt: skip
        quantum = [name for name in heads if name in HEADS and HEADS[name].control]
        for name in quantum:
            for other in (other for other in heads if other not in quantum):
                ask(
                    "whole", "quantum layer", f"does {name} beat {other} on the whole network",
                    whole_model(kind, name), whole_model(kind, other),
                )  # fmt: skip
    for other in kinds[1:]:
        ask(
            "methods", "self-supervision", f"does {start_name(other)} beat {start_name(kinds[0])}",
            frozen_model(other, REGRESSION), frozen_model(kinds[0], REGRESSION),
        )  # fmt: skip
    return tuple(found)


def verdicts(
    models: Models, asked: Sequence[Question], budgets: Sequence[Budget], *, margin: float
) -> list[dict[str, Any]]:
    """Compare AUCs, paired by encoder, subset and test image; each question is a family for Holm.

    Args:
        models: The figures of all models.
        asked: What is compared, wherever both models are.
        budgets: Amounts of labelled images, which the verdicts are told by.
        margin: Largest difference in AUC that does not matter.

    Returns:
        A dict for each: `labels`, `family`, `primary`, `topic`, `question`, `a`, `b`, and the
        fields of `Comparison`.
    """
    found: list[tuple[Budget, Question, Comparison]] = []
    for budget in budgets:
        for question in asked:
            a, b = (models.get((budget.share, name)) for name in (question.a, question.b))
            if a is None or b is None:
                continue
            pair = paired(a, b)
            name = f"{question.a} against {question.b}, {budget.text}"
            found.append((budget, question, compare_measured(*pair, margin=margin, name=name)))
    judged = family([one for *_, one in found], [question.together for _, question, _ in found])
    return [
        {
            "labels": budget.share,
            "budget": budget.text,
            "family": question.family,
            "primary": question.primary,
            "topic": question.topic,
            "question": question.text,
            "a": question.a,
            "b": question.b,
            **comparison.as_dict(),
        }
        for (budget, question, _), comparison in zip(found, judged, strict=True)
    ]


def paired(a: Mapping[str, Measured], b: Mapping[str, Measured]) -> tuple[Measured, Measured]:
    """Take the AUCs of two models over the encoders and subsets that both have.

    A model without an encoder stands for every encoder; with whole networks, which have fewer
    subsets, others are compared on the first of theirs.
    """
    subsets = min(figures[ALL].values.shape[1] for figures in (a, b))
    one, other = (
        figures[ALL if figures[ALL].values.shape[1] == subsets else over_first(subsets)]
        for figures in (a, b)
    )
    shape = max(len(one.values), len(other.values)), subsets
    return one.repeated(*shape), other.repeated(*shape)


def cautions(config: AblationStudyConfig, labels: Ints, class_names: Sequence[str]) -> list[str]:
    """Say what the verdicts of a study can bear, in sentences to be printed beside them.

    Args:
        config: The config of the study.
        labels: The labels of the test split, `(images,)`, or `(images, classes)` of 0 and 1.
        class_names: Names of the classes.
    """
    found = [
        f"The test split has {count} images of {name}: with fewer than {FEW} intervals are too "
        "narrow and p values too small."
        for name, count in zip(class_names, class_counts(labels, len(class_names)), strict=True)
        if count < FEW
    ]
    if config.num_qubits == 1:
        found.insert(
            0,
            "One qubit has nothing to be entangled with: pqc and pqc_unentangled are one model.",
        )
    if SCRATCH in whole_starts(config) and min(config.whole_networks, config.subsets) == 1:
        found.append(
            "At each amount of labels one network was trained from scratch: what is said of it "
            "holds for its initial weights alone. Raise --subsets and --whole-networks."
        )
    if config.num_qubits < len(class_names):
        found.append(
            f"The bottleneck of {config.num_qubits} is narrower than the {len(class_names)} "
            "classes: raise --num-qubits."
        )
    return found
