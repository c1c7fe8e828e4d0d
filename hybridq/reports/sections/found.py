"""What a study or a submission left in `report.json`: its sentences, drawings and tables."""

from __future__ import annotations

from collections.abc import Iterator

from hybridq.records.findings import ResultTable
from hybridq.reports.page.elements import Cell, Fold, Part, Section, Table, Text
from hybridq.reports.page.parts import table
from hybridq.reports.sections.comparisons import comparisons
from hybridq.reports.sections.drawings import circuit, curves, forest
from hybridq.reports.sources.sources import Source, Sources
from hybridq.studies import STUDIES


def found(sources: Sources) -> list[Section]:
    """A section for each study and each submission with results."""
    shown = [source for source in sources.all if source.is_laid_out]
    titles = [source.findings.title for source in shown]
    sections = [
        Section(
            f"found-{source.key.lower()}",
            title + (f": {source.name}" if titles.count(title) > 1 else ""),
            tuple(_parts(source)),
        )
        for source, title in zip(shown, titles, strict=True)
    ]
    if not any(source.is_study for source in shown):
        names = ", ".join(f"`hybridq study {name}`" for name in STUDIES)
        sections.append(Section("studies", "Studies", missing=names))
    if all(source.is_study for source in shown):
        how = "`hybridq submit RUN`, then `hybridq jobs collect`"
        sections.append(Section("hardware", "On quantum hardware", missing=how))
    return sections


def _parts(source: Source) -> Iterator[Part]:
    of = source.findings
    key = source.key.lower()
    yield from map(Text, of.sentences)
    if of.compared is not None:
        yield from comparisons(source, of.compared)
    for k, one in enumerate(of.forests, start=1):
        yield forest(f"forest-{key}-{k}", one, [source], of.data or "")
    for k, lines in enumerate(of.curves, start=1):
        yield curves(f"curves-{key}-{k}", lines, [source], of.data or "")
    for k, drawn in enumerate(of.circuits, start=1):
        yield circuit(f"drawn-{key}-{k}", drawn, [source])
    for rows in of.tables:
        shown = _table(rows, source)
        yield Fold(rows.title.partition(":")[0], (shown,)) if rows.folded else shown


def _table(shown: ResultTable, source: Source) -> Table:
    rows = [
        [Cell(_plain(v), float(v)) if isinstance(v, int | float) else v for v in row]
        for row in shown.rows
    ]
    return table(f"{shown.title}.", shown.columns, rows, [source])


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
