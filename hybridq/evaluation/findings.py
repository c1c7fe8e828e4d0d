"""What an evaluation found, as its `report.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridq.evaluation.baselines import NAMES
from hybridq.evaluation.summaries import figure_name, figures_of
from hybridq.records.findings import Findings, Forest, ForestRow, ResultTable
from hybridq.utils.text import counted, percent


def evaluation_findings(result: Mapping[str, Any]) -> Findings:
    """Lay out the figures of an evaluation, the baselines beside the model.

    Args:
        result: What `result.json` says.
    """
    measured = {result["head"]: result["model"], **result["baselines"]}
    figures = {NAMES.get(name, name): figures_of(entry) for name, entry in measured.items()}
    model, *beside = figures
    area = figures[model]["auc"]
    compared = f", {counted(len(beside), 'baseline')} beside it" if beside else ""
    shown = list(figures[model])
    return Findings(
        command="evaluate",
        title="Evaluation",
        data=result["data"],
        sentences=[
            f"{model}, trained with {percent(result['labels'])} of the labels, was evaluated on "
            f"{counted(result['images'], 'image')} of the {result['split']} split of "
            f"{result['data']} on {result['backend']['name']}{compared}.",
            f"Its AUC is {area.text}.",
            *result.get("cautions", ()),
        ],
        notes=result["notes"],
        forests=[
            Forest(
                title="AUC with 95% intervals over the images",
                xlabel="AUC",
                rows=[
                    ForestRow(label=name, **own["auc"].model_dump())
                    for name, own in figures.items()
                ],
            )
        ],
        tables=[
            ResultTable(
                title="Figures with 95% intervals over the images",
                columns=["model", *map(figure_name, shown)],
                rows=[[name, *map(own.get, shown)] for name, own in figures.items()],
            )
        ],
        seeds=[result["train_seed"]],
    )
