"""Pictures of an ablation: AUC against labels, and the differences with their margin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.studies.ablation.grid import RAW_PIXELS
from hybridq.studies.plots.lines import COLOURS, GREY, MARKERS
from hybridq.studies.plots.parts import save_picture
from hybridq.utils.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

VERDICT_COLOURS = {
    "better": "#009E73",
    "worse": "#D55E00",
    "equivalent": "#0072B2",
    "undecided": GREY,
}
VERDICT_MARKERS = {"better": ">", "worse": "<", "equivalent": "s", "undecided": "o"}


PANELS = {
    "random": "frozen features of a random encoder",
    "simclr": "frozen features of SimCLR",
    "imagenet": "frozen features of ImageNet's encoder",
}


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
    written = []

    def save(name: str, draw: Callable[..., None], *what: Any) -> None:
        written.append(save_picture(folder / name, draw, *what))

    save("labels.png", draw_label_efficiency, summary, where)
    if comparisons:
        save("differences.png", draw_differences, comparisons, where, margin)
    return written


def draw_label_efficiency(figure: Figure, summary: Sequence[Row], where: str) -> None:
    """Draw mean AUC against the fraction of labels: a panel for each training and encoder.

    A head has one colour and one marker in all panels; networks from scratch are dashed.
    """
    rows = [row for row in summary if row["figure"] == "auc"]
    pixels = [row for row in rows if row["model"] == RAW_PIXELS]
    panels: dict[str, list[Row]] = {}
    for row in rows:
        if row["training"] == "frozen":
            panels.setdefault(PANELS[row["encoder"]], []).append(row)
        elif row["training"] == "whole":
            panels.setdefault("the whole network", []).append(row)
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    figure.set_size_inches(5.6 * columns, 4.9 * lines + 0.6)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    fractions = sorted({row["labels"] for row in rows})
    heads = list(dict.fromkeys(row["head"] for row in rows if row["model"] != RAW_PIXELS))
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, (title, shown) in zip(grid.flat, panels.items(), strict=False):
        names = list(dict.fromkeys((row["encoder"], row["head"]) for row in shown))
        _curve(axes, pixels, "raw pixels", GREY, "x", 1.025 ** (-len(names) / 2), dashed=True)
        for index, (encoder, head) in enumerate(names):
            own = [row for row in shown if (row["encoder"], row["head"]) == (encoder, head)]
            label = head if own[0]["training"] == "frozen" else f"{encoder}, {head}"
            number = heads.index(head)
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            apart = 1.025 ** (index + 1 - len(names) / 2)
            dashed = encoder == "scratch" or number >= len(COLOURS)
            _curve(axes, own, label, colour, marker, apart, dashed=dashed)
        axes.set_title(title, fontsize=10)
        axes.set_xscale("log")
        axes.set_xticks(fractions, [percent(fraction) for fraction in fractions])
        axes.minorticks_off()
        axes.set_xlabel("labels in use")
        axes.set_ylabel("AUC")
        axes.grid(alpha=0.25)
        axes.legend(
            fontsize=8, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12)
        )
    figure.suptitle(f"AUC against labels: {where}", fontsize=12)


def _curve(
    axes: Axes,
    rows: Sequence[Row],
    label: str,
    colour: str,
    marker: str,
    apart: float,
    *,
    dashed: bool,
) -> None:
    """Means with their intervals; `apart` moves them so that arms do not cover each other."""
    rows = sorted(rows, key=lambda row: row["labels"])
    if not rows:
        return
    x = [apart * row["labels"] for row in rows]
    mean, low, high = ([row[name] for row in rows] for name in ("mean", "low", "high"))
    bars = np.nan_to_num([np.subtract(mean, low), np.subtract(high, mean)])
    axes.errorbar(
        x,
        mean,
        bars,
        color=colour,
        marker=marker,
        markersize=5,
        linewidth=1.5,
        linestyle="none" if len(x) == 1 else "--" if dashed else "-",
        elinewidth=0.7,
        capsize=2,
        label=label,
    )


def draw_differences(figure: Figure, comparisons: Sequence[Row], where: str, margin: float) -> None:
    """Draw each difference with its interval, over a band of the margin; a panel a fraction."""
    fractions = sorted({item["labels"] for item in comparisons})
    counts = [sum(item["labels"] == fraction for item in comparisons) for fraction in fractions]
    figure.set_size_inches(9, 0.3 * sum(counts) + 0.9 * len(fractions) + 1)
    grid = figure.subplots(
        len(fractions), 1, squeeze=False, sharex=True, height_ratios=[n + 1.5 for n in counts]
    )
    for axes, fraction in zip(grid.flat, fractions, strict=True):
        shown = [item for item in comparisons if item["labels"] == fraction]
        axes.axvspan(-margin, margin, color=GREY, alpha=0.15, linewidth=0)
        axes.axvline(0, color=GREY, linewidth=1)
        for row, item in enumerate(shown):
            colour = VERDICT_COLOURS[item["verdict"]]
            axes.hlines(row, item["low"], item["high"], color=colour, linewidth=2)
            axes.plot(item["difference"], row, VERDICT_MARKERS[item["verdict"]], color=colour)
            axes.annotate(
                item["verdict"],
                (1.01, row),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                color=colour,
            )
        names = [f"{item['a']} - {item['b']}" for item in shown]
        axes.set_yticks(range(len(shown)), names, fontsize=8)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_title(f"{percent(fraction)} of the labels", fontsize=10, loc="left")
        axes.grid(axis="x", alpha=0.25)
    ends = [abs(item[end]) for item in comparisons for end in ("low", "high")]
    reach = min(1.0, 1.05 * max(margin, *ends))
    grid.flat[-1].set_xlim(-reach, reach)
    grid.flat[-1].set_xlabel(f"difference in AUC (grey: within the margin of {margin:g})")
    figure.suptitle(f"Differences with 95% intervals: {where}", fontsize=12)
