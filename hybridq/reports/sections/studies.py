"""Studies of units: the sentences and tables that each has left."""

from __future__ import annotations

from hybridq.records.studies import StudyTable, read_study_report
from hybridq.reports.page.elements import Cell, Heading, Part, Section, Table, Text
from hybridq.reports.sources.sources import SIGNS, Source, Sources


def studies(sources: Sources) -> list[Section]:
    """One section of all studies of units; none where there is no such study."""
    parts: list[Part] = []
    for source in sources.all:
        if source.kind in SIGNS:
            continue
        report = read_study_report(source.folder)
        parts += [Heading(f"{report.study}: {source.name}"), *map(Text, report.sentences)]
        parts += [_table(source, one) for one in report.tables]
    return [Section("studies", "Studies", tuple(parts), "a study of units")] if parts else []


def _table(source: Source, one: StudyTable) -> Table:
    rows = tuple(tuple(map(_cell, row)) for row in one.rows)
    return Table(one.title, tuple(one.columns), rows, ((source,),))


def _cell(value: str | int | float | None) -> Cell:
    if value is None or isinstance(value, str):
        return Cell(value or "")
    return Cell(f"{value:.4g}" if isinstance(value, float) else str(value), float(value))
