"""The `result.json` of each command, and the other small records of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field, model_validator

from hybridq.records.record import RESTORE, Count, Record, Share, check_record, refused
from hybridq.utils.files import read_json, read_jsonl
from hybridq_backends.utils.files import MAX_BYTES

Kind: TypeAlias = str
"""The command that made a folder, such as `finetune` or `study noise`."""


class Figure(Record):
    """A figure of merit with its interval; null where it is not defined."""

    value: Share | None
    low: Share | None
    high: Share | None

    @model_validator(mode="after")
    def _is_an_interval(self) -> Figure:
        ends = (self.low, self.high)
        if (None in ends and ends != (None, None)) or (
            self.low is not None and self.high is not None and self.low > self.high
        ):
            raise ValueError("an interval that does not go from its low end to its high end")
        return self


class Real(Record):
    """A figure that is no share, with its interval; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Measured(Record):
    """The figures of one model."""

    threshold: float
    figures: dict[str, Figure]
    by_class: dict[str, dict[str, Figure]] = Field(default_factory=dict)
    calibration: dict[str, Real] = Field(default_factory=dict)
    """Slope and intercept of the outcome on the logit."""

    @model_validator(mode="after")
    def _has_auc(self) -> Measured:
        if "auc" not in self.figures:
            raise ValueError("figures without an AUC")
        return self


class MeasuredGroup(Measured):
    """The figures of some of the images."""

    column: str
    value: str
    images: int = Field(ge=1)
    small: bool


class Backend(Record):
    """What computed the circuits."""

    name: str


class EvaluationResult(Record):
    """The result of `hybridq evaluate`."""

    run: str
    data: str
    split: Literal["train", "val", "test", "all"]
    images: int = Field(ge=1)
    labels: float = Field(gt=0, le=1)
    train_seed: Count
    head: str
    encoder_weights: str
    class_names: list[str] = Field(min_length=2)
    positive: str | None
    model: Measured
    baselines: dict[str, Measured]
    recalibrated: Measured | None = None
    subgroups: list[MeasuredGroup] = Field(default_factory=list)
    at_specificity: float | None = Field(None, gt=0, lt=1)
    prevalence: float | None = Field(None, gt=0, lt=1)
    threshold_from: Literal["model", "val", "none"] | None = None
    backend: Backend
    views: Literal["one", "flip", "shift", "zoom"] = "one"
    notes: list[str] = Field(default_factory=list)
    cautions: list[str] = Field(default_factory=list)
    seconds: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _knows_its_class(self) -> EvaluationResult:
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("a class name twice")
        if self.positive is not None and self.positive not in (self.class_names or ()):
            raise ValueError(f"the positive class {self.positive!r}, which is none of its classes")
        return self


class Kept(Record):
    """The epoch whose model was kept."""

    epoch: float
    val_auc: float | None
    val_loss: float


class FinetuneResult(Record):
    """The result of `hybridq finetune`."""

    kept: Kept
    epochs: Count
    labelled_images: Count
    trainable_parameters: Count
    head_parameters: Count
    seconds: float = Field(ge=0)


class PretrainResult(Record):
    """The result of `hybridq pretrain`."""

    loss: float
    epochs: Count
    images: Count
    seconds: float = Field(ge=0)


class Compared(Record):
    """How far values with noise are from those without."""

    rms_error: float = Field(ge=0)
    flips: Count
    figures: dict[str, Figure] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_auc(self) -> Compared:
        if "figures" in self.model_fields_set and "auc" not in self.figures:
            raise ValueError("figures without an AUC")
        return self


class SubmitResult(Record):
    """The result of a submission of `hybridq submit`."""

    complete: bool
    data: str
    images: Count
    images_here: Count
    device: str
    calibration_date: str | None
    shots: Count | None
    mitigation: str
    qpu_seconds: float = Field(ge=0)
    qpu_seconds_estimated: float = Field(ge=0)
    compared: dict[str, Compared] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


class NoiseModel(Record):
    """A model of a noise study."""

    run: str
    control: str
    seed: Count


class NoiseResult(Record):
    """The result of `hybridq study noise`."""

    data: str
    images: int = Field(ge=1)
    models: list[NoiseModel] = Field(min_length=1)
    rows: int = Field(ge=1)
    notes: list[str] = Field(default_factory=list)


class AblationResult(Record):
    """The result of `hybridq study ablation`."""

    data: str
    images: int = Field(ge=1)
    seeds: int = Field(ge=1)
    margin: float = Field(gt=0, lt=1)
    class_names: list[str] | None = Field(None, min_length=2)
    positive: str | None = None
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _knows_its_class(self) -> AblationResult:
        if self.positive is not None and self.positive not in (self.class_names or ()):
            raise ValueError(f"the positive class {self.positive!r}, which is none of its classes")
        return self


class CapacityResult(Record):
    """The result of `hybridq study capacity`."""

    data: str
    images: int = Field(ge=1)
    encoders: int = Field(ge=1)
    subsets: int = Field(ge=1)
    margin: float = Field(gt=0, lt=1)
    roles: dict[str, list[str]]
    notes: list[str] = Field(default_factory=list)


class HeadsResult(Record):
    """The result of `hybridq study blocks` and `hybridq study kernels`."""

    data: str
    images: int = Field(ge=1)
    encoders: int = Field(ge=1)
    subsets: int = Field(ge=1)
    margin: float = Field(gt=0, lt=1)
    notes: list[str] = Field(default_factory=list)


class UnitsResult(Record):
    """The result of a study of units."""

    study: str
    data: str | None = None
    units: Count


RESULTS: dict[Kind, type[Record]] = {
    "pretrain": PretrainResult,
    "finetune": FinetuneResult,
    "evaluate": EvaluationResult,
    "submit": SubmitResult,
    "study noise": NoiseResult,
    "study ablation": AblationResult,
    "study capacity": CapacityResult,
    "study blocks": HeadsResult,
    "study kernels": HeadsResult,
}
"""The result of each command."""


class Environment(Record):
    """`environment.json`: what a run was computed with."""

    time: str | None = None
    git_commit: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    resumed: list[dict[str, Any]] = Field(default_factory=list)


class Options(Record):
    """`config.json` of any command, as far as a report reads it."""

    run: str | None = None
    encoder: str | dict[str, Any] | None = None
    start: str | None = None
    encoder_runs: list[str] | None = None
    data: str | None = None
    data_root: str | None = None
    positive: str | None = None
    seed: Count | None = None
    limit: Count | None = None
    views: Literal["one", "flip", "shift", "zoom"] | None = None
    workers: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _are_there(cls, options: Any) -> Any:
        """Refuse a file of nothing: every command writes all of its options."""
        if options == {}:
            raise ValueError("no option is recorded")
        return options


class Epoch(Record):
    """A row of `metrics.jsonl`: a number for each figure."""

    __pydantic_extra__: dict[str, float | None] = Field(init=False)
    epoch: Count
    seconds: float = Field(ge=0)


def read_record(
    path: Path,
    model: type[BaseModel],
    what: str,
    remedy: str = RESTORE,
    *,
    limit: int = MAX_BYTES,
) -> Any:
    """Read a JSON file that is as its description says; see `read_json`.

    Raises:
        MissingFileError: If it is not there.
        InvalidValueError: If it cannot be read, or is not as described.
    """
    found = read_json(path, what, remedy, limit=limit)
    check_record(model, found, what, path, remedy)
    return found


def read_environment(folder: Path) -> dict[str, Any]:
    """What a run was computed with; nothing where it was not recorded."""
    path = folder / "environment.json"
    if not path.exists():
        return {}
    found: dict[str, Any] = read_record(path, Environment, "the record of a run", REMOVE)
    return found


REMOVE = "restore it from a copy, or remove it: it is made anew."


def read_epochs(folder: Path, *, once: bool = True) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`, one an epoch in their order; none where there is no file.

    Args:
        folder: The folder of the run.
        once: Whether rows of one epoch, or out of order, are refused.

    Raises:
        InvalidValueError: If it cannot be read, or a row is not one of figures.
    """
    path = folder / "metrics.jsonl"
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        check_record(Epoch, row, f"the figures of an epoch, line {number},", path)
    epochs = [row["epoch"] for row in rows]
    if once and epochs != sorted(set(epochs)):
        raise refused("the figures of each epoch once, in order,", path, "others")
    return rows
