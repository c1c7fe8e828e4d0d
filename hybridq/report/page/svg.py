"""Drawings by matplotlib as inline SVG that follows the page: its colours, its font, its names."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MplFigure

# Colours that matplotlib writes and the page replaces: text and lines, paper, quiet lines, series.
INK, PAPER, QUIET = "#010101", "#fefefe", "#808182"
SERIES = ("#0a6fb1", "#c8510b", "#0b8a63", "#b0558a", "#8a7200", "#5a5fc0")
"""One colour for each of at most six series; the page darkens or lightens them."""
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
"""Line styles beside the colours, so that nothing is told by colour alone."""

MOST_TICKS = 7
"""Intervals between ticks, where a drawing does not choose its own."""

VARIABLES = {
    INK: "var(--ink)",
    PAPER: "var(--paper)",
    QUIET: "var(--quiet)",
    **{colour: f"var(--c{k + 1})" for k, colour in enumerate(SERIES)},
}

NAMESPACE = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hybridq",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": QUIET,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def drawing(*, math: bool = False) -> Iterator[None]:
    """Inside, matplotlib draws in the report's style."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("Any", STYLE | {"text.parse_math": math}))
        yield


def draw(
    name: str,
    title: str,
    description: str,
    plot: Callable[[MplFigure], object],
    *,
    width: float = 4.6,
    height: float = 3.9,
    math: bool = False,
) -> Markup:
    """Draw a figure as an `<svg>` element.

    Args:
        name: unique in the page; every id inside begins with it.
        title: its accessible name.
        description: what it shows, in words.
        plot: draws on an empty matplotlib figure.
        width: in inches; text is 10 points high.
        height: in inches.
        math: whether `$` in a text begins a formula; never where names of the user's are drawn.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as MplFigure

    with drawing(math=math):
        figure = MplFigure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        plot(figure)
        _fix_ticks(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return inline(buffer.getvalue(), name, title, description)


def _fix_ticks(figure: MplFigure) -> None:
    """Ticks that do not depend on the size of their axes.

    matplotlib's own do, and the layout depends on the ticks: labels that appear once the layout is
    done would be cut.
    """
    from matplotlib.ticker import AutoLocator, MaxNLocator

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_locator(), AutoLocator):
                axis.set_major_locator(MaxNLocator(MOST_TICKS, steps=[1, 2, 2.5, 5, 10]))


def inline(svg: bytes, name: str, title: str, description: str) -> Markup:
    """An SVG file as an element of a page, with ids of its own and a name for screen readers."""
    from markupsafe import Markup

    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.split("}")[-1] in ("metadata", "style"):
                parent.remove(child)
    used = set(re.findall(rb'(?:url\(#|href="#)([^)"]+)', svg))
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
        own = element.attrib.pop("id", None)
        if own is not None and own.encode() in used:
            element.set("id", f"{name}-{own}")
        for key, value in list(element.attrib.items()):
            if key == LINK:
                del element.attrib[key]
                key = "href"
            if value.startswith("#") and key == "href":
                value = f"#{name}-{value[1:]}"
            value = re.sub(r"url\(#", f"url(#{name}-", value)
            element.set(key, _themed(value) if key in ("style", "fill", "stroke") else value)
    box = root.get("viewBox", "0 0 100 100")
    wide = float(box.split()[2])
    for key in list(root.attrib):
        del root.attrib[key]
    root.attrib |= {
        "viewBox": box,
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "style": f"max-width: {wide * 4 / 3:.0f}px",
    }
    named = [ElementTree.Element(tag, {"id": f"{name}-{tag}"}) for tag in ("title", "desc")]
    named[0].text, named[1].text = title, description
    root[:0] = named
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _themed(style: str) -> str:
    """Colours as variables of the page, and its font instead of matplotlib's."""
    for colour, variable in VARIABLES.items():
        style = style.replace(colour, variable)
    style = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style)
    return re.sub(r"font-family:[^;]*;?", "", style)


def legend_below(figure: MplFigure, axes: Axes, *, columns: int = 1) -> None:
    """A legend under the axes, where it hides no line."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        room = int(figure.get_figwidth() * 11)  # characters, about
        wrapped = [textwrap.fill(label, room) for label in labels]
        figure.legend(handles, wrapped, loc="outside lower left", ncols=columns)
