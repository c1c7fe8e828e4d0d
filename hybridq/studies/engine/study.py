"""The one way to run a study: its checks, its folder, its stages, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hybridq.config.study import StudyConfig
from hybridq.data import ImageData, data_record
from hybridq.evaluation.tables import table
from hybridq.records.findings import Findings, hashes_beside, read_findings, shown, write_findings
from hybridq.records.record import hash_of
from hybridq.runs.recorded import absolute, check_same_data, recorded, resumed
from hybridq.studies.engine.folder import check_same_study, study_folder
from hybridq.studies.engine.pool import check_place, open_workers
from hybridq.studies.engine.units import Stages
from hybridq.utils.files import write_json
from hybridq.utils.pseudonyms import Pseudonyms

ConfigT = TypeVar("ConfigT", bound=StudyConfig)


@dataclass(frozen=True)
class Plan:
    """A study whose settings can be used; nothing has been written yet.

    Attributes:
        name: The name of a new folder, where the config has none.
        compute: Runs the stages, where a stage may be made of what earlier ones gave, and writes
            the study's own tables; returns what it found, and what `result.json` says.
        data: What is read, for the record; None where the engine need not know.
        pseudonyms: What it was read with.
    """

    name: str
    compute: Callable[[Stages], tuple[Findings, dict[str, Any]]]
    data: ImageData | None = None
    pseudonyms: Pseudonyms | None = None


def run_study(given: ConfigT, *, name: str, plan: Callable[[ConfigT], Plan]) -> Path:
    """Run a study, or go on with one; return its folder.

    Args:
        given: Its settings, or `resume` and the folder that has them.
        name: The name of the study, as the command line calls it.
        plan: Checks the settings; it raises a `HybridqError` where they cannot be used.

    Raises:
        HybridqError: If the settings cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    command = f"study {name}"
    config = absolute(given) if given.resume is None else resumed(given, command)
    if given.resume is not None:
        check_same_study(given.resume, name)
    check_place(config.workers, config.ray)
    study = plan(config)
    kept: StudyConfig = config
    if study.data is not None:
        check_same_data(given, command, study.data)
        if "pseudonyms" in type(config).model_fields:
            kept = recorded(config, study.data, study.pseudonyms)
    record = {} if study.data is None else data_record(study.data)
    with (
        study_folder(kept, name, config.name or study.name, given.resume, record) as folder,
        open_workers(config.workers, config.ray) as compute,
    ):
        stages = Stages(folder.resolve(), compute)
        found, result = study.compute(stages)
        stages.write_seconds()
        of_it = {"command": command, "title": found.title or name, "files": hashes_beside(folder)}
        of_it["result"] = hash_of(result)
        write_findings(folder, found.model_copy(update=of_it))
        write_json(folder / "result.json", result)
    return folder


def show(folder: Path) -> str:
    """The tables, verdicts and sentences of a study as text."""
    found = read_findings(folder)
    parts = []
    for one in found.tables:
        if not one.folded:
            rows = [list(map(shown, row)) for row in one.rows]
            parts += [one.title, table(one.columns, rows), ""]
    if found.compared is not None:
        items = found.compared.items
        parts += [f"{one.a} against {one.b}, {one.setting}: {one.words}" for one in items]
    return "\n".join([*parts, *found.sentences, *(f"Note: {note}" for note in found.notes)])
