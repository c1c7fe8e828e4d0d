"""Where drawings go: PNG files, and SVG elements that take over a page's colours and font.

A drawing is a function of an empty matplotlib figure; one function serves both.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from xml.etree import ElementTree

from hybridq.plotting.style import LIGHT, PAPER, drawing
from hybridq.utils.files import atomic_path

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

Plot: TypeAlias = "Callable[[Figure], object]"
MOST_TICKS = 7
"""Intervals between ticks, where a drawing does not choose its own."""
LINK = "{http://www.w3.org/1999/xlink}href"


def save_png(
    path: Path, plot: Plot, *, width: float = 4.6, height: float = 3.9, math: bool = False
) -> Path:
    """Write a drawing as a PNG file on light paper, and return its path.

    Args:
        path: The path of the file.
        plot: Draws on an empty figure; it may change the figure's size.
        width: Width in inches; text is 10 points high.
        height: Height in inches.
        math: Whether `$` in a text begins a formula; never where names of the user's are drawn.
    """
    with drawing(math=math), atomic_path(path) as temporary:
        figure = _drawn(plot, width, height)
        figure.set_facecolor(PAPER)
        # Titles of the user's names may be wider than the figure: they are not cut.
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
    return path


def inline_svg(
    name: str,
    title: str,
    description: str,
    plot: Plot,
    *,
    width: float = 4.6,
    height: float = 3.9,
    math: bool = False,
) -> Markup:
    """Return a drawing as an `<svg>` element; the same drawing gives the same bytes.

    Args:
        name: Unique in the page; every id inside begins with it.
        title: Its accessible name.
        description: What it shows, in words.
        plot: Draws on an empty figure.
        width: Width in inches; text is 10 points high.
        height: Height in inches.
        math: Whether `$` in a text begins a formula; never where names of the user's are drawn.
    """
    buffer = io.BytesIO()
    with drawing(math=math):
        figure = _drawn(plot, width, height)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _element(buffer.getvalue(), name, title, description)


def _drawn(plot: Plot, width: float, height: float) -> Figure:
    """Draw on a figure, with ticks that do not depend on the size of their axes.

    matplotlib's own do, and the layout depends on the ticks: labels that appear once the layout is
    done would be cut.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import AutoLocator, MaxNLocator

    figure = Figure((width, height), layout="constrained")
    plot(figure)
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_locator(), AutoLocator):
            axis.set_major_locator(MaxNLocator(MOST_TICKS, steps=[1, 2, 2.5, 5, 10]))
    return figure


def _element(svg: bytes, name: str, title: str, description: str) -> Markup:
    """Return an SVG file as an element with ids of its own and a name for screen readers."""
    from markupsafe import Markup

    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
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
                value = re.sub("^#", f"#{name}-", value)
            value = value.replace("url(#", f"url(#{name}-")
            element.set(key, _themed(value) if key in ("style", "fill", "stroke") else value)
    box = root.get("viewBox", "0 0 100 100")
    root.attrib.clear()
    root.attrib |= {
        "viewBox": box,
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "style": f"max-width: {float(box.split()[2]) * 4 / 3:.0f}px",
    }
    named = [ElementTree.Element(tag, {"id": f"{name}-{tag}"}) for tag in ("title", "desc")]
    named[0].text, named[1].text = title, description
    root[:0] = named
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _themed(style: str) -> str:
    """Write colours as variables of the page, and its font instead of matplotlib's."""
    for variable, colour in LIGHT.items():
        style = style.replace(colour, f"var(--{variable})")
    style = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style)
    return re.sub(r"font-family:[^;]*;?", "", style)
