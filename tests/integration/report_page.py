"""A page of the report as the tests read it: its elements, with attributes and text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from hybridq.cli import main as cli

VOID = {"meta", "img", "br", "hr", "link", "input", "wbr"}


def make_report(folders, out, *options):
    """The exit code of `hybridq report`."""
    arguments = ["report", *map(str, folders), "--out", str(out), "--resamples", "100", *options]
    return cli.main(arguments)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[Element]:
        found = [child for child in self.children if child.tag == tag]
        return found + [one for child in self.children for one in child.all(tag)]


class Page(HTMLParser):
    """`root` holds every element of a page; a tag left open is an error."""

    def __init__(self, text: str):
        super().__init__()
        self.root = self.here = Element("root", {})
        self.feed(text)
        self.close()
        assert self.here is self.root, f"left open: {self.here.tag}"

    def handle_starttag(self, tag, attrs):
        element = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(element)
        if tag not in VOID:
            self.here = element

    def handle_startendtag(self, tag, attrs):
        self.here.children.append(Element(tag, dict(attrs), self.here))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.here.tag == tag, f"</{tag}> inside <{self.here.tag}>"
            self.here = self.here.parent

    def handle_data(self, data):
        element = self.here
        while element is not None:
            element.words.append(data)
            element = element.parent

    def elements(self):
        waiting = list(self.root.children)
        while waiting:
            element = waiting.pop()
            yield element
            waiting += element.children

    def by_id(self) -> dict[str, Element]:
        return {e.attributes["id"]: e for e in self.elements() if "id" in e.attributes}

    def tables(self) -> dict[str, list[list[str]]]:
        """Rows of cells under their captions, the header first."""
        found = {}
        for table in self.root.all("table"):
            (caption,) = table.all("caption") or [Element("caption", {})]
            rows = [
                [cell.text for cell in row.children if cell.tag in ("th", "td")]
                for row in table.all("tr")
            ]
            found[caption.text] = rows
        return found
