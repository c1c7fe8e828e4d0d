"""The label-efficiency curve: AUC against the share of the training labels in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridq.plotting import Line, inline_svg, legend_below
from hybridq.plotting import lines as draw_lines
from hybridq.reports.ablation.measures import Measure, evaluated
from hybridq.reports.page.elements import Figure, Section
from hybridq.reports.sources.predictions import Facet
from hybridq.reports.sources.sources import Source
from hybridq.utils.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure

MOST_LINES = 6


@dataclass(frozen=True)
class Point:
    """The mean AUC of one kind of model at one share of the labels.

    Attributes:
        group: what is drawn together.
        arm: name of the model; points of one name differ in the share of the labels alone.
        fraction: share of the labels.
        auc: the mean over the seeds with its 95% interval.
        sources: where it comes from.
    """

    group: str
    arm: str
    fraction: float
    auc: Measure
    sources: tuple[Source, ...]


def evaluation_points(facets: Sequence[Facet]) -> list[Point]:
    """The points of evaluations, with the intervals of the table of results."""
    found = []
    for facet in facets:
        for arm in facet.arms:
            figure = evaluated(facet, arm, "auc")
            if figure is not None:
                group = f"{facet.data}, {facet.split}, {facet.where}"
                found.append(Point(group, arm.name, facet.fraction, figure, arm.sources))
    return found


def label_curve(points: Sequence[Point]) -> Section:
    """A drawing for each data set with at least two shares of the labels."""
    groups: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        groups[point.group].append(point)
    figures = []
    for k, (group, members) in enumerate(groups.items()):
        figures += _figures(f"labels-{k + 1}", group, members)
    return Section(
        "labels",
        "Label efficiency",
        tuple(figures),
        "evaluations of runs that differ in `--labels` and in nothing else but the seed, or "
        "`hybridq study ablation`",
    )


def _figures(name: str, group: str, points: Sequence[Point]) -> list[Figure]:
    arms: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        arms[point.arm].append(point)
    lines = [own for own in arms.values() if len(own) > 1]  # one share alone is no line
    return [
        _figure(f"{name}-{start + 1}", group, lines[start : start + MOST_LINES])
        for start in range(0, len(lines), MOST_LINES)
    ]


def _figure(name: str, group: str, arms: Sequence[Sequence[Point]]) -> Figure:
    lines, said = [], []
    for points in arms:
        ordered = sorted(points, key=lambda point: point.fraction)
        ends = [(100 * p.fraction, p.auc.value, p.auc.low, p.auc.high) for p in ordered]
        lines.append(Line.through(ordered[0].arm, ends))
        said.append(f"{ordered[0].arm}: {', '.join(map(_words, ordered))}.")
    title = group
    description = f"{group}: AUC against the share of the labels. " + " ".join(said)
    used = [point for points in arms for point in points]
    ticks = {share: f"{share:.4g}" for share in sorted({100 * p.fraction for p in used})}

    def plot(figure: MplFigure) -> None:
        axes = figure.subplots()
        draw_lines(axes, lines, markers=True, apart=0.04, ticks=ticks, xscale="log")
        axes.set(xlabel="labels in use (%), logarithmic", ylabel="AUC")
        legend_below(figure)

    over = sorted({point.auc.over for point in used if point.auc.over})
    caption = "A line joins models trained in the same way on another share of the labels. "
    caption += f"95% intervals over {' or '.join(over)}." if over else "There are no intervals."
    sources = tuple(dict.fromkeys(source for point in used for source in point.sources))
    svg = inline_svg(name, title, description, plot)
    return Figure(name, title, description, svg, caption, sources)


def _words(point: Point) -> str:
    return f"{point.auc.text} at {percent(point.fraction)}"
