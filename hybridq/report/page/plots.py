"""The drawings of a report, each on an empty matplotlib figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.curves import Band, Reliability
from hybridq.report.page.svg import INK, LINES, MARKERS, QUIET, SERIES, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MplFigure

Floats = NDArray[np.float64]

MANY_POINTS = 1500
"""From here on a cloud of points is drawn as pixels inside the SVG."""


@dataclass(frozen=True)
class Line:
    """A named line; `low` and `high` are its band, `faint` the lines it is the mean of."""

    name: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    faint: tuple[tuple[Floats, Floats], ...] = ()


def plot_lines(
    figure: MplFigure,
    lines: Sequence[Line],
    *,
    xlabel: str,
    ylabel: str,
    markers: bool = False,
    **settings: Any,
) -> Axes:
    """Lines with bands and a legend below; `settings` are those of `Axes.set`."""
    axes = figure.subplots()
    for k, line in enumerate(lines):
        colour = SERIES[k % len(SERIES)]
        style: dict[str, Any] = {"color": colour, "linestyle": LINES[k % len(LINES)]}
        for x, y in line.faint:
            axes.plot(x, y, color=colour, alpha=0.3, linewidth=0.9)
        if line.low is not None and line.high is not None and markers:
            bars = np.nan_to_num(np.array([line.y - line.low, line.high - line.y])).clip(0)
            axes.errorbar(line.x, line.y, bars, fmt="none", ecolor=colour, capsize=3, linewidth=1)
        elif line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.14, linewidth=0)
        if markers:
            style["marker"] = MARKERS[k % len(MARKERS)]
        axes.plot(line.x, line.y, label=line.name, **style)
    axes.set(xlabel=xlabel, ylabel=ylabel, **settings)
    legend_below(figure, axes)
    return axes


def _plot_bands(figure: MplFigure, bands: Mapping[str, Band], *, xlabel: str, ylabel: str) -> Axes:
    """Curves of two shares, with bands."""
    lines = [Line(name, b.x, b.value, b.low, b.high) for name, b in bands.items()]
    return plot_lines(
        figure, lines, xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02)
    )


def plot_roc(figure: MplFigure, bands: Mapping[str, Band]) -> None:
    """ROC curves with bands, and the diagonal of chance."""
    axes = _plot_bands(figure, bands, xlabel="1 - specificity", ylabel="sensitivity")
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1)


def plot_precision_recall(
    figure: MplFigure, bands: Mapping[str, Band], prevalence: float | None
) -> None:
    """Precision-recall curves with bands, and the prevalence as the line of chance."""
    axes = _plot_bands(figure, bands, xlabel="recall (sensitivity)", ylabel="precision")
    if prevalence is not None:
        axes.axhline(prevalence, color=QUIET, linestyle=":", linewidth=1)


def plot_net_benefit(
    figure: MplFigure, bands: Mapping[str, Band], treat_all: Floats, prevalence: float
) -> None:
    """Decision curves between treating all and treating nobody."""
    lines = [Line(name, b.x, b.value, b.low, b.high) for name, b in bands.items()]
    axes = plot_lines(
        figure,
        lines,
        xlabel="threshold probability",
        ylabel="net benefit",
        xlim=(0, 1),
        ylim=(-0.25 * prevalence, 1.12 * prevalence),
    )
    x = next(iter(bands.values())).x
    axes.plot(x, treat_all, color=QUIET, linewidth=1.2)
    axes.axhline(0, color=INK, linewidth=1)
    inside = int(np.argmax(treat_all < 0.4 * prevalence))
    axes.annotate(
        "treat all",
        (x[inside], treat_all[inside]),
        xytext=(-5, -4),
        textcoords="offset points",
        ha="right",
        fontsize=9,
    )
    axes.annotate("treat none", (0, 0), xytext=(4, -11), textcoords="offset points", fontsize=9)


def plot_reliability(figure: MplFigure, bins: Mapping[str, Reliability]) -> None:
    """Observed against predicted shares with intervals, and below how many images they are of."""
    from matplotlib.ticker import MaxNLocator

    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    width = 0.08 / len(bins)
    for k, (name, found) in enumerate(bins.items()):
        colour = SERIES[k % len(SERIES)]
        bars = np.array([found.observed - found.low, found.high - found.observed]).clip(0)
        axes.errorbar(
            found.predicted,
            found.observed,
            bars,
            color=colour,
            marker=MARKERS[k % len(MARKERS)],
            linestyle=LINES[k % len(LINES)],
            linewidth=1.2,
            elinewidth=1,
            capsize=2,
            label=name,
        )
        centres = (np.floor(found.predicted * 10).clip(0, 9) + 0.5) / 10
        shift = (k - (len(bins) - 1) / 2) * width
        counts.bar(centres + shift, found.images, width, color=colour)
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1)
    axes.set(ylabel="observed share", xlim=(0, 1), ylim=(-0.02, 1.02))
    counts.set(xlabel="predicted probability", ylabel="images")
    counts.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    legend_below(figure, axes)


def plot_confusion(
    figure: MplFigure, matrix: Floats, class_names: Sequence[str], *, few: bool
) -> None:
    """A confusion matrix: shares of the actual class as tints, counts as numbers.

    Args:
        figure: empty.
        matrix: `(classes, classes)`, actual by predicted.
        class_names: names of the classes.
        few: whether there is room for shares in words and for upright names.
    """
    from matplotlib.colors import LinearSegmentedColormap

    tint = LinearSegmentedColormap.from_list("tint", ["#0a6fb100", "#0a6fb1ff"])
    axes = figure.subplots()
    ticks = range(len(class_names))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    for row in ticks:
        for column in ticks:
            share = shares[row, column]
            axes.add_patch(_square(column, row, tint(share * 0.45)))
            text = f"{matrix[row, column]:.4g}" + (f"\n{share:.0%}" if few else "")
            axes.text(column, row, text, ha="center", va="center", fontsize=11 if few else 7)
    axes.set(xlim=(-0.5, len(class_names) - 0.5), ylim=(len(class_names) - 0.5, -0.5))
    names = [textwrap.fill(label, 12) for label in class_names]
    axes.set_xticks(ticks, names, rotation=0 if few else 90)
    axes.set_yticks(ticks, names)
    axes.grid(visible=False)
    axes.set(xlabel="predicted", ylabel="actual")


def _square(column: int, row: int, colour: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor=QUIET, lw=0.5)


def plot_embedding(
    figure: MplFigure, points: Floats, labels: NDArray[np.int64], class_names: Sequence[str]
) -> None:
    """Points of two coordinates in the colours and markers of their classes, without axes."""
    axes = figure.subplots()
    for k, name in enumerate(class_names):
        chosen = points[labels == k]
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=16,
            marker=MARKERS[k % len(MARKERS)],
            color=SERIES[k % len(SERIES)],
            alpha=0.75,
            linewidths=0,
            label=name,
            rasterized=len(points) > MANY_POINTS,
        )
    axes.axis("off")
    legend_below(figure, axes, columns=1 if max(map(len, class_names)) > 18 else 2)


def plot_intervals(
    figure: MplFigure,
    names: Sequence[str],
    values: Floats,
    low: Floats,
    high: Floats,
    *,
    xlabel: str,
    margin: float | None = None,
    xlim: tuple[float, float] | None = None,
) -> None:
    """Values with intervals, one row each from the top.

    With a margin they are differences: a line at 0, and a band of the margin to either side.
    """
    axes = figure.subplots()
    y = np.arange(len(names))
    bars = np.nan_to_num(np.array([values - low, high - values])).clip(0)
    axes.errorbar(values, y, xerr=bars, fmt="o", color=SERIES[0], capsize=3, linewidth=1.4)
    axes.set_yticks(y, [textwrap.fill(name, 38) for name in names])
    axes.set(xlabel=xlabel, ylim=(len(names) - 0.5, -0.5), xlim=xlim)
    axes.grid(visible=False, axis="y")
    if margin is not None:
        axes.axvspan(-margin, margin, color=QUIET, alpha=0.15, linewidth=0)
        axes.axvline(0, color=INK, linewidth=1)
