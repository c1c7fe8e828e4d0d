"""Forest plots: estimates with their intervals, one below the other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybridq.plotting.style import INK, QUIET, SERIES, VERDICTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS = 4
"""Intervals between the ticks below, where labels and verdicts leave little room."""


@dataclass(frozen=True)
class Estimate:
    """A row of a forest plot.

    Attributes:
        label: What it is of; long ones are broken into lines.
        value: The estimate.
        low: Lower end of its interval; NaN if there is none.
        high: Upper end, likewise.
        verdict: `better`, `worse`, `equivalent` or `undecided` of a comparison, which gives the
            row its colour and marker and stands at its right; None of a plain estimate.
    """

    label: str
    value: float
    low: float
    high: float
    verdict: str | None = None


def forest(
    axes: Axes,
    rows: Sequence[Estimate],
    *,
    xlabel: str = "",
    margin: float | None = None,
    xlim: tuple[float, float] | None = None,
    room: int = 38,
) -> None:
    """Draw estimates with their intervals, the first row at the top.

    Args:
        axes: Empty. A height of `0.8 + 0.3 * len(rows)` inches leaves room for labels of one line.
        rows: What is drawn.
        xlabel: What the estimates are.
        margin: If the rows are differences, the largest one that does not matter: a line is drawn
            at 0, and a band of the margin to either side.
        xlim: Ends of the axis.
        room: Characters of a label in one line.
    """
    from matplotlib.ticker import MaxNLocator

    if margin is not None:
        axes.axvspan(-margin, margin, color=QUIET, alpha=0.15, linewidth=0)
        axes.axvline(0, color=INK, linewidth=1)
    for y, row in enumerate(rows):
        colour, marker = VERDICTS[row.verdict] if row.verdict else (SERIES[0], "o")
        bars = np.nan_to_num([[row.value - row.low], [row.high - row.value]]).clip(0)
        axes.errorbar(
            row.value, y, xerr=bars, fmt=marker, color=colour, markersize=6, label=row.label
        )
        if row.verdict:
            axes.annotate(
                row.verdict, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=9
            )
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.label, room) for row in rows])
    axes.set(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5), xlim=xlim)
    axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=[1, 2, 2.5, 5, 10]))
    axes.spines.left.set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
