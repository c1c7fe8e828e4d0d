"""The tables of a study of blocks, from what its units have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.stats import t

from hybridq.evaluation.statistics import Comparison, Measured, Question, answers, mean_interval
from hybridq.evaluation.statistics.crossed import crossed_variance
from hybridq.studies.ablation.grid import Setting
from hybridq.studies.blocks.error_split import ErrorSplit, error_split
from hybridq.studies.blocks.grid import ONCE, Combination
from hybridq.studies.blocks.trained import BlocksHeadWork, BlocksSearchWork
from hybridq.studies.heads.labelled import EVERY
from hybridq.studies.heads.work import best_setting, measured_of, searched
from hybridq.studies.tables import grouped

Row = dict[str, Any]
Key: TypeAlias = tuple[str, str]
"""An amount of labels, and the name of a combination."""
Answer: TypeAlias = tuple[str, Question, Comparison]
"""An amount of labels, what was asked with it, and the answer."""
OVER = "encoders, label subsets and test images"


@dataclass(frozen=True)
class Heads:
    """What all heads of a study gave.

    Attributes:
        measured: The AUC in every cell of encoders and label subsets.
        left: What the units of a combination left, one for each encoder.
    """

    measured: dict[Key, Measured]
    left: dict[Key, list[Mapping[str, Any]]]


def gather(works: Sequence[BlocksHeadWork], found: Sequence[Mapping[str, Any]]) -> Heads:
    """Put together what the encoders' heads gave, in the order of the encoders.

    Figures are those that `measured.npz` holds, so that tables can be computed from it again.
    """
    left: dict[Key, list[Mapping[str, Any]]] = {}
    for work, own in zip(works, found, strict=True):
        left.setdefault((work.amount, work.built.name), []).append(own)
    return Heads({key: measured_of(own) for key, own in left.items()}, left)


def search_rows(works: Sequence[BlocksSearchWork], found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows of `search.csv`: the mean AUC on held-out folds of each combination in each setting."""
    return [
        {"labels": work.amount, "blocks": work.built.name, "encoder": work.encoder, **row}
        for work, left in zip(works, found, strict=True)
        for row in searched(left)
    ]


def chosen(search: Sequence[Row]) -> dict[Key, Setting]:
    """Choose for each combination the setting of the best mean over encoders."""
    return {key: best_setting(own) for key, own in grouped(search, "labels", "blocks").items()}


def head_rows(heads: Heads, encoders: Sequence[str]) -> list[Row]:
    """Rows of `blocks.csv`: one for each amount of labels, combination, encoder and subset."""
    return [
        {"labels": amount, "blocks": name, "encoder": encoder, "subset": subset, "auc": value}
        for (amount, name), measured in heads.measured.items()
        for encoder, values in zip(_made_of(name, encoders), measured.values.tolist(), strict=True)
        for subset, value in enumerate(values)
    ]


def _made_of(name: str, encoders: Sequence[str]) -> Sequence[str]:
    """The encoders that a combination stands on, by its name."""
    kind = name.partition("-")[0]
    return [kind] if kind in ONCE else encoders


def summary_rows(heads: Heads, built: Sequence[Combination]) -> list[Row]:
    """Rows of `summary.csv`: mean AUC with its interval, and trained parameters by block."""
    by_name = {one.name: one for one in built}
    rows = []
    for (amount, name), measured in heads.measured.items():
        one, trained = by_name[name], heads.left[amount, name][0]["trained"]
        mean, low, high = mean_interval(measured)
        rows.append(
            {
                "labels": amount,
                "blocks": name,
                "encoder": one.kind,
                "reducer": one.reducer,
                "head": one.head,
                "qubits": one.qubits,
                **{"mean": mean, "low": low, "high": high, "seeds": len(measured.values)},
                "over": OVER,
                "reducer_parameters": trained["reducer"],
                "head_parameters": trained["head"],
            }
        )
    return rows


def compared(heads: Heads, asked: Sequence[Question], *, margin: float) -> list[Answer]:
    """Answer every question in each amount of labels."""
    return [
        answer
        for amount in dict.fromkeys(amount for amount, _ in heads.measured)
        for answer in answers(
            {key: own for key, own in heads.measured.items() if key[0] == amount},
            asked,
            margin=margin,
            words=str,
        )
    ]


def split_rows(heads: Heads) -> list[Row]:
    """Rows of `errors.csv`: the parts of each combination's log loss; none if it was not split.

    The reference is the least risk of any combination that was trained to the end on all labels:
    what no model of the study is below, where the Bayes risk is not known.
    """
    risks: dict[Key, dict[str, float]] = {}
    for key, own in heads.left.items():
        if "risk_best" in own[0]:
            risks[key] = {
                name: float(np.mean([value for one in own for value in one[name]]))
                for name in ("risk", "risk_fitted", "risk_best")
            }
    if not risks:
        return []
    reference = min(one["risk_best"] for one in risks.values())
    rows = []
    for (amount, name), one in risks.items():
        parts: ErrorSplit = error_split(
            reference=reference,
            best=one["risk_best"],
            fitted=one["risk_fitted"],
            trained=one["risk"],
        )
        rows.append(
            {
                "labels": amount,
                "blocks": name,
                "risk": one["risk"],
                "reference": reference,
                "approximation": parts.approximation,
                "estimation": parts.estimation,
                "optimisation": parts.optimisation,
            }
        )
    return rows


def slope_rows(heads: Heads, built: Sequence[Combination]) -> list[Row]:
    """Rows of `slopes.csv`: by how much AUC grows a qubit, least squares, with its interval."""
    groups: dict[tuple[str, str, str, str], list[Combination]] = {}
    for amount in dict.fromkeys(amount for amount, _ in heads.measured):
        for one in built:
            if one.qubits:
                key = (amount, one.kind, one.reducer, one.head)
                groups.setdefault(key, []).append(one)
    rows = []
    for (amount, kind, reducer, head), own in groups.items():
        if len(own) < 2:
            continue
        slope = qubit_slope(
            [one.qubits for one in own], [heads.measured[amount, one.name] for one in own]
        )
        rows.append({"labels": amount, "encoder": kind, "reducer": reducer, "head": head, **slope})
    return rows


def qubit_slope(qubits: Sequence[int], measured: Sequence[Measured]) -> Row:
    """Compute the least-squares slope of a figure over qubits, with its interval.

    The slope is a weighted sum of the figures, with weights that sum to 0, so that its variance
    over encoders, label subsets and images is that of the same sum of what each image adds.

    Args:
        qubits: Numbers of qubits, at least two different ones.
        measured: The figure at each.
    """
    centred = np.asarray(qubits, dtype=np.float64) - np.mean(qubits)
    weights = centred / (centred**2).sum()
    values = sum(w * one.values for w, one in zip(weights, measured, strict=True))
    influence = sum(w * one.influence for w, one in zip(weights, measured, strict=True))
    return _interval("slope", Measured(np.asarray(values), np.asarray(influence)))


def _interval(name: str, measured: Measured) -> Row:
    """Compute a mean that may have any value, and its 95% interval."""
    variance = crossed_variance(measured.values, measured.covariance)
    mean = float(measured.values.mean())
    half = 0.0
    if variance.varies:
        half = float(t.isf(0.025, variance.degrees)) * variance.standard_error
    return {name: mean, "low": mean - half, "high": mean + half}


def ratio_rows(heads: Heads) -> list[Row]:
    """Rows of `ratios.csv`: AUC with few labels as a share of that with all labels.

    It is the relative performance ratio of arXiv:2605.09118. There are none where the study has no
    amount of all labels.
    """
    rows = []
    for (amount, name), few in heads.measured.items():
        whole = heads.measured.get((EVERY, name))
        if amount == EVERY or whole is None:
            continue
        rows.append({"labels": amount, "blocks": name, **ratio(few, whole)})
    return rows


def ratio(few: Measured, whole: Measured) -> Row:
    """Compute the ratio of two figures of the same cells, with its interval.

    The share that an image adds to the ratio is the linear one (delta method).
    """
    share = few.values / whole.values
    below = whole.values.mean(axis=1, keepdims=True)
    above = few.values.mean(axis=1, keepdims=True)
    influence = few.influence / below - above / below**2 * whole.influence
    return _interval("ratio", Measured(share, influence))


def noise_rows(heads: Heads) -> list[Row]:
    """Rows of `noise.csv`: the mean AUC of trained circuits on each noisy backend, and the drop."""
    rows = []
    for (amount, name), own in heads.left.items():
        kept = [one["noise"] for one in own if one["noise"]]
        for profile in kept[0] if kept else ():
            if profile == "none":
                continue
            drops = np.array(
                [
                    np.subtract(noisy, clean)
                    for one in kept
                    for noisy, clean in zip(one[profile], one["none"], strict=True)
                ]
            )
            rows.append(
                {
                    "labels": amount,
                    "blocks": name,
                    "backend": profile,
                    "heads": len(drops),
                    "auc": float(np.mean([value for one in kept for value in one[profile]])),
                    "change": float(drops.mean()),
                    "largest_change": float(np.abs(drops).max()),
                }
            )
    return rows
