"""What a report is made of: sections of paragraphs, tables, figures and galleries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from markupsafe import Markup

    from hybridq.reports.sources.sources import Source


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what is shown.
        interval: shown below it.
        verdict: better, worse, equivalent or undecided, where the text is one.
        order: number to sort by; the text where it is None.
    """

    text: str
    order: float | None = None
    interval: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first cell of a row names it.

    Attributes:
        caption: what the table shows.
        columns: names of the columns.
        rows: as many cells each as there are columns.
        sources: for each row, the folders its numbers come from; or one tuple for all rows.
        anchors: whether the first cell of a row is also its anchor in the page.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sources: tuple[tuple[Source, ...], ...]
    anchors: bool = False

    @property
    def has_row_sources(self) -> bool:
        """Whether each row has sources of its own."""
        return len(self.sources) == len(self.rows) and len(self.rows) > 1


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        name: unique in the report; a prefix of the ids inside the drawing.
        title: what it is, in a few words.
        description: what it shows, in words and with the numbers, for who cannot see it.
        svg: the drawing as an `<svg>` element that is named by title and description.
        caption: how to read it.
        sources: the folders its numbers come from.
        wide: whether it needs the whole width.
    """

    name: str
    title: str
    description: str
    svg: Markup
    caption: str
    sources: tuple[Source, ...]
    wide: bool = False


@dataclass(frozen=True)
class Picture:
    """An image of a gallery, as a `data:` address, with its description in words."""

    title: str
    description: str
    address: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures in a row, with a caption for all."""

    caption: str
    pictures: tuple[Picture, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph; `strong` says in a word or two what it is about."""

    text: str
    strong: str = ""


@dataclass(frozen=True)
class Terms:
    """Terms and what they mean, one `(term, meaning)` each."""

    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Heading:
    """A heading below that of the section."""

    text: str


@dataclass(frozen=True)
class Verdict:
    """A comparison in words; `kind` is better, worse, equivalent or undecided."""

    text: str
    kind: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Fold:
    """Parts that are shown when asked for."""

    summary: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Document:
    """Text that was Markdown, named, as HTML without scripts, images or addresses."""

    name: str
    html: Markup


Part: TypeAlias = Text | Terms | Heading | Table | Figure | Gallery | Verdict | Fold | Document


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes:
        name: unique in the report; the anchor of its heading.
        title: its heading.
        parts: what is in it; without any, the report says what is missing.
        missing: what would make this section, in one line.
    """

    name: str
    title: str
    parts: tuple[Part, ...] = field(default=())
    missing: str = ""
