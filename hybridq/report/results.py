"""What comes first: the verdicts in words, and the table of figures they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hybridq.evaluation.tables import interval
from hybridq.report.arms import Arm, Facet, encoder_name, percent
from hybridq.report.section import Cell, Fold, Part, Section, Table, Text
from hybridq.report.sources import Source
from hybridq.studies.summary import SeedInterval, seed_interval

FIGURES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "macro_f1": "macro F1",
    "calibration_error": "calibration error",
}
HEADLINE = ("auc", "balanced_accuracy", "sensitivity", "specificity", "calibration_error")


def results(facets: Sequence[Facet], studies: Sequence[Table]) -> Section:
    """The figures of every arm, with intervals, the baselines beside them.

    Args:
        facets: evaluations.
        studies: the tables of studies, which come first.
    """
    parts: list[Part] = list(studies)
    if facets:
        parts += [_headline(facets), Fold("Every evaluation by itself", (_each(facets),))]
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
            (source, *_) = arm.sources
            if len(arm.sources) == 1:
                figure = source.result["model"]["figures"]["auc"]
                told.append(f"{arm.name}: AUC {interval(figure)}")
            else:
                told.append(
                    f"{arm.name}: mean AUC {seeds_text(mean_over_seeds(arm.sources, 'auc'))}"
                )
        baselines = [
            f"{name.replace('_', ' ')}: AUC {interval(entry['figures']['auc'])}"
            for name, entry in _baselines(facet).items()
            if name != "majority"
        ]
        images = len(facet.ids)
        text = "; ".join([*told, *baselines])
        found.append(Text(f"On {images} images. {text}.", facet.title))
    return found


def _baselines(facet: Facet) -> dict[str, Any]:
    """The baselines of the first evaluation that has some."""
    for arm in facet.arms:
        for source in arm.sources:
            if source.result["baselines"]:
                found: dict[str, Any] = source.result["baselines"]
                return found
    return {}


def _headline(facets: Sequence[Facet]) -> Table:
    rows, sources = [], []
    shown = [n for n in HEADLINE if any(n in _figures(f.arms[0].sources[0]) for f in facets)]
    for facet in facets:
        for arm in facet.arms:
            rows.append(_arm_row(facet, arm, shown))
            sources.append(arm.sources)
        owner = next((s for arm in facet.arms for s in arm.sources if s.result["baselines"]), None)
        if owner is not None:
            for name, entry in owner.result["baselines"].items():
                cells = [value_cell(entry["figures"].get(figure)) for figure in shown]
                title = Cell(f"{name.replace('_', ' ')} (baseline)", None, _under(facet))
                rows.append((title, *cells, Cell("images"), *_where(facet)))
                sources.append((owner,))
    return Table(
        "Figures with 95% intervals. Over images: a stratified bootstrap of the test images, one "
        "training. Over seeds: the mean of several trainings, Student's t, cut off at 0 and 1.",
        ("model", *(FIGURES[name] for name in shown), "interval over", "data", "labels", "backend"),
        tuple(rows),
        tuple(sources),
    )


def _arm_row(facet: Facet, arm: Arm, shown: Sequence[str]) -> tuple[Cell, ...]:
    if len(arm.sources) == 1:
        figures = _figures(arm.sources[0])
        cells = [value_cell(figures.get(name)) for name in shown]
        over = "images"
    else:
        cells = [
            seeds_cell(mean_over_seeds(arm.sources, name))
            if name in _figures(arm.sources[0])
            else Cell("none")
            for name in shown
        ]
        over = f"{len(arm.sources)} seeds"
    return (Cell(arm.name, None, _under(facet)), *cells, Cell(over), *_where(facet))


def _under(facet: Facet) -> str:
    return f"{percent(facet.fraction)} of the labels, {facet.title.rpartition(', ')[2]}"


def _where(facet: Facet) -> list[Cell]:
    data, _, rest = facet.title.partition(",")
    backend = rest.rpartition(",")[2].strip()
    return [Cell(data), Cell(percent(facet.fraction), facet.fraction), Cell(backend)]


def _each(facets: Sequence[Facet]) -> Table:
    members = [(arm, source) for facet in facets for arm in facet.arms for source in arm.sources]
    names = [name for name in FIGURES if any(name in _figures(source) for _, source in members)]
    rows = tuple(
        (
            Cell(source.name),
            *(value_cell(_figures(source).get(name)) for name in names),
            Cell(encoder_name(source.result["encoder_weights"])),
            Cell(source.result["head"]),
            Cell(percent(source.result["labels"]), source.result["labels"]),
            Cell(str(source.result["train_seed"]), source.result["train_seed"]),
            Cell(source.result["backend"]["name"]),
        )
        for _, source in members
    )
    return Table(
        "Each evaluation with 95% intervals over its images.",
        (
            "evaluation",
            *(FIGURES[name] for name in names),
            "encoder",
            "head",
            "labels",
            "seed",
            "backend",
        ),
        rows,
        tuple((source,) for _, source in members),
    )


def _figures(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = source.result["model"]["figures"]
    return found


def mean_over_seeds(sources: Iterable[Source], name: str) -> SeedInterval:
    """The mean of a figure of evaluations over their seeds; its interval ends at 0 and 1."""
    rows = [
        {"seed": source.result["train_seed"], name: _number(_figures(source)[name]["value"])}
        for source in sources
    ]
    found = seed_interval(rows, name)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def value_cell(figure: dict[str, float | None] | None) -> Cell:
    """A value with its interval as a cell that sorts by the value."""
    if figure is None:
        return Cell("none")
    value, _, ends = interval(figure).partition(" ")
    return Cell(value, figure["value"], ends)


def seeds_cell(found: SeedInterval) -> Cell:
    """A mean over seeds with its interval as a cell that sorts by the mean."""
    if not found.seeds:
        return Cell("undefined")
    value, _, ends = seeds_text(found).partition(" ")
    return Cell(value, found.mean, ends)


def seeds_text(found: SeedInterval) -> str:
    """A mean over seeds with its interval, as `0.912 [0.871, 0.950]`."""
    if not found.seeds:
        return "undefined"
    ends = f" [{found.low:.3f}, {found.high:.3f}]" if found.seeds > 1 else ""
    return f"{found.mean:.3f}{ends}"
