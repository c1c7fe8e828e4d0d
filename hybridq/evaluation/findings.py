"""What an evaluation found, as its `report.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridq.evaluation.baselines import NAMES
from hybridq.evaluation.summaries import figure_name, figures_of
from hybridq.evaluation.tables import SUBGROUPS, about_decision, split_words
from hybridq.records.findings import Estimate, Findings, Forest, ForestRow, ResultTable, Value
from hybridq.utils.text import counted, percent


def evaluation_findings(result: Mapping[str, Any]) -> Findings:
    """Lay out the figures of an evaluation, the baselines beside the model.

    Args:
        result: What `result.json` says.
    """
    measured = {result["head"]: result["model"]}
    if changed := result.get("recalibrated"):
        measured[f"{result['head']}, recalibrated"] = changed
    measured |= result["baselines"]
    figures = {NAMES.get(name, name): _with_line(entry) for name, entry in measured.items()}
    model, beside = result["head"], result["baselines"]
    area = figures[model]["auc"]
    where = f"{'' if result['split'] == 'all' else 'the '}{split_words(result['split'])}"
    compared = f", {counted(len(beside), 'baseline')} beside it" if beside else ""
    shown = list(figures[model])
    return Findings(
        command="evaluate",
        title="Evaluation",
        data=result["data"],
        sentences=[
            f"{model}, trained with {percent(result['labels'])} of the labels, was evaluated on "
            f"{counted(result['images'], 'image')} of {where} of "
            f"{result['data']} on {result['backend']['name']}{compared}.",
            f"Its AUC is {area.text}.",
            *(f"{words[0].upper()}{words[1:]}." for words in about_decision(result)),
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
            ),
            *_by_subgroup(result),
        ],
        seeds=[result["train_seed"]],
    )


def _with_line(entry: Mapping[str, Any]) -> dict[str, Estimate]:
    """The figures of a model, with slope and intercept of the outcome on the logit."""
    line = {f"calibration_{name}": one for name, one in entry.get("calibration", {}).items()}
    return figures_of(entry) | figures_of({"figures": line})


def _by_subgroup(result: Mapping[str, Any]) -> list[ResultTable]:
    """A table for each column by whose values the images are grouped."""
    groups = result.get("subgroups", [])
    shown = [name for name in SUBGROUPS if name in result["model"]["figures"]]
    tables = []
    for column in dict.fromkeys(row["column"] for row in groups):
        rows: list[list[Value]] = []
        for row in groups:
            if row["column"] == column:
                said = row["value"] + (" (small)" if row["small"] else "")
                rows.append([said, row["images"], *map(figures_of(row).get, shown)])
        title = f"Figures by {column}, at the same threshold"
        columns = [column, "images", *map(figure_name, shown)]
        tables.append(ResultTable(title=title, columns=columns, rows=rows))
    return tables
