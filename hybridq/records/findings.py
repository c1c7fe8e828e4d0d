"""What a command or a study found, as `report.json` holds it and a report lays it out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from hybridq.records.record import Record, check_record, hash_of, refused
from hybridq.utils.files import read_json, reading, write_json

FILE = "report.json"
TABLES = ("*.csv", "*.json", "*.npz")
NOT_OF_IT = ("config.json", "environment.json", "result.json", FILE, "seconds.csv")
Verdict: TypeAlias = Literal["better", "worse", "equivalent", "undecided"]


class Estimate(Record):
    """A number with its 95% interval; None where it is undefined, or has no interval."""

    value: float | None
    low: float | None = None
    high: float | None = None
    over: str = ""
    """What the interval is over, such as images."""
    is_signed: bool = False
    """Whether it is a difference, which is written with its sign."""

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Value and ends, NaN where there is none."""
        value, low, high = (
            math.nan if number is None else number for number in (self.value, self.low, self.high)
        )
        return value, low, high

    @property
    def ends(self) -> str:
        """The interval, as `[0.871, 0.950]`, or nothing."""
        if self.low is None or self.high is None:
            return ""
        return f"[{self.low:{self._form}}, {self.high:{self._form}}]"

    @property
    def text(self) -> str:
        """Value and interval, as `0.912 [0.871, 0.950]`."""
        return f"{self.middle} {self.ends}".rstrip()

    @property
    def middle(self) -> str:
        """The value alone."""
        return "undefined" if self.value is None else f"{self.value:{self._form}}"

    @property
    def _form(self) -> str:
        return "+.3f" if self.is_signed else ".3f"


Integer: TypeAlias = Annotated[int, Field(gt=-(2**63), lt=2**63)]
Value: TypeAlias = Estimate | str | Integer | float | None
"""What a cell of a table holds; None is a cell without a value."""


def shown(value: Value) -> str:
    """Write what a cell holds as text."""
    if isinstance(value, Estimate):
        return value.text
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def plain(value: Value) -> str | int | float:
    """What a cell is in a CSV file: numbers in full, without their intervals."""
    value = value.value if isinstance(value, Estimate) else value
    return "" if value is None else value


class ResultTable(Record):
    """A table of texts, numbers, and numbers with intervals."""

    title: str
    columns: list[str] = Field(min_length=1)
    rows: list[list[Value]]
    folded: bool = False
    """Whether it is shown when asked for."""

    @model_validator(mode="after")
    def _is_whole(self) -> ResultTable:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row of another number of cells than there are columns")
        return self


class ForestRow(Estimate):
    """A row of a forest plot."""

    label: str
    verdict: Verdict | None = None


class Forest(Record):
    """Estimates with their intervals, one below the other."""

    title: str
    xlabel: str
    rows: list[ForestRow] = Field(min_length=1)
    margin: float | None = None
    """The largest difference that does not matter, where the values are differences."""
    caption: str = ""


class Curve(Record):
    """A named line of points with intervals."""

    name: str
    x: list[float] = Field(min_length=1)
    points: list[Estimate]

    @model_validator(mode="after")
    def _is_whole(self) -> Curve:
        if len(self.x) != len(self.points):
            raise ValueError("a curve of other numbers of places and points")
        return self


class Curves(Record):
    """Lines over one axis."""

    title: str
    xlabel: str
    ylabel: str
    curves: list[Curve] = Field(min_length=1)
    unit: str = ""
    """Written after the numbers of x, such as %."""
    is_logarithmic: bool = False
    """Whether the axis of x is, with ticks at the points alone."""
    is_from_zero: bool = False
    """Whether the axis of y begins at 0."""
    caption: str = ""


Drawn: TypeAlias = Annotated[str, Field(pattern=r"^[^$\\{}^]*$", max_length=120)]
"""A text that is drawn, and is no formula."""
MOST_QUBITS, MOST_GATES = 20, 2000
"""Of a circuit that is drawn."""


class DrawnGate(Record):
    """A gate of a circuit that is drawn."""

    name: Drawn
    """Its name in Qiskit, such as `ry`."""
    qubits: list[Annotated[int, Field(ge=0, lt=MOST_QUBITS)]] = Field(
        min_length=1, max_length=MOST_QUBITS
    )
    parameters: list[Drawn] = Field(default_factory=list, max_length=16)
    """As they are written, such as `x[0]`."""


class DrawnCircuit(Record):
    """A circuit that is drawn."""

    title: str
    qubits: int = Field(ge=1, le=MOST_QUBITS)
    gates: list[DrawnGate] = Field(max_length=MOST_GATES)
    caption: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> DrawnCircuit:
        for gate in self.gates:
            if max(gate.qubits) >= self.qubits or len(set(gate.qubits)) < len(gate.qubits):
                raise ValueError("a gate on qubits that the circuit has not, or on one twice")
        return self


class Compared(Record):
    """One pair of models in one setting, and the verdict on the first."""

    setting: str
    """What both models share, such as the share of the labels."""
    topic: str
    question: str
    family: str
    """The comparisons for which verdicts hold together; their number is `family_size`."""
    family_size: int = Field(ge=1)
    a: str
    b: str
    value_a: float
    value_b: float
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    words: str
    p_holm: float | None
    p_equivalence_holm: float | None
    hedges_g: float | None
    images_needed: float | None
    seeds_needed: float | None


class ComparedModels(Record):
    """Comparisons that were asked beforehand, with verdicts."""

    figure: str
    """What is compared, such as AUC."""
    margin: float = Field(gt=0)
    """Largest difference that does not matter."""
    items: list[Compared] = Field(min_length=1)


class ModelPredictions(Record):
    """The predictions of a model that was trained from some seeds."""

    model: str
    array: str
    """Name in the file of its `(seeds, images, classes)` probabilities."""
    seeds: list[Integer] = Field(min_length=1)
    thresholds: list[float] = Field(min_length=1)
    """Thresholds on the positive class's probability, one for each seed."""

    @model_validator(mode="after")
    def _is_whole(self) -> ModelPredictions:
        if len(self.seeds) != len(self.thresholds):
            raise ValueError("other numbers of seeds and thresholds")
        return self


class PredictionSet(Record):
    """Models with the same share of the labels whose curves are drawn together."""

    labels: float = Field(gt=0, le=1)
    where: str
    """What they have in common, such as what was trained."""
    models: list[ModelPredictions] = Field(min_length=1)


class PredictionFile(Record):
    """Where predictions are, from which a report computes curves and matrices.

    The file is an `.npz` with `ids`, `labels` and `class_names` beside the arrays of the models.
    """

    file: str = Field(pattern=r"^[A-Za-z0-9_-]+\.npz$")
    split: str
    positive: str | None
    sets: list[PredictionSet]


class Findings(Record):
    """What a command or a study found.

    The first of its sentences says what was looked at, the second what was found; with them a
    report begins.
    """

    command: str = Field("", pattern=r"^([a-z]+( [A-Za-z0-9][A-Za-z0-9_:.-]*)?)?$", max_length=200)
    """The command that made the folder, as `study noise`; a study's is filled in by the engine."""
    title: str = ""
    """The title of its section in a report."""
    data: str | None = None
    sentences: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    compared: ComparedModels | None = None
    forests: list[Forest] = Field(default_factory=list)
    curves: list[Curves] = Field(default_factory=list)
    circuits: list[DrawnCircuit] = Field(default_factory=list, max_length=50)
    tables: list[ResultTable] = Field(default_factory=list)
    predictions: PredictionFile | None = None
    seeds: list[Integer] = Field(default_factory=list)
    """The seeds of the trainings."""
    files: dict[str, str] = Field(default_factory=dict)
    """Hashes of the tables and predictions beside it, which were written with it."""
    result: str = ""
    """Hash of the content of `result.json`, likewise."""


def hashes_beside(folder: Path) -> dict[str, str]:
    """Compute the hashes of the tables and predictions of a study.

    Those of the folder's own records are left out, and of `seconds.csv`, which differ each time.
    """
    paths = (path for ending in TABLES for path in folder.glob(ending))
    return {path.name: _of_file(path) for path in sorted(paths) if path.name not in NOT_OF_IT}


def check_beside(folder: Path, found: Findings, result: Mapping[str, Any]) -> None:
    """Refuse a folder whose tables or result are others than those written with its findings.

    Raises:
        InvalidValueError: If one is gone, damaged or edited.
    """
    others = [name for name, written in found.files.items() if _of_file(folder / name) != written]
    if found.result not in ("", hash_of(result)):
        others.append("result.json")
    for name in others:
        path = folder / name
        got = "a damaged or edited file" if path.is_file() else "no such file"
        what, remedy = f"what was written with {FILE}", remedy_of(folder, found.command)
        raise refused(what, path, got, f"{remedy}.")


def _of_file(path: Path) -> str:
    if not path.is_file():
        return ""
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_findings(folder: Path, found: Findings) -> None:
    """Write `report.json` of a folder."""
    write_json(folder / FILE, found.model_dump(mode="json", exclude_defaults=True))


def read_findings(folder: Path, command: str = "the command") -> Findings:
    """Read `report.json` of a folder.

    Args:
        folder: The folder of a run or a study.
        command: The command that made it, for the remedy.

    Raises:
        HybridqError: If it cannot be read, or is not as described.
    """
    path = folder / FILE
    what, remedy = "what was found", f"{remedy_of(folder, command)}."
    found = read_json(path, what, remedy)
    check_record(Findings, found, what, path, remedy)
    return Findings.model_validate(found)


def remedy_of(folder: Path, command: str) -> str:
    """Say how a damaged file in a folder is made again."""
    again = f"go on with `hybridq {command} --resume {folder}`"
    return f"restore it from a copy, or {again if command.startswith('study ') else 'run it again'}"
