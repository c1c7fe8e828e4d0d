"""Studies that are a list of units, and tables and sentences made of what they gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from hybridq.config.study import StudyConfig
from hybridq.evaluation.tables import table
from hybridq.records.studies import REPORT_FILE, StudyReport, read_study_report
from hybridq.runs.folder import read_config, resumed_folder
from hybridq.studies.engine.folder import study_folder
from hybridq.studies.engine.pool import worker_pool
from hybridq.studies.engine.units import Work, run_stage
from hybridq.studies.entry import StudyEntry
from hybridq.utils.files import write_csv, write_json
from hybridq.utils.limits import check_workers

ConfigT = TypeVar("ConfigT", bound=StudyConfig)


def study_of_units(
    name: str,
    config: type[ConfigT],
    units: Callable[[ConfigT], Sequence[Work]],
    findings: Callable[[ConfigT, list[dict[str, Any]]], StudyReport],
) -> StudyEntry:
    """Make a study that can be resumed, and runs its units over processes.

    Its folder has `report.json`, which `hybridq report` lays out, a CSV file for each table, and
    in `units/` what each finished unit gave.

    Args:
        name: Of the study, as the command line calls it.
        config: What it can be told.
        units: From a config to the units; each is a pure function of its settings, which are
            pickled, and takes half an hour at the most. It raises a `HybridqError` where the
            config cannot be used; nothing is written then.
        findings: From a config, and what the units gave in their order, to tables and sentences.
    """

    def run(given: ConfigT) -> Path:
        resume = given.resume
        kept = given
        if resume is not None:
            kept = read_config(resumed_folder(resume), config, f"study {name}")
        check_workers(kept.workers)
        works = units(kept)
        with (
            study_folder(
                kept,
                name,
                kept.name or name,
                runs=kept.runs,
                seed=kept.seed,
                resume=resume,
                data={},
            ) as folder,
            worker_pool(kept.workers) as pool,
            tqdm(total=len(works), disable=None, unit="unit") as bar,
        ):
            found = run_stage(folder, name, works, pool=pool, on_done=lambda _: bar.update())
            _write(folder, findings(kept, found), len(works))
        return folder

    return StudyEntry(config, run, show)


def _write(folder: Path, report: StudyReport, units: int) -> None:
    for number, one in enumerate(report.tables, start=1):
        rows = [["" if cell is None else cell for cell in row] for row in one.rows]
        write_csv(folder / f"table-{number}.csv", one.columns, rows)
    write_json(folder / REPORT_FILE, report.model_dump(mode="json"))
    write_json(folder / "result.json", {"study": report.study, "data": report.data, "units": units})


def show(folder: Path) -> str:
    """The sentences and tables of a study as text."""
    report = read_study_report(folder)
    parts = list(report.sentences)
    for one in report.tables:
        parts += ["", one.title, table(one.columns, [_shown(row) for row in one.rows])]
    return "\n".join(parts)


def _shown(row: Sequence[str | int | float | None]) -> list[str]:
    cells = ("" if cell is None else cell for cell in row)
    return [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells]
