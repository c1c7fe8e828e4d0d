"""Lines with their intervals, and curves of a decision: ROC, net benefit, calibration."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.plotting.style import INK, QUIET, look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A named line of points, all `(points,)`.

    Attributes:
        name: Its name in the legend.
        x: Where its points are.
        y: Their heights; the line is broken where one is NaN.
        low: Lower ends of the intervals, if there are any; NaN where there is none.
        high: Upper ends.
        faint: Lines that it is the mean of, as x and y.
        style: matplotlib's words for what shall not follow from its place among the lines.
    """

    name: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    faint: Sequence[tuple[Floats, Floats]] = ()
    style: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def through(cls, name: str, points: Sequence[Sequence[float]], **style: Any) -> Line:
        """Make a line through points of `(x, y, low, high)`."""
        x, y, low, high = np.reshape(np.array(points, np.float64), (-1, 4)).T
        return cls(name, x, y, low, high, style=style)


def lines(
    axes: Axes,
    shown: Sequence[Line],
    *,
    markers: bool = False,
    apart: float = 0,
    ticks: Mapping[float, str] | None = None,
    **settings: Any,
) -> None:
    """Draw lines in the colours of their places.

    Args:
        axes: Where.
        shown: The lines.
        markers: Whether points have markers, and intervals are error bars. Else lines differ in
            their dashes too, and intervals are bands.
        apart: What neighbours are moved apart by, so that they do not hide each other; on a
            logarithmic axis a share of x.
        ticks: Names of places on the x axis, which then has no other ticks.
        settings: What `Axes.set` takes.
    """
    axes.set(**settings)
    for k, line in enumerate(shown):
        step = k - (len(shown) - 1) / 2
        x = line.x * (1 + apart) ** step if axes.get_xscale() == "log" else line.x + apart * step
        dull = {"linestyle": "-"} if markers else {"marker": ""}
        style = look(k) | dull | dict(line.style)
        for faint in line.faint:
            axes.plot(*faint, color=style["color"], alpha=0.3, linewidth=0.9)
        if line.low is None or line.high is None or not markers:
            axes.plot(x, line.y, label=line.name, **style)
        if line.low is not None and line.high is not None:
            if markers:
                ends = np.nan_to_num(np.array([line.y - line.low, line.high - line.y])).clip(0)
                axes.errorbar(x, line.y, ends, label=line.name, elinewidth=1, **style)
            else:
                band(axes, x, line.low, line.high, color=style["color"])
    if ticks is not None:
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.minorticks_off()


def band(axes: Axes, x: Floats, low: Floats, high: Floats, **style: Any) -> None:
    """Fill the room between two lines; one point gets a broad bar."""
    style = {"alpha": 0.14, "linewidth": 0} | style
    if len(x) == 1:
        axes.vlines(x, low, high, **style | {"linewidth": 12})
    else:
        axes.fill_between(x, low, high, **style)


def reference(axes: Axes, height: float, **style: Any) -> None:
    """Draw a thin line across the axes that others are read against."""
    thin: dict[str, Any] = {"color": QUIET, "linestyle": ":", "linewidth": 1.2, "zorder": 1}
    axes.axhline(height, **thin | style)


def _shares(axes: Axes, shown: Sequence[Line], *, xlabel: str, ylabel: str) -> None:
    lines(axes, shown, xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))


def roc(axes: Axes, shown: Sequence[Line]) -> None:
    """Draw ROC curves, and the diagonal of chance."""
    _shares(axes, shown, xlabel="1 - specificity", ylabel="sensitivity")
    axes.axline((0, 0), slope=1, color=QUIET, linestyle=":", linewidth=1.2)


def precision_recall(axes: Axes, shown: Sequence[Line], prevalence: float | None) -> None:
    """Draw precision-recall curves, and the prevalence as the line of chance."""
    _shares(axes, shown, xlabel="recall (sensitivity)", ylabel="precision")
    if prevalence is not None:
        reference(axes, prevalence)


def net_benefit(axes: Axes, shown: Sequence[Line], treat_all: Floats, prevalence: float) -> None:
    """Draw decision curves between treating all, given at the same thresholds, and nobody."""
    lines(axes, shown, xlabel="threshold probability", ylabel="net benefit", xlim=(0, 1))
    axes.set_ylim(-0.25 * prevalence, 1.12 * prevalence)
    x = shown[0].x
    axes.plot(x, treat_all, color=QUIET, linewidth=1.2)
    reference(axes, 0, color=INK, linestyle="-")
    inside = int(np.argmax(treat_all < 0.4 * prevalence))
    near: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9}
    axes.annotate("treat all", (x[inside], treat_all[inside]), xytext=(-5, -4), ha="right", **near)
    axes.annotate("treat none", (0, 0), xytext=(4, -11), **near)


def reliability(
    figure: Figure, shown: Sequence[Line], images: Sequence[Floats], *, bins: int, **words: str
) -> None:
    """Draw observed against predicted shares, and below how many images they are of.

    Args:
        figure: Empty.
        shown: Mean prediction and observed share of each bin with images.
        images: Numbers of images in these bins, for each line.
        bins: Number of bins of equal width from 0 to 1.
        words: `xlabel` and `ylabel` if it is not a probability of a class.
    """
    from matplotlib.ticker import MaxNLocator

    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    ylabel = words.get("ylabel", "observed share")
    lines(axes, shown, markers=True, ylabel=ylabel, xlim=(0, 1), ylim=(-0.02, 1.03))
    axes.axline((0, 0), slope=1, color=QUIET, linestyle=":", linewidth=1.2)
    width = 0.8 / bins / len(shown)
    for k, (line, number) in enumerate(zip(shown, images, strict=True)):
        centres = (np.floor(line.x * bins).clip(0, bins - 1) + 0.5) / bins
        shift = (k - (len(shown) - 1) / 2) * width
        counts.bar(centres + shift, number, width, color=look(k)["color"])
    counts.set(xlabel=words.get("xlabel", "predicted probability"), ylabel="images")
    counts.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))


def legend_below(figure: Figure) -> None:
    """Draw one legend of all panels under them, where it hides no line."""
    handles: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    room = int(figure.get_figwidth() * 11)  # characters, about
    if handles:
        columns = max(1, room // (max(map(len, handles)) + 8))
        names = [textwrap.fill(label, room) for label in handles]
        figure.legend(list(handles.values()), names, loc="outside lower left", ncols=columns)


def panels(
    figure: Figure, count: int, width: float, height: float, *, columns: int = 3, sharey: bool
) -> list[Axes]:
    """Return so many axes in rows of at most `columns`, each of that size in inches."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure.set_size_inches(max(width * columns, 6), height * rows + 1)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    for axes in grid.flat[count:]:
        axes.remove()
    return list(grid.flat[:count])
