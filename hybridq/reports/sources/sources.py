"""The folders a report is made from: what each is, and what it recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hybridq.config import Config, FinetuneConfig, PretrainConfig
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq.models.checkpoint import read_spec
from hybridq.records.findings import FILE, Findings, read_findings, remedy_of
from hybridq.records.record import RESTORE, Record, refused
from hybridq.records.results import (
    RESULTS,
    Kind,
    Options,
    read_environment,
    read_epochs,
    read_record,
)
from hybridq.reports.sources.checks import check_files
from hybridq.runs.folder import check_finished, read_result
from hybridq.submissions.plan.comparison import each_folder
from hybridq.utils.files import read_json
from hybridq_backends.utils.names import field_name

# The file that only a finished folder of that command has, of those without `report.json`.
SIGNS: dict[Kind, str] = {
    "submit": "submission.json",
    "finetune": "model/config.json",
    "pretrain": "encoder.safetensors",
    "evaluate": "predictions",
}

ORIGINS = ("none", "imagenet")
"""What `--encoder` takes beside a run."""

CONFIGS: dict[Kind, type[Config]] = {"finetune": FinetuneConfig, "pretrain": PretrainConfig}
"""Commands whose runs are opened or compared, so that their configs have to be of this version."""


@dataclass(frozen=True, eq=False)
class Source:
    """One folder of a run or a study; two are the same only if they are one object.

    Attributes:
        key: its short name in the report, as `S1`.
        kind: the command that made it.
        folder: as it was given, or as another run recorded it.
        config: its `config.json`; of training runs with the defaults of what it leaves out.
        environment: its `environment.json`.
        result: its `result.json`.
        findings: its `report.json`.
        followed: the folder that led to it; None if the user named it.
    """

    key: str
    kind: Kind
    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    result: dict[str, Any]
    findings: Findings = field(default_factory=Findings)
    followed: str | None = None

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def command(self) -> str:
        """The command that makes such a folder again."""
        return f"hybridq {self.kind} --config {self.folder / 'config.json'}"

    @property
    def is_study(self) -> bool:
        """Whether it is of a study."""
        return self.kind.startswith("study ")

    @property
    def is_laid_out(self) -> bool:
        """Whether the report lays out its findings as they are."""
        return self.is_study or (self.kind == "submit" and bool(self.result.get("compared")))

    def epochs(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`."""
        return read_epochs(self.folder)


@dataclass(frozen=True)
class Sources:
    """All folders of a report, those that were named first.

    Attributes:
        all: in the order of their keys.
        left_out: for each run that a folder led to and that cannot be read, why.
    """

    all: tuple[Source, ...]
    left_out: tuple[str, ...] = ()

    def of(self, *kinds: Kind) -> tuple[Source, ...]:
        """List those of some commands, in their order."""
        return tuple(source for source in self.all if source.kind in kinds)

    def named_by(self, source: Source, field: str) -> Source | None:
        """The source that a field of another's config names, by its folder or a file in it."""
        name = _named(source, field)
        place = None if name is None else _recorded(source, name)
        if place is None:
            return None
        wanted = place.resolve()
        return next((other for other in self.all if other.folder.resolve() == wanted), None)

    def study_of(self, source: Source) -> Source | None:
        """The study that made a run, which lies in its folder; None of any other run."""
        parents = source.folder.resolve().parents
        studies = (study for study in self.all if study.is_study)
        return next((study for study in studies if study.folder.resolve() in parents), None)


def read_sources(folders: Sequence[Path]) -> Sources:
    """Read folders, and the training runs they recorded that are still there.

    The folder of a comparison stands for its submissions.

    A run that was not named and cannot be read is left out.

    Raises:
        MissingFileError: if a named folder is none of a run or a study, or is not finished.
        InvalidValueError: if no folder is named, or a file in a named one cannot be read.
    """
    if not folders:
        raise InvalidValueError(
            "Expected folders of runs or studies after `hybridq report`, got none: name those "
            "that other commands printed."
        )
    found: dict[Path, Source] = {}
    for folder in (one for given in folders for one in each_folder(given)):
        if folder.resolve() not in found:
            found[folder.resolve()] = _read(folder, len(found) + 1, None)
    waiting = list(found.values())
    left_out: dict[Path, str] = {}
    while waiting:
        source = waiting.pop(0)
        for name in _names(source):
            link = _recorded(source, name)
            place = Path(name) if link is None else link.resolve()
            if place in found or place in left_out:
                continue
            if link is None or not _is_finished(link):
                what = "is not there" if link is None else "is no finished run"
                left_out[place] = f"{name}, which {source.key} recorded, {what}."
                continue
            try:
                led = _read(link, len(found) + 1, source.key)
            except HybridqError as error:
                left_out[place] = f"{name}, which {source.key} recorded. {error}"
            else:
                found[place] = led
                waiting.append(led)
    return Sources(tuple(found.values()), tuple(left_out.values()))


def _names(source: Source) -> list[str]:
    """The runs that a run started from: of an evaluation its model, of a model its encoder or run.

    Of a study they are the models it trained, most labels first, and its encoders.
    """
    if source.is_study:
        given = source.config.get("encoder_runs")
        names = list(map(str, given)) if isinstance(given, list) else []
        runs = sorted(source.folder.glob("*/finetune/*/"), key=_order)
        return [*names, *map(str, [*runs, *sorted(source.folder.glob("*/pretrain/*/"))])]
    fields = [_named(source, field) for field in ("run", "encoder", "start")]
    return [name for name in fields if name is not None]


def _named(source: Source, field: str) -> str | None:
    """The run that a field of a config names, as it stands there; None if it names none."""
    value: Any = source.config.get(field)
    name: str | None = value["weights"] if isinstance(value, dict) else value
    return None if name in ORIGINS else name


def _recorded(source: Source, name: str) -> Path | None:
    """The folder of a run that another recorded by its folder or, as `--encoder` may, by a file.

    A path that is not found from here is looked for from the folders above the one that recorded
    it, the nearest first: commands write below the folder they are called in.
    """
    for above in (Path(), *source.folder.resolve().parents):
        path = Path(above, name)
        if path.exists():
            return path.parent if path.is_file() else path
    return None


def _order(run: Path) -> tuple[float, int, str]:
    """A key that sorts runs by falling share of the labels, then by seed; unreadable ones last."""
    try:
        config = read_json(run / "config.json", "a config", RESTORE)
        return -float(config["labels"]), int(config["seed"]), run.name
    except (HybridqError, KeyError, TypeError, ValueError):
        return 0.0, 0, run.name


def _is_finished(folder: Path) -> bool:
    try:
        return _kind(folder) is not None
    except HybridqError:
        return True  # what is wrong with it is told when it is read


def _kind(folder: Path) -> Kind | None:
    if not (folder / "config.json").is_file() or not (folder / "result.json").is_file():
        return None
    if (folder / FILE).is_file() and (command := read_findings(folder).command):
        return command
    known = next((kind for kind, sign in SIGNS.items() if (folder / sign).exists()), None)
    study = read_environment(folder).get("study")
    if known is None and (study is not None or (folder / FILE).is_file()):
        what, remedy = f"a {FILE} of this version", remedy_of(folder, f"study {study or 'NAME'}")
        raise refused(what, folder, "one of an earlier version, or none", f"{remedy}.")
    return known


def _read(folder: Path, number: int, followed: str | None) -> Source:
    kind = _kind(folder)
    if kind is None:
        check_finished(folder)
        what = "is no folder"
        if folder.is_dir():
            what = "has no " + next(
                (n for n in ("config.json", "result.json") if not (folder / n).is_file()),
                "report, predictions, model or encoder",
            )
        raise MissingFileError(
            f"Expected the folder of a finished run or study, got {str(folder)!r}, which {what}: "
            "give a folder that pretrain, finetune, evaluate, submit or study printed."
        )
    fields = Options if kind in RESULTS else Record  # of a study of one's own: its own fields
    config = read_record(folder / "config.json", fields, f"a config of `hybridq {kind}`")
    result = read_result(folder, kind)
    if kind in CONFIGS:
        config = _checked(config, kind, folder)
    findings = check_files(kind, folder, result)
    environment = read_environment(folder)
    return Source(f"S{number}", kind, folder, config, environment, result, findings, followed)


def _checked(config: dict[str, Any], kind: Kind, folder: Path) -> dict[str, Any]:
    """The config of a training run of this version, with its defaults."""
    try:
        checked = CONFIGS[kind].model_validate(config).model_dump(mode="json")
    except ValidationError as error:
        field = field_name(error.errors()[0]["loc"])
        raise InvalidValueError(
            f"Expected a config of `hybridq {kind}` of this version in "
            f"{folder / 'config.json'}, got another in the field {field!r}: run the command again."
        ) from error
    if kind == "finetune":
        read_spec(folder)
    return checked
