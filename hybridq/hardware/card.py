"""What a device gave, as a section of the run's model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridq.checkpoint import model_folder
from hybridq.evaluation.tables import interval
from hybridq.files import write_text

HEADING = "## On hardware"


def write_hardware_note(run: Path, submission: Path, result: dict[str, Any]) -> None:
    """Add what a device gave to the model card of a run, in place of an earlier note.

    Args:
        run: The run folder.
        submission: The folder of the submission.
        result: Its `result.json`.
    """
    path = model_folder(run) / "MODEL_CARD.md"
    card = path.read_text(encoding="utf-8").split(HEADING)[0].rstrip()
    rows = [
        f"| {name} | {_figure(entry, 'auc')} | {_figure(entry, 'balanced_accuracy')} | "
        f"{entry['rms_error']:.3f} | {entry['flips']} |"
        for name, entry in result["compared"].items()
    ]
    lines = [
        card,
        "",
        HEADING,
        "",
        f"{result['images']} images of {result['data']} on {result['device']} (calibrated "
        f"{result['calibration_date']}), {result['shots']} shots, mitigation: "
        f"{result['mitigation']}; {result['qpu_seconds']:.1f} QPU seconds charged. From "
        f"`{submission.name}`; intervals are of the bootstrap over images, with shot noise.",
        "",
        "| | AUC | balanced accuracy | RMS error of values | flipped predictions |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]
    write_text(path, "\n".join(lines))


def _figure(entry: dict[str, Any], name: str) -> str:
    figure = entry.get("figures", {}).get(name)
    return "no labels" if figure is None else interval(figure)
