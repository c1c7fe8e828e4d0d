"""Studies that are a list of units, and tables and sentences made of what they gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from hybridq.config.study import StudyConfig
from hybridq.records.findings import Findings, plain
from hybridq.studies.engine.study import Plan, run_study, show
from hybridq.studies.engine.units import Stages, Work
from hybridq.studies.entry import StudyEntry
from hybridq.utils.files import write_csv

ConfigT = TypeVar("ConfigT", bound=StudyConfig)


def study_of_units(
    name: str,
    config: type[ConfigT],
    units: Callable[[ConfigT], Sequence[Work]],
    findings: Callable[[ConfigT, list[dict[str, Any]]], Findings],
) -> StudyEntry:
    """Make a study of one stage that can be resumed, and runs its units over processes or Ray.

    Its folder has `report.json`, which `hybridq report` lays out, a CSV file for each table, and
    in `units/` what each finished unit gave.

    Args:
        name: The name of the study, as the command line calls it.
        config: What it can be told.
        units: What makes the units of a config; each is a pure function of its settings, which are
            pickled, and takes half an hour at the most. It raises a `HybridqError` where the
            config cannot be used; nothing is written then.
        findings: What makes tables and sentences of a config and what its units gave, in order.
    """

    def plan(asked: ConfigT) -> Plan:
        works = units(asked)

        def compute(stages: Stages) -> tuple[Findings, dict[str, Any]]:
            found = findings(asked, stages.run(name, works))
            for number, one in enumerate(found.tables, start=1):
                rows = [[plain(cell) for cell in row] for row in one.rows]
                write_csv(stages.folder / f"table-{number}.csv", one.columns, rows)
            return found, {"study": name, "data": found.data, "units": len(works)}

        return Plan(name, compute)

    return StudyEntry(config, partial(run_study, name=name, plan=plan), show)
