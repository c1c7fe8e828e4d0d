"""Every comparison of an ablation: drawn, in a table and in words, and every model's figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridq.plotting import Estimate, forest, inline_svg
from hybridq.reports.ablation.files import Ablation, Row, measure
from hybridq.reports.ablation.measures import FIGURES, number
from hybridq.reports.ablation.verdicts import (
    compared_fractions,
    ends,
    family_words,
    pair,
    question,
    topics,
)
from hybridq.reports.page.elements import Cell, Figure, Fold, Heading, Part, Section, Table, Verdict
from hybridq.reports.sources.naming import study_model_name
from hybridq.reports.sources.sources import Source
from hybridq.utils.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure


def comparisons(ablations: Sequence[Ablation]) -> Section:
    """Differences with intervals, drawn and as a table, and every model's figures."""
    parts: list[Part] = []
    for ablation in ablations:
        if len(ablations) > 1:
            parts.append(Heading(ablation.title))
        parts += [_differences(ablation, fraction) for fraction in compared_fractions(ablation)]
        parts.append(_compared_table(ablation))
        for topic, items in topics(ablation).items():
            verdicts = tuple(_verdict(ablation.source, item) for item in items)
            parts.append(Fold(f"Verdicts in words: {topic}", verdicts))
        parts.append(Fold("Every model, all figures", (_models_table(ablation),)))
    return Section(
        "comparisons", "Comparisons", tuple(parts), "`hybridq study ablation --data ...`"
    )


def _verdict(source: Source, item: Row) -> Verdict:
    words = item["words"].removeprefix(item["verdict"]).lstrip(", ")
    asked = f"{percent(item['labels'])} of the labels, {pair(item, 'against')}"
    return Verdict(f"{question(item)} {asked}: {words}.", item["verdict"], (source,))


def _differences(ablation: Ablation, fraction: float) -> Figure:
    items = [item for item in ablation.comparisons if item["labels"] == fraction]
    rows = []
    for item in items:
        value, low, high = (number(item[key]) for key in POINTS)
        rows.append(Estimate(pair(item, "less"), value, low, high, item["verdict"]))
    where = percent(fraction)
    name = f"differences-{ablation.source.key.lower()}-{fraction:g}".replace(".", "-")
    title = f"Differences in AUC, {where} of the labels"
    said = [
        f"{pair(item, 'less')}: {item['difference']:+.3f} {ends(item)}, {item['verdict']}."
        for item in items
    ]
    description = f"{title}, {ablation.title}. " + " ".join(said)
    margin = float(ablation.source.result["margin"])

    def plot(figure: MplFigure) -> None:
        xlim = _axis(ablation, margin)
        forest(figure.subplots(), rows, xlabel="difference in AUC", margin=margin, xlim=xlim)

    height = 1.1 + 0.42 * len(items)
    svg = inline_svg(name, title, description, plot, width=5.2, height=height)
    caption = (
        f"{ablation.title}. 95% intervals over training seeds and test images together, each of "
        f"its comparison alone, without Holm's correction; the band is the margin of {margin:g}. "
        "All shares of the labels have the same axis."
    )
    return Figure(name, title, description, svg, caption, (ablation.source,))


POINTS = ("difference", "low", "high")


def _axis(ablation: Ablation, margin: float) -> tuple[float, float]:
    """One axis for all shares of the labels."""
    values = [number(item[key]) for item in ablation.comparisons for key in POINTS]
    low, high = np.nanmin([*values, -margin]), np.nanmax([*values, margin])
    room = 0.04 * (high - low)
    return float(low - room), float(high + room)


def _compared_table(ablation: Ablation) -> Table:
    rows = tuple(
        (
            Cell(pair(item, "against")),
            Cell(percent(item["labels"]), item["labels"]),
            Cell(item["verdict"]),
            Cell(f"{item['difference']:+.3f}", item["difference"], ends(item)),
            _p_value(item["p_holm"]),
            _p_value(item["p_equivalence_holm"]),
            _effect(item["hedges_g"]),
            Cell(_remedy(item)),
        )
        for item in ablation.comparisons
    )
    return Table(
        f"Comparisons on {ablation.title}: the difference is the mean AUC of the first model less "
        "that of the second, with the 95% interval of that comparison alone, over seeds and test "
        "images. p values are after Holm's correction, so that verdicts hold for "
        f"{family_words(ablation.comparisons)}. Hedges' g is the difference in units of its "
        "standard deviation over the seeds. What would decide an undecided one is an estimate, "
        "with a chance of 80% if the difference seen is the true one.",
        (
            "comparison",
            "labels",
            "verdict",
            "difference",
            "p, different",
            "p, equivalent",
            "Hedges' g",
            "what would decide it",
        ),
        rows,
        ((ablation.source,),),
    )


def _p_value(value: float | None) -> Cell:
    if value is None:
        return Cell("none")
    return Cell("<0.001" if value < 0.001 else f"{value:.3f}", value)


def _effect(value: float | None) -> Cell:
    return Cell("none") if value is None else Cell(f"{value:+.2f}", value)


def _remedy(item: Row) -> str:
    """More images, more seeds, or both; the study's own words where it gives no number."""
    if item["verdict"] != "undecided":
        return "it is decided"
    if item["images_needed"] is not None:
        return f"about {item['images_needed']:,} test images"
    if item["seeds_needed"] is not None:
        return f"about {item['seeds_needed']:,} training seeds"
    words = str(item["words"]).partition(" (")[0].removeprefix("undecided").lstrip(", ")
    return words.removesuffix(" are needed").replace("training ", "").replace("test ", "")


def _models_table(ablation: Ablation) -> Table:
    names = list(dict.fromkeys(row["figure"] for row in ablation.summary))
    cells: dict[tuple[str, str], dict[str, Cell]] = defaultdict(dict)
    for row in ablation.summary:
        cells[row["model"], row["labels"]][row["figure"]] = measure(row).cell
    rows = tuple(
        (
            Cell(study_model_name(model)),
            Cell(percent(float(labels)), float(labels)),
            *(own.get(name, Cell("none")) for name in names),
        )
        for (model, labels), own in cells.items()
    )
    called = {"auc_without_duplicates": "AUC without near-duplicates"} | FIGURES
    return Table(
        f"{ablation.title}: means over the seeds; 95% intervals of an AUC are over seeds and test "
        "images, those of other figures Student's t over the seeds. Near-duplicates are test "
        "images that have one in train.",
        ("model", "labels", *(called.get(name, name.replace("_", " ")) for name in names)),
        rows,
        ((ablation.source,),),
    )
