"""The tables of figures of evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridq.evaluation.baselines import NAMES
from hybridq.evaluation.summaries import FIGURES, figures_of
from hybridq.reports.page.elements import Cell, Fold, Part, Section, Table
from hybridq.reports.page.parts import Value, table
from hybridq.reports.sources.measures import KINDS, baselines_of, evaluated, shown_figures
from hybridq.reports.sources.predictions import Facet
from hybridq.reports.sources.sources import Source
from hybridq.utils.text import percent

HEADLINE = ("auc", "balanced_accuracy", "sensitivity", "specificity", "calibration_error")


def results(facets: Sequence[Facet], names: Mapping[Source, str]) -> Section:
    """The figures of every arm, with intervals, the baselines beside them.

    Args:
        facets: evaluations.
        names: of the models.
    """
    parts: list[Part] = []
    if facets:
        parts = [_headline(facets), Fold("Every evaluation by itself", (_each(facets, names),))]
    return Section("results", "Results", tuple(parts), "`hybridq evaluate RUN` of a fine-tuned run")


def _headline(facets: Sequence[Facet]) -> Table:
    rows: list[list[Value]] = []
    sources: list[tuple[Source, ...]] = []
    shown = shown_figures(HEADLINE, [facet.arms[0].sources[0] for facet in facets])
    for facet in facets:
        where = f"{facet.data}, {facet.split}, {facet.where}"
        share = Cell(percent(facet.fraction), facet.fraction)
        for arm in facet.arms:
            found = [evaluated(facet, arm, name) for name in shown]
            rows.append([Cell(arm.name, None, where), *found, share, len(arm.seeds)])
            sources.append(arm.sources)
        owner, beside = baselines_of(facet) or (None, {})
        for name, entry in beside.items():
            figures = figures_of(entry)
            called = f"{NAMES.get(name, name.replace('_', ' '))} (baseline)"
            rows.append([Cell(called, None, where), *map(figures.get, shown), share, 1])
            sources.append((owner,) if owner else ())
    columns = ("model", *(FIGURES[name] for name in shown), "labels", "seeds")
    return table(f"Means over the training seeds. {KINDS}", columns, rows, sources)


def _each(facets: Sequence[Facet], names: Mapping[Source, str]) -> Table:
    members = [source for facet in facets for arm in facet.arms for source in arm.sources]
    shown = shown_figures(tuple(FIGURES), members)
    rows = [
        [
            source.name,
            *map(figures_of(source.result["model"]).get, shown),
            names[source],
            Cell(percent(source.result["labels"]), source.result["labels"]),
            source.result["train_seed"],
            source.result["backend"]["name"],
        ]
        for source in members
    ]
    return table(
        "Each evaluation with 95% intervals of a stratified bootstrap over its images.",
        (
            "evaluation",
            *(FIGURES[name] for name in shown),
            "model",
            "labels",
            "training seed",
            "backend",
        ),
        rows,
        [(source,) for source in members],
    )
