"""Whether the files of a folder are whole, and say the same as its `result.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridq.evaluation.metrics.scores import all_metrics
from hybridq.records.predictions import check_figures, read_predictions
from hybridq.records.record import RESTORE, read_rows, refused, same_numbers
from hybridq.records.results import Kind, read_epochs
from hybridq.records.studies import (
    ABLATION_REMEDY,
    NOISE_REMEDY,
    FlipRow,
    NoiseRow,
    NoiseSummaryRow,
    StageRow,
)
from hybridq.studies.summary import MERITS, PAIRED, summarise
from hybridq.utils.files import read_text

SETTING = ("device", "noise_scale", "shots", "mitigation")

CARD = "MODEL_CARD.md"
STAGES = "seconds.csv"


def check_files(kind: Kind, folder: Path, result: Mapping[str, Any]) -> None:
    """Refuse a folder whose files are damaged or do not belong together.

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
    if kind == "study noise":
        _check_noise_study(folder, result)
    if kind == "study ablation" and (folder / STAGES).exists():
        read_stages(folder)


def read_card(run: Path) -> str:
    """The model card of a run.

    Raises:
        HybridqError: If it cannot be read.
    """
    return read_text(run / "model" / CARD, "a model card", "restore it from a copy.")


def read_stages(study: Path) -> dict[str, float]:
    """The seconds of each stage of an ablation, all its units together.

    Raises:
        HybridqError: If they cannot be read.
    """
    path = study / STAGES
    rows = read_rows(path, StageRow, "a number of seconds in each row", ABLATION_REMEDY)
    found = {row["stage"]: float(row["seconds"]) for row in rows}
    _check_count(path, rows, len(found))
    return found


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


def _check_noise_study(folder: Path, result: Mapping[str, Any]) -> None:
    """The summary follows from the table of all settings; images and models are as many."""
    rows = read_rows(folder / "study.csv", NoiseRow, "the table of a noise study", NOISE_REMEDY)
    _check_count(folder / "study.csv", rows, result["rows"])
    flips = read_rows(folder / "flips.csv", FlipRow, "a table of images", NOISE_REMEDY)
    _check_count(folder / "flips.csv", flips, result["images"])
    _check_count(folder / "flips.csv", flips, len({row["id"] for row in flips}))
    path = folder / "summary.csv"
    summary = read_rows(path, NoiseSummaryRow, "the summary of a noise study", NOISE_REMEDY)
    for row, expected in zip(summary, _summary_of(rows), strict=False):
        wrong = next((name for name in expected if not _same(row.get(name), expected[name])), None)
        if wrong is not None:
            named = ", ".join(str(expected[name]) for name in (*SETTING, "figure"))
            got = f"{row.get(wrong)!r} as {wrong!r} of {named}"
            raise refused("the summary of the study.csv beside it", path, got, NOISE_REMEDY)
    _check_count(path, summary, len(_summary_of(rows)))


def _summary_of(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The summary of a noise study, from the cells of its table."""
    compared = {f"{over}_{name}" for over in ("noiseless", "control") for name in PAIRED.values()}
    numbers = (*MERITS, *sorted(compared))
    return summarise(
        [
            {
                **{name: float(row[name] or "nan") for name in numbers},
                "seed": int(row["seed"]),
                "device": row["device"],
                "noise_scale": float(row["noise_scale"]),
                "shots": None if row["shots"] == "none" else int(row["shots"]),
                "mitigation": row["mitigation"],
            }
            for row in rows
        ]
    )


def _same(cell: str | None, expected: Any) -> bool:
    """Whether a cell says a value, but for rounding; no shots are `none`, what is unknown empty."""
    if not isinstance(expected, int | float):
        return cell in ("", "none") if expected is None else cell == expected
    try:
        return same_numbers([float(cell or "nan")], [float(expected)])
    except ValueError:
        return False


def _check_count(path: Path, rows: Sequence[object], expected: int) -> None:
    if len(rows) != expected:
        raise refused(
            f"{expected} rows, by the other files of the folder,", path, str(len(rows)), RESTORE
        )
