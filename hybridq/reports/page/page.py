"""Sections as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING

from hybridq.plotting.style import theme_css
from hybridq.reports.page.elements import Part, Section
from hybridq.reports.sources.sources import Source
from hybridq.version import __version__

if TYPE_CHECKING:
    from markupsafe import Markup


def render(title: str, sections: Sequence[Section]) -> str:
    """The page; what comes from a run or a data set is escaped.

    Args:
        title: heading of the page.
        sections: in their order; those without parts are named at the end.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("hybridq.reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"code": _code, "order": _order}
    environment.globals |= {
        "ranges": ranges,
        "runs": _runs,
        "commands": _commands,
        "unique": lambda groups: tuple(dict.fromkeys(s for group in groups for s in group)),
    }
    own = resources.files("hybridq.reports.page")
    page: str = environment.get_template("page.html.j2").render(
        title=title,
        present=[section for section in sections if section.parts],
        absent=[section for section in sections if not section.parts],
        style=Markup(theme_css() + (own / "page.css").read_text(encoding="utf-8")),
        script=Markup((own / "page.js").read_text(encoding="utf-8")),
        version=__version__,
    )
    return page


def ranges(sources: Iterable[Source]) -> list[tuple[Source, Source]]:
    """Sources as first and last of each unbroken range of more than two of their numbers."""
    ordered = sorted(set(sources), key=_number)
    found: list[list[Source]] = []
    for source in ordered:
        if found and _number(source) == _number(found[-1][-1]) + 1:
            found[-1].append(source)
        else:
            found.append([source])
    return [
        pair
        for group in found
        for pair in ([(group[0], group[-1])] if len(group) > 2 else zip(group, group, strict=True))
    ]


def _number(source: Source) -> int:
    return int(source.key.removeprefix("S"))


def _runs(parts: Sequence[Part]) -> Iterator[tuple[str, list[Part]]]:
    """Parts of one kind that follow each other, with the name of the kind."""
    for kind, group in groupby(parts, key=lambda part: type(part).__name__):
        yield kind, list(group)


def _order(value: float | None) -> str:
    """A number to sort by as JavaScript reads it; nothing for none."""
    if value is None or value != value:  # NaN; `math` does not take integers of any size
        return ""
    return ("" if value > 0 else "-") + "Infinity" if abs(value) == math.inf else repr(value)


def _code(text: str) -> Markup:
    """Words between backticks as code, long names breakable at underscores, everything escaped."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts = [text]
    marked = [
        Markup("<code>{}</code>").format(part) if k % 2 else escape(part)
        for k, part in enumerate(parts)
    ]
    return Markup("").join(marked).replace("_", Markup("_<wbr>"))


def _commands(sources: Iterable[Source]) -> str:
    return ", ".join(dict.fromkeys(f"hybridq {source.kind}" for source in sources))
