"""Tables and drawings of a page, from plain values and functions that draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from hybridq.plotting import inline_svg
from hybridq.records.findings import Estimate
from hybridq.reports.page.elements import Cell, Figure, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from hybridq.reports.sources.sources import Source

Value: TypeAlias = "Cell | Estimate | str | int | float | None"


def cell(value: Value) -> Cell:
    """A cell that shows a value and sorts by it; None is none."""
    if isinstance(value, Cell):
        return value
    if isinstance(value, Estimate):
        return Cell(value.middle, value.value, value.ends)
    if value is None or isinstance(value, str):
        return Cell("none" if value is None else value)
    return Cell(f"{value:,}" if isinstance(value, int) else f"{value:.3f}", value)


def table(
    caption: str,
    columns: Iterable[str],
    rows: Iterable[Sequence[Value]],
    sources: Sequence[Source] | Sequence[Sequence[Source]],
    *,
    anchors: bool = False,
) -> Table:
    """A table of values.

    Args:
        caption: What it shows.
        columns: Their names.
        rows: Rows with as many values each as there are columns.
        sources: The folders that all numbers come from, or those of each row.
        anchors: Whether the first cell of a row is also its anchor in the page.
    """
    by_row = [tuple(one) if isinstance(one, Sequence) else (one,) for one in sources]
    if not any(isinstance(one, Sequence) for one in sources):
        by_row = [tuple(source for own in by_row for source in own)]
    cells = tuple(tuple(map(cell, row)) for row in rows)
    return Table(caption, tuple(columns), cells, tuple(by_row) if sources else (), anchors)


def drawing(
    name: str,
    title: str,
    said: Iterable[str],
    plot: Callable[[Canvas], object],
    caption: str,
    sources: Iterable[Source],
    *,
    about: str = "",
    wide: bool = False,
    **size: Any,
) -> Figure:
    """A drawing of a page.

    Args:
        name: Unique in the report.
        title: What it is, in a few words.
        said: What it shows, in sentences with the numbers.
        plot: Draws on an empty figure.
        caption: How to read it.
        sources: The folders that its numbers come from.
        about: Said after the title, for who cannot see the drawing.
        wide: Whether it needs the whole width.
        size: The width and height that `inline_svg` takes.
    """
    start = ", ".join(filter(None, (title, about)))
    description = " ".join([f"{start}.", *said])
    svg = inline_svg(name, title, description, plot, **size)
    return Figure(name, title, description, svg, caption, tuple(dict.fromkeys(sources)), wide)
