"""The tables of studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, RootModel, model_validator

from hybridq.records.record import (
    Count,
    Number,
    Record,
    ShareCell,
    TableRow,
    Whole,
    check_record,
    refused,
)
from hybridq.utils.files import read_json, reading

REPORT_FILE = "report.json"
"""File of a study of units: its tables and sentences, as a report lays them out."""
NOISE_REMEDY = "go on with `hybridq study noise --resume`."
ABLATION_REMEDY = "go on with `hybridq study ablation --resume`."


class StudyTable(Record):
    """A table of a study of units: texts and numbers; None is a cell without a value."""

    title: str
    columns: list[str] = Field(min_length=1)
    rows: list[list[str | int | float | None]]

    @model_validator(mode="after")
    def _is_whole(self) -> StudyTable:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row of another number of cells than there are columns")
        return self


class StudyReport(Record):
    """What a study of units found."""

    study: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_:.-]*$", max_length=200)
    data: str | None = None
    sentences: list[str] = Field(default_factory=list)
    tables: list[StudyTable] = Field(default_factory=list)


def read_study_report(folder: Path) -> StudyReport:
    """Read what a study of units found.

    Raises:
        HybridqError: If it cannot be read, or is not as described.
    """
    path = folder / REPORT_FILE
    what, remedy = "what a study found", "remove it, and go on with `--resume`."
    found = read_json(path, what, remedy)
    check_record(StudyReport, found, what, path, remedy)
    return StudyReport.model_validate(found)


def _shots(cell: str | None) -> str:
    if cell != "none" and (cell is None or int(cell) < 1):
        raise ValueError("it should be `none` or a number of shots")
    return cell


Shots = Annotated[str, BeforeValidator(_shots)]
"""A number of shots in a cell, or `none` where values are exact."""


class NoiseSetting(TableRow):
    """A setting of a noise study, in any of its tables."""

    device: str
    noise_scale: Number = Field(ge=0)
    shots: Shots
    mitigation: str


class NoiseSummaryRow(NoiseSetting):
    """Of `summary.csv` of a noise study."""

    figure: str
    mean: Number | None
    low: Number | None
    high: Number | None
    seeds: Whole
    minus_noiseless: Number | None
    minus_noiseless_low: Number | None = None
    minus_noiseless_high: Number | None = None
    minus_noiseless_seeds: Whole | None = None
    minus_control: Number | None = None
    minus_control_low: Number | None = None
    minus_control_high: Number | None = None


class NoiseRow(NoiseSetting):
    """Of `study.csv`: one model in one setting."""

    run: str
    control_run: str
    data: str
    images: Whole = Field(ge=1)
    head: str
    seed: Whole = Field(ge=0)
    repeat: Whole = Field(ge=0)
    auc: ShareCell | None
    balanced_accuracy: ShareCell | None
    adapted_balanced_accuracy: ShareCell | None
    accuracy: ShareCell | None
    calibration_error: ShareCell | None
    flips: ShareCell
    rms_error: Number = Field(ge=0)
    noiseless_auc: ShareCell | None
    noiseless_balanced_accuracy: ShareCell | None
    noiseless_calibration_error: ShareCell | None
    control_auc: ShareCell | None
    control_balanced_accuracy: ShareCell | None
    control_calibration_error: ShareCell | None
    margin_p05: Number | None
    margin_p25: Number | None
    margin_p50: Number | None
    margin_p75: Number | None
    margin_p95: Number | None


class FlipRow(TableRow):
    """Of `flips.csv`: in which share of the settings an image changes its class."""

    __pydantic_extra__: dict[str, ShareCell] = Field(init=False)
    id: str
    label: str


class AblationRow(TableRow):
    """Of `ablation.csv`: one model of one seed at one share of the labels."""

    model: str
    labels: Number = Field(gt=0, le=1)
    seed: Whole = Field(ge=0)
    train_images: Whole = Field(ge=1)
    val_images: Whole = Field(ge=1)
    threshold: Number
    parameters: Whole | None
    circuit_parameters: Whole | None
    auc: ShareCell | None = None
    auc_without_duplicates: ShareCell | None = None
    balanced_accuracy: ShareCell | None = None
    accuracy: ShareCell | None = None
    calibration_error: ShareCell | None = None


class AblationSummaryRow(TableRow):
    """Of `summary.csv` of an ablation."""

    model: str
    labels: Number = Field(gt=0, le=1)
    figure: str
    mean: ShareCell | None
    low: Number | None
    high: Number | None
    over: Literal["seeds", "seeds and test images"]
    seeds: Whole = Field(ge=1)


class StageRow(TableRow):
    """Of `seconds.csv`: how long the units of a stage took."""

    stage: str
    seconds: Number = Field(ge=0)


class SealedUnit(Record):
    """What a unit of a study left, with the hash of all of it."""

    seconds: float = Field(ge=0)
    sha256: str


class Comparison(Record):
    """One pair of models in `comparisons.json`."""

    labels: float = Field(gt=0, le=1)
    topic: str
    question: str
    a: str
    b: str
    verdict: Literal["better", "worse", "equivalent", "undecided"]
    words: str
    difference: float
    value_a: float
    value_b: float
    family_size: Count
    low: float | None
    high: float | None
    p_holm: float | None
    p_equivalence_holm: float | None
    hedges_g: float | None
    images_needed: float | None
    seeds_needed: float | None


class Comparisons(RootModel[list[Comparison]]):
    """`comparisons.json`."""


def read_arrays(path: Path, what: str, remedy: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of an `.npz`; none may be of objects, which could hold code.

    Raises:
        InvalidValueError: If the file is missing or damaged.
    """
    try:
        with reading(path), np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except ValueError as error:
        state = "a damaged file" if path.is_file() else "no such file"
        raise refused(what, path, state, remedy) from error
