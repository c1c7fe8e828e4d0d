"""The tables of a study of capacity, from what its units have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridq.evaluation.statistics import (
    Comparison,
    Measured,
    compare_measured,
    family,
    mean_interval,
)
from hybridq.models.heads.base import ReducerKind as Reducer
from hybridq.studies.ablation.grid import SETTINGS, Setting
from hybridq.studies.capacity.arms import ASKED, CALLED, CIRCUIT, REDUCERS
from hybridq.studies.capacity.roles import Role, roles
from hybridq.studies.capacity.trained import CapacityArmWork, CapacitySearchWork

Row = dict[str, Any]
PARTS = ("reducer", "block", "readout")


@dataclass(frozen=True)
class Arms:
    """What all heads of a study gave.

    Attributes:
        measured: By reducer and arm, the AUC in every cell of encoders and label subsets.
        sizes: By reducer and arm, trained parameters, movement and slopes of each encoder's heads.
    """

    measured: dict[tuple[Reducer, str], Measured]
    sizes: dict[tuple[Reducer, str], list[Mapping[str, Any]]]


def gather(works: Sequence[CapacityArmWork], found: Sequence[Mapping[str, Any]]) -> Arms:
    """Put together what the encoders' heads gave, in the order of the encoders."""
    cells: dict[tuple[Reducer, str], list[Mapping[str, Any]]] = {}
    sizes: dict[tuple[Reducer, str], list[Mapping[str, Any]]] = {}
    for work, left in zip(works, found, strict=True):
        sizes.setdefault((work.reducer, work.arm), []).append(left)
        for arm, own in left["arms"].items():
            cells.setdefault((work.reducer, arm), []).append(own)
    measured = {
        key: Measured(
            np.array([one["auc"] for one in own], dtype=np.float64),
            np.array([one["influence"] for one in own], dtype=np.float64),
            units=own[0]["units"],
        )
        for key, own in cells.items()
    }
    return Arms(measured, sizes)


def search_rows(
    works: Sequence[CapacitySearchWork], found: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Rows of `search.csv`: the mean AUC on held-out folds of each arm in each setting."""
    rows = []
    for work, left in zip(works, found, strict=True):
        for place, setting in enumerate(SETTINGS):
            values = [
                one for one in (left["auc"] or [[]] * len(SETTINGS))[place] if one is not None
            ]
            mean = float(np.mean(values)) if values else None
            where = {"reducer": work.reducer, "arm": work.arm, "encoder": work.encoder}
            rows.append({**where, **setting, "auc": mean})
    return rows


def chosen(search: Sequence[Row]) -> Setting:
    """Choose the setting of the best mean over all arms and encoders, the first among equals."""

    def mean(setting: Setting) -> float:
        own = [row["auc"] for row in search if setting.items() <= row.items()]
        known = [value for value in own if value is not None]
        return round(float(np.mean(known)), 12) if known else 0.0

    return max(SETTINGS, key=mean)


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


def compared(arms: Arms, *, margin: float) -> list[tuple[Reducer, Row, Comparison]]:
    """Compare the circuit with every other arm; verdicts hold for a topic and reducer together.

    Returns:
        The reducer, the words of the question, and the comparison.
    """
    found = [
        (
            reducer,
            {
                "topic": asked.topic,
                "question": asked.text,
                "family": f"{asked.topic}, {REDUCERS[reducer]}",
                "a": CIRCUIT,
                "b": asked.other,
            },
            compare_measured(
                arms.measured[reducer, CIRCUIT],
                arms.measured[reducer, asked.other],
                margin=margin,
                name=f"{CALLED[CIRCUIT]} against {CALLED[asked.other]}, {REDUCERS[reducer]}",
            ),
        )
        for reducer in dict.fromkeys(reducer for reducer, _ in arms.measured)
        for asked in ASKED
        if (reducer, asked.other) in arms.measured
    ]
    judged = family([one for *_, one in found], [words["family"] for _, words, _ in found])
    return [(reducer, words, one) for (reducer, words, _), one in zip(found, judged, strict=True)]


def roles_of(items: Sequence[tuple[Reducer, Row, Comparison]]) -> dict[Reducer, tuple[Role, ...]]:
    """Say for each reducer what the circuit is."""
    verdicts: dict[Reducer, dict[str, Any]] = {}
    for reducer, words, comparison in items:
        verdicts.setdefault(reducer, {})[words["b"]] = comparison.verdict
    return {reducer: roles(own) for reducer, own in verdicts.items()}
