"""The first screen: what was looked at, what was found, and a picture of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hybridq.evaluation.baselines import NAMES
from hybridq.evaluation.summaries import difference_forest, figures_of
from hybridq.records.findings import Compared, ComparedModels, Estimate, Forest, ForestRow
from hybridq.reports.page.elements import Figure, Part, Section, Text
from hybridq.reports.sections.drawings import curves, forest
from hybridq.reports.sources.measures import baselines_of, evaluated
from hybridq.reports.sources.predictions import Facet
from hybridq.reports.sources.sources import Source, Sources
from hybridq.utils.text import counted, percent

MOST_ROWS = 10
"""Rows of the picture, which has room on a screen."""
NO_VERDICT = (
    "Whether one model is better than another is not told here from single evaluations; a study "
    "compares them over seeds and images."
)


def summary(sources: Sources, facets: Sequence[Facet]) -> Section:
    """Two sentences and a picture; then two sentences on each of the other folders, and notes.

    Args:
        sources: of the report.
        facets: of evaluations.
    """
    told = [_of_source(source) for source in sources.all if source.is_laid_out]
    told += [_of_evaluations(facets)] if facets else []
    if not told:
        named = [source for source in sources.all if source.followed is None]
        told = [_of_source(source) for source in named if source.findings.sentences]
    told.sort(key=lambda one: one[0])
    parts: list[Part] = []
    for k, (_, title, sentences, picture) in enumerate(told):
        parts += [Text(" ".join(sentences), title if len(told) > 1 else "")]
        if picture is not None and k == 0:
            parts.append(picture)
    return Section("summary", "Summary", (*parts, *_notes(sources)), "evaluations, or a study")


Told = tuple[int, str, Sequence[str], Figure | None]
"""Place in the order, what it is of, sentences, and a picture."""


def _of_source(source: Source) -> Told:
    of = source.findings
    title = f"{of.title}, {of.data}" if of.data else of.title
    first = of.sentences[:2]
    if of.compared is not None:
        return 0, title, first, _differences(source, of.compared)
    if of.forests:
        return 2, title, first, forest("summary-forest", of.forests[0], [source], of.data or "")
    if of.curves:
        return 2, title, first, curves("summary-curves", of.curves[0], [source], of.data or "")
    return 3, title, first, None


def _differences(source: Source, compared: ComparedModels) -> Figure:
    """Draw the first questions of each topic and family in the last setting."""
    last = [item for item in compared.items if item.setting == compared.items[-1].setting]
    kinds: dict[tuple[str, str], list[Compared]] = {}
    for item in last:
        kinds.setdefault((item.topic, item.family), []).append(item)
    each = max(1, MOST_ROWS // len(kinds))
    chosen = [item for items in kinds.values() for item in items[:each]][:MOST_ROWS]
    shown = difference_forest(compared, chosen)
    if len(chosen) < len(compared.items):
        shown.caption += (
            f" Of {counted(len(compared.items), 'comparison')} these are the first of each topic; "
            f"the section {source.findings.title} has all."
        )
    return forest("summary-differences", shown, [source], source.findings.data or "")


def _of_evaluations(facets: Sequence[Facet]) -> Told:
    first = facets[0]
    same = all((facet.data, facet.split) == (first.data, first.split) for facet in facets)
    rows: list[ForestRow] = []
    for facet in facets:
        where = "" if len(facets) == 1 else f", {percent(facet.fraction)} of the labels"
        where += "" if same else f", {facet.data}, {facet.split}"
        found = {arm.label: evaluated(facet, arm, "auc") for arm in facet.arms}
        _, beside = baselines_of(facet) or (None, {})
        found |= {
            f"{NAMES.get(name, name)} (baseline)": figures_of(entry).get("auc")
            for name, entry in beside.items()
            if name != "majority"
        }
        rows += [_row(f"{name}{where}", one) for name, one in found.items() if one is not None]
    models = counted(sum(len(facet.arms) for facet in facets), "model")
    what = f"{counted(len(first.ids), 'image')} of {first.data}, {first.split}" if same else "data"
    own = [row for row in rows if row.label.removesuffix(" (baseline)") == row.label]
    best = [max(group, key=_order) for group in (own, [r for r in rows if r not in own]) if group]
    over = sorted({row.over for row in rows if row.over})
    shown = Forest(
        title="AUC with 95% intervals",
        xlabel="AUC",
        rows=rows,
        caption=f"Intervals over {' or '.join(over)}." if over else "There are no intervals.",
    )
    sources = [source for facet in facets for arm in facet.arms for source in arm.sources]
    told = "; of the baselines ".join(f"{one.text}, of {one.label}" for one in best)
    sentences = (
        f"{models} evaluated on {what}, the baselines beside them.",
        f"The highest AUC is {told}.",
    )
    return 1, "Evaluations", sentences, forest("summary-auc", shown, sources, first.data)


def _order(row: ForestRow) -> float:
    return -1.0 if row.value is None else row.value


def _row(label: str, found: Estimate) -> ForestRow:
    return ForestRow(label=label, **found.model_dump())


def _notes(sources: Sources) -> Iterator[Text]:
    notes = (note for one in sources.all for note in one.result.get("notes", ()))
    yield from (Text(note, "Note") for note in dict.fromkeys(notes))
    compared = any(source.findings.compared for source in sources.all)
    if sources.of("evaluate") and not compared:
        yield Text(NO_VERDICT, "Verdicts")
