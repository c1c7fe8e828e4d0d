"""Whether the files of a folder are whole, and say the same as its `result.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridq.evaluation.metrics.scores import all_metrics
from hybridq.records.findings import FILE, Findings, check_beside, read_findings, remedy_of
from hybridq.records.predictions import check_figures, read_predictions
from hybridq.records.record import RESTORE, read_rows, refused
from hybridq.records.results import Kind, read_epochs
from hybridq.records.studies import StageRow
from hybridq.submissions.findings import submission_findings
from hybridq.utils.files import read_text

CARD = "MODEL_CARD.md"
STAGES = "seconds.csv"


def check_files(kind: Kind, folder: Path, result: Mapping[str, Any]) -> Findings:
    """Refuse a folder whose files are damaged or do not belong together; return its findings.

    Args:
        kind: The command that made it.
        folder: The folder.
        result: Its `result.json`, which is as described.

    Raises:
        HybridqError: If a file cannot be read, or says other than `result.json`.
    """
    if kind in ("pretrain", "finetune"):
        _check_epochs(folder, result)
    if kind == "finetune" and (folder / "model" / CARD).exists():
        read_card(folder)
    if kind == "evaluate":
        _check_evaluation(folder, result)
    if kind == "submit":
        return submission_findings(result)
    if not (folder / FILE).is_file():
        return Findings()  # of a run of an earlier version
    found = read_findings(folder, kind)
    check_beside(folder, found, result)
    return found


def read_card(run: Path) -> str:
    """The model card of a run.

    Raises:
        HybridqError: If it cannot be read.
    """
    return read_text(run / "model" / CARD, "a model card", "restore it from a copy.")


def read_seconds(study: Path, kind: Kind) -> float:
    """The seconds of all units of a study together.

    Raises:
        HybridqError: If they cannot be read.
    """
    path, remedy = study / STAGES, f"{remedy_of(study, kind)}."
    rows = read_rows(path, StageRow, "a number of seconds in each row", remedy)
    return sum(float(row["seconds"]) for row in rows)


def _check_epochs(folder: Path, result: Mapping[str, Any]) -> None:
    """There are as many epochs as the run says; their figures may be left out as a whole."""
    path = folder / "metrics.jsonl"
    if path.exists():
        _check_count(path, read_epochs(folder), result["epochs"])


def _check_evaluation(folder: Path, result: Mapping[str, Any]) -> None:
    """Figures follow from the predictions, of which there are as many as there were images."""
    found = read_predictions(folder, result)
    names = result["class_names"]
    metrics = all_metrics(
        multilabel=found.labels.ndim == 2,
        positive=None if result["positive"] is None else names.index(result["positive"]),
        threshold=result["model"]["threshold"],
        num_classes=len(names),
    )
    check_figures(
        folder / "result.json", result["model"]["figures"], metrics(found.labels, found.probs)
    )


def _check_count(path: Path, rows: Sequence[object], expected: int) -> None:
    if len(rows) != expected:
        raise refused(
            f"{expected} rows, by the other files of the folder,", path, str(len(rows)), RESTORE
        )
