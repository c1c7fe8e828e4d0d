"""The tables of figures, and what evaluations say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.reports.ablation.measures import (
    FIGURES,
    KINDS,
    evaluated,
    figures_of,
    recorded,
    shown_figures,
)
from hybridq.reports.page.elements import Cell, Fold, Part, Section, Table, Text
from hybridq.reports.sources.naming import baseline_name
from hybridq.reports.sources.predictions import Arm, Facet
from hybridq.reports.sources.sources import Source
from hybridq.utils.text import counted, percent

HEADLINE = ("auc", "balanced_accuracy", "sensitivity", "specificity", "calibration_error")


def results(
    facets: Sequence[Facet], studies: Sequence[Table], names: Mapping[Source, str]
) -> Section:
    """The figures of every arm, with intervals, the baselines beside them.

    Args:
        facets: evaluations.
        studies: the tables of studies, which come first.
        names: of the models.
    """
    parts: list[Part] = list(studies)
    if facets:
        parts += [_headline(facets), Fold("Every evaluation by itself", (_each(facets, names),))]
    return Section(
        "results",
        "Results",
        tuple(parts),
        "`hybridq study ablation`, or `hybridq evaluate RUN` of a fine-tuned run",
    )


def sentences(facets: Sequence[Facet]) -> list[Text]:
    """What the evaluations say, in words: one sentence for each facet."""
    found = []
    for facet in facets:
        told = []
        for arm in facet.arms:
            figure = evaluated(facet, arm, "auc")
            if figure is not None:
                many = len(arm.seeds)
                name = arm.name if many == 1 else f"{arm.name}, mean of {many} seeds"
                told.append(f"{name}: AUC {figure.text}{_operating(facet, arm)}")
        told += [
            f"{baseline_name(name)}: AUC {recorded(entry['figures']['auc']).text}"
            for name, entry in _baselines(facet).items()
            if name != "majority"
        ]
        text = f"On {counted(len(facet.ids), 'image')}. {'; '.join(told)}."
        found.append(Text(text, facet.title))
    return found


def _operating(facet: Facet, arm: Arm) -> str:
    """Sensitivity and specificity in words, where there is a positive class."""
    found = [evaluated(facet, arm, name) for name in ("sensitivity", "specificity")]
    told = [
        f"{name} {figure.value:.2f}"
        for name, figure in zip(("sensitivity", "specificity"), found, strict=True)
        if figure is not None
    ]
    return f" ({', '.join(told)})" if told else ""


def _baselines(facet: Facet) -> dict[str, Any]:
    """The baselines of the first evaluation that has some."""
    owner = _baseline_owner(facet)
    found: dict[str, Any] = {} if owner is None else owner.result["baselines"]
    return found


def _baseline_owner(facet: Facet) -> Source | None:
    every = (source for arm in facet.arms for source in arm.sources)
    return next((source for source in every if source.result["baselines"]), None)


def _headline(facets: Sequence[Facet]) -> Table:
    rows, sources = [], []
    shown = shown_figures(HEADLINE, [facet.arms[0].sources[0] for facet in facets])
    for facet in facets:
        for arm in facet.arms:
            rows.append(_arm_row(facet, arm, shown))
            sources.append(arm.sources)
        owner = _baseline_owner(facet)
        if owner is not None:
            for name, entry in owner.result["baselines"].items():
                cells = [_recorded_cell(entry["figures"], figure) for figure in shown]
                rows.append(_row(facet, baseline_name(name), cells, 1))
                sources.append((owner,))
    return Table(
        f"Means over the training seeds. {KINDS}",
        ("model", *(FIGURES[name] for name in shown), "labels", "seeds"),
        tuple(rows),
        tuple(sources),
    )


def _arm_row(facet: Facet, arm: Arm, shown: Sequence[str]) -> tuple[Cell, ...]:
    found = [evaluated(facet, arm, name) for name in shown]
    cells = [Cell("none") if figure is None else figure.cell for figure in found]
    return _row(facet, arm.name, cells, len(arm.seeds))


def _row(facet: Facet, name: str, cells: Sequence[Cell], seeds: int) -> tuple[Cell, ...]:
    where = f"{facet.data}, {facet.split}, {facet.where}"
    share = Cell(percent(facet.fraction), facet.fraction)
    return (Cell(name, None, where), *cells, share, Cell(str(seeds), seeds))


def _recorded_cell(figures: Mapping[str, Any], name: str) -> Cell:
    return recorded(figures[name]).cell if name in figures else Cell("none")


def _each(facets: Sequence[Facet], names: Mapping[Source, str]) -> Table:
    members = [source for facet in facets for arm in facet.arms for source in arm.sources]
    shown = shown_figures(tuple(FIGURES), members)
    rows = tuple(
        (
            Cell(source.name),
            *(_recorded_cell(figures_of(source), name) for name in shown),
            Cell(names[source]),
            Cell(percent(source.result["labels"]), source.result["labels"]),
            Cell(str(source.result["train_seed"]), source.result["train_seed"]),
            Cell(source.result["backend"]["name"]),
        )
        for source in members
    )
    return Table(
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
        tuple((source,) for source in members),
    )
