"""What a submission brought back: the model without noise, simulated, and on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridq.evaluation.summaries import figure_name, figures_of
from hybridq.records.findings import Estimate, Findings, Forest, ForestRow, ResultTable, Value
from hybridq.utils.text import counted

COLUMNS = {
    "ideal": "without noise",
    "simulated": "simulated noise",
    "rehearsal": "rehearsal (a fake device)",
    "hardware": "on the device",
}
SHOWN = ("auc", "balanced_accuracy", "sensitivity", "specificity")


def submission_findings(result: Mapping[str, Any]) -> Findings:
    """Lay out the results of a submission, as far as they are here.

    Args:
        result: What `result.json` says.
    """
    compared: dict[str, dict[str, Any]] = result.get("compared", {})
    rehearsed = "rehearsal" in compared or str(result["device"]).startswith("fake")
    names = {name: COLUMNS.get(name, name) for name in compared}
    if rehearsed and "hardware" in names:
        names["hardware"] = COLUMNS["rehearsal"]
    some = "" if result["complete"] else f"{result['images_here']} of "
    lead = "A rehearsal on a simulated device, not hardware: " if rehearsed else ""
    shots = "exact values" if result["shots"] is None else counted(result["shots"], "shot")
    figures = {name: figures_of(entry) for name, entry in compared.items()}
    areas = {name: own["auc"] for name, own in figures.items() if "auc" in own}
    told = "; ".join(f"{names[name]} {area.text}" for name, area in areas.items())
    return Findings(
        command="submit",
        title="Rehearsal on a simulated device" if rehearsed else "On quantum hardware",
        data=result["data"],
        sentences=[
            f"{lead}{some}{counted(result['images'], 'image')} of {result['data']} on "
            f"{result['device']} (calibrated {result['calibration_date']}), {shots}, mitigation: "
            f"{result['mitigation']}; {result['qpu_seconds']:.1f} QPU seconds charged, "
            f"{result['qpu_seconds_estimated']:.1f} estimated.",
            *([f"AUC: {told}."] if told else []),
        ],
        notes=result.get("notes", []),
        forests=[_forest(result, names, areas, rehearsed=rehearsed)] if areas else [],
        tables=[_table(result, names, figures)] if compared else [],
    )


def _forest(
    result: Mapping[str, Any],
    names: Mapping[str, str],
    areas: Mapping[str, Estimate],
    *,
    rehearsed: bool,
) -> Forest:
    rows = [ForestRow(label=names[name], **area.model_dump()) for name, area in areas.items()]
    where = "simulated device" if rehearsed else "device"
    return Forest(
        title=f"AUC on {result['device']}",
        xlabel="AUC",
        rows=rows,
        caption=f"95% bootstrap intervals over images; on the {where} with shot noise.",
    )


def _table(
    result: Mapping[str, Any],
    names: Mapping[str, str],
    figures: Mapping[str, Mapping[str, Estimate]],
) -> ResultTable:
    shown = [figure for figure in SHOWN if any(figure in own for own in figures.values())]
    rows: list[list[Value]] = [
        [
            names[name],
            *(figures[name].get(figure) for figure in shown),
            entry["rms_error"],
            entry["flips"],
        ]
        for name, entry in result["compared"].items()
    ]
    return ResultTable(
        title=f"{counted(result['images_here'], 'image')}, 95% bootstrap intervals over them; "
        "errors and flipped predictions (of another class) against the model without noise",
        columns=[
            "where",
            *map(figure_name, shown),
            "RMS error of values",
            "flipped predictions",
        ],
        rows=rows,
    )
