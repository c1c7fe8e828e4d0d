"""What a study of kernels found, for its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.evaluation.statistics import Comparison
from hybridq.evaluation.summaries import compared_models, estimate, pivot
from hybridq.records.findings import Findings, ResultTable
from hybridq.studies.blocks.findings import comparison_row, verdicts_told
from hybridq.studies.blocks.tables import Answer
from hybridq.studies.kernels.grid import CALLED, KERNELS, RESERVOIRS, TOGETHER, called
from hybridq.utils.text import counted

Row = Mapping[str, Any]

ASKED = {
    TOGETHER: "of quantum kernels together with a classical machine",
    KERNELS: "of one quantum kernel with the tuned radial one",
    RESERVOIRS: "of the reservoir with a classical embedding",
}
"""What the comparisons of a topic are called in words."""
NOTE = (
    "Alignment is the cosine of the centred Gram matrix and that of the labels. The geometric "
    "difference is the least from a classical kernel of any of the bandwidths (Huang et al. 2021); "
    "where it is small against the root of the number of labelled images, no labels are learnt "
    "from fewer images by the quantum kernel. Kernels of random states of as many qubits are "
    "called concentrated. Held-out AUC is within the labelled images. Verdicts of a topic and an "
    "amount of labels hold together. Images of one patient are not kept together where settings "
    "are searched."
)


def findings(
    result: Mapping[str, Any],
    summary: Sequence[Row],
    items: Sequence[Answer],
    kernels: Sequence[Row],
    weights: Sequence[Row],
) -> Findings:
    """Lay out AUCs, verdicts, and what kernels are like.

    Args:
        result: The content of `result.json`.
        summary: The rows of `summary.csv`.
        items: The answers to the study's questions.
        kernels: The rows of `kernels.csv`.
        weights: The rows of `weights.csv`.
    """
    over = (
        f"{counted(result['images'], 'test image')}, {counted(result['encoders'], 'encoder')}, "
        f"{counted(result['subsets'], 'label subset')}"
    )
    rows = [comparison_row(*item) for item in items]
    answered: dict[str, list[Comparison]] = {}
    for _, asked, found in items:
        answered.setdefault(asked.topic, []).append(found)
    tables = [
        pivot(
            f"Mean AUC, {over}, 95% intervals over all three",
            summary,
            {
                "machine": lambda row: CALLED.get(row["kind"], row["kind"]),
                "circuits": lambda row: "yes" if row["quantum"] else "no",
                "components": lambda row: row["qubits"],
            },
            lambda row: str(row["labels"]),
            estimate,
        ),
        _described(kernels),
    ]
    if weights:
        tables.append(
            ResultTable(
                title="Shares of kernels, and bandwidths, in the mean",
                columns=["labels", "machine", "kernel", "share", "bandwidth"],
                rows=[
                    [
                        *(row["labels"], called(row["machine"]), row["kernel"]),
                        *(row["share"], row["bandwidth"]),
                    ]
                    for row in weights
                ],
                folded=True,
            )
        )
    return Findings(
        title="Kernels",
        data=result["data"],
        sentences=[
            f"Machines are fitted in closed form to the same principal components on "
            f"{result['data']}: {over}.",
            *(verdicts_told(ASKED[topic], own) for topic, own in answered.items()),
        ],
        notes=[*result["notes"], NOTE],
        compared=compared_models(
            rows,
            called,
            lambda item: str(item["labels"]),
            figure="AUC",
            margin=result["margin"],
        )
        if rows
        else None,
        tables=tables,
    )


def _described(kernels: Sequence[Row]) -> ResultTable:
    columns = {
        "labels": "labels",
        "qubits": "components",
        "kernel": "kernel",
        "bandwidth": "bandwidth",
        "alignment": "alignment",
        "held_out_auc": "held-out AUC",
        "geometric_difference": "geometric difference",
        "fidelity": "mean fidelity",
        "concentrated": "share concentrated",
    }
    return ResultTable(
        title="What kernels are like, in the mean over encoders and label subsets",
        columns=list(columns.values()),
        rows=[[row[key] for key in columns] for row in kernels],
        folded=True,
    )
