"""Pictures of an ablation: AUC against labels, and the differences with their margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.plotting import (
    Estimate,
    Line,
    forest,
    forest_height,
    legend_below,
    lines,
    panels,
    save_png,
)
from hybridq.plotting.style import QUIET, look
from hybridq.studies.ablation.grid import RAW_PIXELS
from hybridq.studies.tables import grouped
from hybridq.utils.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

PANELS = {
    "random": "frozen features of a random encoder",
    "simclr": "frozen features of SimCLR",
    "imagenet": "frozen features of ImageNet's encoder",
}
GREY = {"color": QUIET, "marker": "x", "linestyle": "--"}
"""The look of raw pixels."""


def save_ablation_figures(
    folder: Path, summary: Sequence[Row], comparisons: Sequence[Row], *, where: str, margin: float
) -> list[Path]:
    """Write `labels.png` (label efficiency) and `differences.png` (a forest plot).

    Args:
        folder: Where they go.
        summary: Rows of `summary.csv`.
        comparisons: What `verdicts` returned.
        where: What a title says of the data.
        margin: Largest difference in AUC that does not matter.

    Returns:
        The paths written.
    """
    draw = partial(draw_label_efficiency, summary=summary, where=where)
    written = [save_png(folder / "labels.png", draw)]
    if comparisons:
        draw = partial(draw_differences, comparisons=comparisons, where=where, margin=margin)
        written.append(save_png(folder / "differences.png", draw))
    return written


def draw_label_efficiency(figure: Figure, summary: Sequence[Row], where: str) -> None:
    """Draw mean AUC against the fraction of labels: a panel for each training and encoder.

    A head has one colour and one marker in all panels; networks from scratch are dashed.
    """
    rows = [row for row in summary if row["figure"] == "auc"]
    pixels = [row for row in rows if row["model"] == RAW_PIXELS]
    whole = [row for row in rows if row["training"] == "whole"]
    frozen = grouped([row for row in rows if row["training"] == "frozen"], "encoder")
    parts = {PANELS[encoder]: own for encoder, own in frozen.items()}
    parts |= {"the whole network": whole} if whole else {}
    ticks = {fraction: percent(fraction) for fraction in sorted({row["labels"] for row in rows})}
    heads = list(dict.fromkeys(row["head"] for row in rows if row["model"] != RAW_PIXELS))
    grid = panels(figure, len(parts), 5.6, 4.4, columns=2, sharey=True)
    for axes, (title, own) in zip(grid, parts.items(), strict=True):
        shown = [_curve("raw pixels", pixels, **GREY)] if pixels else []
        for (encoder, head), members in grouped(own, "encoder", "head").items():
            style = look(heads.index(head)) | {"linestyle": "--" if encoder == "scratch" else "-"}
            label = head if members[0]["training"] == "frozen" else f"{encoder}, {head}"
            shown.append(_curve(label, members, **style))
        words = {"title": title, "xlabel": "labels in use", "ylabel": "AUC"}
        lines(axes, shown, markers=True, apart=0.025, ticks=ticks, xscale="log", **words)
    legend_below(figure)
    figure.suptitle(f"AUC against labels: {where}")


def _curve(name: str, rows: Sequence[Row], **style: Any) -> Line:
    points = sorted([row[key] for key in ("labels", "mean", "low", "high")] for row in rows)
    return Line.through(name, points, **style)


def draw_differences(figure: Figure, comparisons: Sequence[Row], where: str, margin: float) -> None:
    """Draw each difference with its interval, over a band of the margin; a panel a fraction."""
    keys = ("difference", "low", "high", "verdict")
    shown = {
        fraction: [Estimate(f"{it['a']} - {it['b']}", *(it[key] for key in keys)) for it in own]
        for fraction, own in sorted(grouped(comparisons, "labels").items())
    }
    heights = [forest_height(rows) for rows in shown.values()]
    figure.set_size_inches(6, sum(heights) + 0.6)
    grid = figure.subplots(len(shown), 1, squeeze=False, sharex=True, height_ratios=heights)
    ends = [abs(item[end]) for item in comparisons for end in ("low", "high")]
    reach = min(1.0, 1.05 * max(margin, *ends))
    for axes, (fraction, rows) in zip(grid.flat, shown.items(), strict=True):
        forest(axes, rows, margin=margin, xlim=(-reach, reach))
        axes.set_title(f"{percent(fraction)} of the labels", loc="left")
    grid.flat[-1].set_xlabel(f"difference in AUC (grey: within the margin of {margin:g})")
    figure.suptitle(f"Differences with 95% intervals: {where}")
