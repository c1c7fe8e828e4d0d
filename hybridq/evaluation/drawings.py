"""Drawings of findings: forest plots and curves, on a page and in files alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.plotting import Estimate as Row
from hybridq.plotting import Line, forest, forest_height, legend_below, lines, panels
from hybridq.records.findings import Curves, Forest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def common_axis(shown: Sequence[Forest]) -> tuple[float, float]:
    """Ends of an axis that has room for all rows and margins of forest plots."""
    values = [number for one in shown for row in one.rows for number in row.numbers]
    values += [end for one in shown if one.margin for end in (-one.margin, one.margin)]
    known = [value for value in values if np.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.04 * (high - low or 1)
    return low - room, high + room


def height_of(shown: Forest) -> float:
    """Inches that a forest plot needs."""
    return forest_height(_rows(shown))


def draw_forests(
    figure: Figure,
    shown: Sequence[Forest],
    xlim: tuple[float, float] | None = None,
    title: str = "",
) -> None:
    """Draw forest plots below each other over one axis, and set the figure's height.

    Args:
        figure: Empty.
        shown: What is drawn.
        xlim: Ends of the axis, if it is also that of others.
        title: The title of the whole figure, if it has one.
    """
    if title:
        figure.suptitle(title)
    heights = [height_of(one) for one in shown]
    several, ends = len(shown) > 1, xlim or common_axis(shown)
    figure.set_size_inches(figure.get_figwidth(), sum(heights) + 0.3 * several + 0.3 * bool(title))
    grid = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
    for axes, one in zip(grid.flat, shown, strict=True):
        forest(axes, _rows(one), xlabel=one.xlabel, margin=one.margin, xlim=ends)
        if several:
            axes.set_title(one.title, loc="left")


def draw_curves(figure: Figure, shown: Sequence[Curves], title: str = "") -> None:
    """Draw curves with their intervals, a panel each where there are several.

    Each panel has its own legend, since the colours are those of the places in it.

    Args:
        figure: Empty.
        shown: What is drawn.
        title: The title of the whole figure, if it has one.
    """
    if title:
        figure.suptitle(title)
    if len(shown) == 1:
        _draw(figure.subplots(), shown[0])
        legend_below(figure)
        return
    grid = panels(figure, len(shown), 5.6, 5.0, columns=2, sharey=True)
    for axes, one in zip(grid, shown, strict=True):
        _draw(axes, one)
        axes.set_title(one.title)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.14), ncols=2)


def _rows(shown: Forest) -> list[Row]:
    return [Row(row.label, *row.numbers, row.verdict) for row in shown.rows]


def _draw(axes: Axes, shown: Curves) -> None:
    drawn = [
        Line.through(
            curve.name, [(x, *y.numbers) for x, y in zip(curve.x, curve.points, strict=True)]
        )
        for curve in shown.curves
    ]
    words: dict[str, Any] = {"xlabel": shown.xlabel, "ylabel": shown.ylabel, "apart": 0.03}
    if shown.is_logarithmic:
        places = sorted({x for curve in shown.curves for x in curve.x})
        ticks = {place: f"{place:.4g}{shown.unit}" for place in places}
        words |= {"apart": 0.04, "xscale": "log", "ticks": ticks}
    lines(axes, drawn, markers=True, **words)
    if shown.is_from_zero:
        axes.set_ylim(bottom=0)
