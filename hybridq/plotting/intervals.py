"""Forest plots: estimates with their intervals, one below the other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.plotting.style import INK, PAPER, QUIET, SERIES, VERDICTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOM = 50
"""Characters of a label in one line."""
GAP = 1.0
"""Lines between two labels."""


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
) -> None:
    """Draw estimates with their intervals, the first row at the top, each under its label.

    Args:
        axes: Empty, of a figure of `forest_height` inches.
        rows: What is drawn.
        xlabel: What the estimates are.
        margin: If the rows are differences, the largest one that does not matter: a line is drawn
            at 0, and a band of the margin to either side.
        xlim: Ends of the axis.
    """
    if margin is not None:
        axes.axvspan(-margin, margin, color=QUIET, alpha=0.15, linewidth=0)
        axes.axvline(0, color=INK, linewidth=1)
    y = 0.0
    words: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "bottom", "fontsize": 9}
    words["bbox"] = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    for row in rows:
        label = textwrap.wrap(row.label, ROOM) or [""]
        y += len(label) + GAP
        colour, marker = VERDICTS[row.verdict] if row.verdict else (SERIES[0], "o")
        bars = np.nan_to_num([[row.value - row.low], [row.high - row.value]]).clip(0)
        style: dict[str, Any] = {"fmt": marker, "color": colour, "label": row.label}
        axes.errorbar(row.value, y, xerr=bars, markersize=6, **style)
        axes.annotate("\n".join(label), (0, y - 0.4), **words)
        axes.annotate(row.verdict or "", (1, y - 0.4), ha="right", **words)
    axes.set(xlabel=xlabel, ylim=(y + GAP, 0), xlim=xlim)
    axes.yaxis.set_visible(False)
    axes.spines.left.set_visible(False)


def forest_height(rows: Sequence[Estimate]) -> float:
    """Return the inches that a forest plot of these rows needs."""
    lines = sum(max(1, len(textwrap.wrap(row.label, ROOM))) + GAP for row in rows)
    return 0.65 + 0.18 * (lines + GAP)
