"""What a noise study found, for its report: every setting, and curves over the noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from hybridq.evaluation.summaries import curves, difference, estimate, pivot
from hybridq.records.findings import Curves, Estimate, Findings
from hybridq.studies.summary import shots_order
from hybridq.utils.text import counted

Row = Mapping[str, Any]

LESS = "AUC less control's"
SHOWN = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "adapted_balanced_accuracy": "adapted",
    "flips": "flips",
    "rms_error": "RMS error",
    LESS: LESS,
}
DRAWN = {"auc": "AUC", "flips": "Share of predictions that flip"}


def findings(result: Mapping[str, Any], summary: Sequence[Row]) -> Findings:
    """Lay out the figures in each setting, and their curves over the noise without mitigation.

    Args:
        result: What `result.json` says.
        summary: Rows of `summary.csv`.
    """
    shown = [row for row in summary if row["figure"] in SHOWN]
    shown += [{**row, "figure": LESS} for row in summary if row["figure"] == "auc"]
    plain = [row for row in shown if row["mitigation"] == "none" and row["figure"] in DRAWN]
    plain = [row for row in plain if row["mean"] is not None]
    given = sorted({row["shots"] for row in plain}, key=shots_order, reverse=True)
    drawn = [_curves(plain, name, shots) for shots in given[:1] + given[1:][-1:] for name in DRAWN]
    told = [_told([row for row in plain if row["shots"] == shots]) for shots in given[:1]]
    models, images = counted(len(result["models"]), "model"), counted(result["images"], "image")
    devices = counted(len({row["device"] for row in summary}), "device")
    return Findings(
        title="Noise",
        data=result["data"],
        sentences=[
            f"The noise study reads {models} on {images} of the {result['split']} split of "
            f"{result['data']} under the noise of {devices}.",
            *(told or ["No setting without mitigation has an AUC or flips that are defined."]),
            "A prediction flips if its class is another than the same model's without noise.",
        ],
        notes=result["notes"],
        curves=[one for one in drawn if one is not None],
        tables=[
            pivot(
                "Every setting: means over the models with Student's t 95% intervals over their "
                "seeds, from three seeds on; adapted: balanced accuracy with the threshold chosen "
                "anew under the noise, on validation",
                shown,
                {
                    "device": itemgetter("device"),
                    "noise scale": itemgetter("noise_scale"),
                    "shots": lambda row: row["shots"] or "none",
                    "mitigation": itemgetter("mitigation"),
                },
                lambda row: SHOWN[row["figure"]],
                _estimate,
            )
        ],
        seeds=sorted({model["seed"] for model in result["models"]}),
    )


def _estimate(row: Row) -> Estimate:
    if row["figure"] == LESS:
        return difference(row, "minus_control")
    return estimate(row, largest=math.inf if row["figure"] == "rms_error" else 1.0)


def _at(shots: int | None) -> str:
    return "exact values" if shots is None else counted(shots, "shot")


def _told(rows: Sequence[Row]) -> str:
    """Say what noise of about each device's own strength does."""
    found = {}
    for row in sorted(rows, key=lambda row: (row["device"], -abs(row["noise_scale"] - 1))):
        found[row["device"], row["figure"]] = row
    told = []
    for (device, figure), row in found.items():
        value = estimate(row)
        if figure == "auc":
            change = difference(row, "minus_noiseless").text
            told.append(f"mean AUC {value.text} on {device}, {change} from the noiseless models'")
        else:
            told.append(f"share of predictions that flip {value.text}")
    row = min(rows, key=lambda row: abs(row["noise_scale"] - 1))
    return (
        f"At a noise scale of {row['noise_scale']:g}, with {_at(row['shots'])}: {'; '.join(told)}."
    )


def _curves(rows: Sequence[Row], figure: str, shots: int | None) -> Curves | None:
    return curves(
        [row for row in rows if (row["figure"], row["shots"]) == (figure, shots)],
        itemgetter("device"),
        itemgetter("noise_scale"),
        title=f"{DRAWN[figure]} against noise, {_at(shots)}",
        xlabel="noise scale (1 = the device)",
        ylabel=DRAWN[figure],
        is_from_zero=figure == "flips",
        caption="Means over the models with Student's t 95% intervals over their seeds.",
    )
