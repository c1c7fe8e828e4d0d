"""Heads side by side: what a device has to run for each, and what its paper says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybridq.models.heads import control_of, head_entry
from hybridq.records.findings import DrawnCircuit
from hybridq.studies.blocks.grid import Combination, name_of
from hybridq.studies.blocks.tables import Answer

SIZES = (
    *("quantum_parameters", "qubits", "depth", "two_qubit_gates", "circuits", "qpu_seconds"),
    "step_ms",
)
"""What is shown of a head's circuits, by the names that `BlocksSizeWork` leaves."""

DRAWN_QUBITS = 4
"""The number of qubits that a drawing is nearest to, where the study has several."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """What a paper says of a head.

    Attributes:
        paper: Its number on arXiv, or where it appeared.
        text: What it claims, as its abstract or its authors' code says.
    """

    paper: str
    text: str


CLAIMS: Mapping[str, Claim] = {
    "pqc": Claim(
        "2601.16608", "SimCLR and a circuit on MobileNetV2 help with few labels; figures not known"
    ),
    "pqc_residual": Claim(
        "2601.17862", "circuit features added to classical ones carry over to other sites"
    ),
    "lqer": Claim("2601.18814", "beats ResNet-18 on coronary angiograms, accuracy above 0.90"),
    "ttn": Claim("2306.03741", "a pretrained tensor train before the circuit beats PCA"),
    "generated": Claim(
        "2506.10275", "far fewer trained parameters, classical inference, robust under noise"
    ),
    "hyper": Claim(
        "npj Quantum Inf. 2026", "0.94 under simulated noise, 0.83 on a processor of 156 qubits"
    ),
    "swap_attention": Claim(
        "2504.02730", "up to 10.9 points above other quantum models on ten digits"
    ),
    "qkernel": Claim(
        "2506.14920", "combined kernels beat gradient boosting on kinase inhibitors; no figures"
    ),
    "reservoir": Claim(
        "2510.13473", "more accurate than classical networks under attack on digits; no figures"
    ),
}
"""What is claimed of the heads that come with hybridq; sources: `docs/blocks.md`,
`docs/kernels.md` and `docs/reservoir.md`."""


def gallery_rows(
    shown: Mapping[str, Mapping[str, Any]],
    built: Sequence[Combination],
    summary: Sequence[Mapping[str, Any]],
    items: Sequence[Answer],
) -> list[Row]:
    """Rows of `gallery.csv`: one for each quantum head on a pretrained encoder.

    Args:
        shown: What `BlocksSizeWork` left of each combination that is shown, by its name.
        built: The combinations of the study.
        summary: The rows of `summary.csv`.
        items: The answers that `compared` returns.
    """
    figures = {(row["labels"], row["blocks"]): row for row in summary}
    answers = {(amount, asked.a, asked.b): found for amount, asked, found in items}
    rows = []
    for one in (own for own in built if own.name in shown):
        control = control_of(one.head) or ""
        claim = CLAIMS.get(one.head, Claim("", ""))
        beside = name_of(one.kind, one.reducer, control, one.qubits)
        for amount in dict.fromkeys(row["labels"] for row in summary):
            own, other = figures[amount, one.name], figures.get((amount, beside))
            answer = answers.get((amount, one.name, beside))
            rows.append(
                {
                    "labels": amount,
                    "blocks": one.name,
                    "reducer": one.reducer,
                    "head": one.head,
                    "label": head_entry(one.head).label,
                    "paper": claim.paper,
                    "claim": claim.text,
                    "reducer_parameters": own["reducer_parameters"],
                    "head_parameters": own["head_parameters"],
                    **{name: shown[one.name][name] for name in SIZES},
                    "auc": own["mean"],
                    "low": own["low"],
                    "high": own["high"],
                    "control": control,
                    "control_auc": None if other is None else other["mean"],
                    "verdict": None if answer is None else answer.verdict,
                }
            )
    return rows


def gallery_circuits(
    shown: Mapping[str, Mapping[str, Any]], built: Sequence[Combination]
) -> list[DrawnCircuit]:
    """Make the drawings of the gallery: of every quantum head a circuit of about four qubits."""
    own = [one for one in built if shown.get(one.name, {}).get("circuit") is not None]
    found = {
        one.head: shown[one.name]["circuit"]
        for one in sorted(own, key=lambda one: abs(one.qubits - DRAWN_QUBITS), reverse=True)
    }
    heads = dict.fromkeys(one.head for one in own)
    return [DrawnCircuit.model_validate(found[head]) for head in heads]
