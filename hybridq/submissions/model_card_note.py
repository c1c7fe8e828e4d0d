"""Write the results of devices into the model card of the run.

There is one note for each data set and split. A submission replaces the note of the same data and
split if it has at least as many images, so that a part never replaces the whole. Rehearsals leave
no note. Results of a fake device stand under a heading that says so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hybridq.evaluation.tables import interval
from hybridq.models.checkpoint import model_folder
from hybridq.submissions.plan.submission import Submission
from hybridq.utils.files import read_text, write_text

HEADING = "## On hardware"
SIMULATED = "## Rehearsal on a simulated device"

_NOTE = re.compile(r"^### (\d+) images of ([^\n]+)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)


def write_hardware_note(submission: Submission, folder: Path, result: dict[str, Any]) -> None:
    """Add the results of a device to the model card of the run, by the rule of the module.

    Args:
        submission: The submission, all of whose results are here.
        folder: The folder of the submission.
        result: The content of its `result.json`.
    """
    if submission.device is None:
        return
    path = model_folder(submission.run) / "MODEL_CARD.md"
    card = read_text(path, "a model card", "restore it from a copy.")
    heading = SIMULATED if str(result["device"]).startswith("fake") else HEADING
    section = re.search(rf"^{heading}\n.*?(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    notes = {
        source: (int(count), text)
        for count, source, text in _NOTE.findall(section.group() if section else "")
    }
    source = submission.data
    if submission.split is not None:
        source = f"the {submission.split} split of {submission.data}"
    if result["images"] < notes.get(source, (0, ""))[0]:
        return
    notes[source] = (result["images"], _text(folder.name, result))
    parts = [
        f"### {count} images of {name}\n\n{text.strip()}\n" for name, (count, text) in notes.items()
    ]
    before, after = (
        (card, "") if section is None else (card[: section.start()], card[section.end() :])
    )
    rest = f"\n{after}" if after else ""
    write_text(path, before.rstrip() + "\n\n" + "\n".join([heading + "\n", *parts]) + rest)


def _text(name: str, result: dict[str, Any]) -> str:
    """Write the note of one submission."""
    so_far = "" if result["qpu_seconds_of_all_jobs"] else " so far (not known of all jobs)"
    clause = "; `simulated` has no mitigation" if "simulated" in result["compared"] else ""
    rows = [
        f"| {column} | {_figure(entry, 'auc')} | {_figure(entry, 'balanced_accuracy')} | "
        f"{entry['rms_error']:.3f} | {entry['flips']} |"
        for column, entry in result["compared"].items()
    ]
    return "\n".join(
        [
            f"On {result['device']} (calibrated {result['calibration_date']}), {result['shots']} "
            f"shots, mitigation: {result['mitigation']}{clause}; {result['qpu_seconds']:.1f} QPU "
            f"seconds charged{so_far}. From `{name}`; intervals are of the bootstrap over images, "
            "whose values carry the shot noise.",
            "",
            "| | AUC | balanced accuracy | RMS error of values | flipped predictions |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _figure(entry: dict[str, Any], name: str) -> str:
    figure = entry.get("figures", {}).get(name)
    return "no labels" if figure is None else interval(figure)
