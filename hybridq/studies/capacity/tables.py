"""The tables of a study of capacity, from what its units have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from hybridq.evaluation.statistics import (
    Comparison,
    Measured,
    Question,
    answers,
    mean_interval,
)
from hybridq.records.findings import Verdict
from hybridq.studies.capacity.arms import QUESTIONS, REDUCERS
from hybridq.studies.capacity.roles import Role, roles
from hybridq.studies.capacity.trained import CapacityArmWork, CapacitySearchWork
from hybridq.studies.heads.work import measured_of, searched

Row = dict[str, Any]
Answer: TypeAlias = tuple[str, Question, Comparison]
"""A reducer, what was asked with it, and the answer."""
PARTS = ("reducer", "block", "readout")


@dataclass(frozen=True)
class Arms:
    """What all heads of a study gave.

    Attributes:
        measured: The AUC in every cell of encoders and label subsets, by reducer and arm.
        sizes: Trained parameters, movement and slopes of each encoder's heads, by reducer and arm.
    """

    measured: dict[tuple[str, str], Measured]
    sizes: dict[tuple[str, str], list[Mapping[str, Any]]]


def gather(works: Sequence[CapacityArmWork], found: Sequence[Mapping[str, Any]]) -> Arms:
    """Put together what the encoders' heads gave, in the order of the encoders.

    Figures are those that `measured.npz` holds, so that tables can be computed from it again.
    """
    cells: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    sizes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for work, left in zip(works, found, strict=True):
        sizes.setdefault((work.reducer, work.arm), []).append(left)
        for arm, own in left["arms"].items():
            cells.setdefault((work.reducer, arm), []).append(own)
    return Arms({key: measured_of(own) for key, own in cells.items()}, sizes)


def search_rows(
    works: Sequence[CapacitySearchWork], found: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Rows of `search.csv`: the mean AUC on held-out folds of each arm in each setting."""
    return [
        {"reducer": work.reducer, "arm": work.arm, "encoder": work.encoder, **row}
        for work, left in zip(works, found, strict=True)
        for row in searched(left)
    ]


def capacity_rows(arms: Arms, encoders: Sequence[str]) -> list[Row]:
    """Rows of `capacity.csv`: one for each reducer, arm, encoder and label subset."""
    return [
        {"reducer": reducer, "arm": arm, "encoder": encoder, "subset": subset, "auc": value}
        for (reducer, arm), measured in arms.measured.items()
        for encoder, values in zip(encoders, measured.values.tolist(), strict=True)
        for subset, value in enumerate(values)
    ]


def summary_rows(arms: Arms) -> list[Row]:
    """Rows of `summary.csv`: mean AUC with its interval, parameters, and the largest slopes."""
    rows = []
    for (reducer, arm), measured in arms.measured.items():
        heads = arms.sizes.get((reducer, arm), [])
        counts = heads[0]["parameters"] if heads else dict.fromkeys(PARTS)

        def every(name: str, heads: Sequence[Mapping[str, Any]] = heads) -> list[float]:
            return [value for one in heads for value in one[name] if value is not None]

        mean, low, high = mean_interval(measured)
        rows.append(
            {
                "reducer": reducer,
                "arm": arm,
                **{"mean": mean, "low": low, "high": high, "seeds": len(measured.values)},
                "over": "encoders, label subsets and test images",
                **{f"{name}_parameters": counts[name] for name in PARTS},
                "block_movement": float(np.mean(moved)) if (moved := every("movement")) else None,
                "lipschitz_block": max(every("lipschitz_block"), default=None),
                "lipschitz_head": max(every("lipschitz_head"), default=None),
            }
        )
    return rows


def compared(arms: Arms, *, margin: float) -> list[Answer]:
    """Compare the circuit with every other arm; verdicts hold for a topic and reducer together."""
    return [
        answer
        for reducer in dict.fromkeys(reducer for reducer, _ in arms.measured)
        for answer in answers(
            {key: own for key, own in arms.measured.items() if key[0] == reducer},
            QUESTIONS,
            margin=margin,
            words=REDUCERS.__getitem__,
        )
    ]


def roles_of(found: Sequence[Answer]) -> dict[str, tuple[Role, ...]]:
    """Say for each reducer what the circuit is."""
    verdicts: dict[str, dict[str, Verdict]] = {}
    for reducer, question, comparison in found:
        verdicts.setdefault(reducer, {})[question.b] = comparison.verdict
    return {reducer: roles(own) for reducer, own in verdicts.items()}


def role_rows(roles: Mapping[str, Sequence[Role]]) -> list[Row]:
    """Rows of `roles.csv`: what `roles_of` found, and the arms that it rests on."""
    return [
        {"reducer": reducer, "role": one.name, "rests_on": " ".join(one.rests_on)}
        for reducer, own in roles.items()
        for one in own
    ]
