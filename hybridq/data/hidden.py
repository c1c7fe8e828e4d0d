"""Report the faults of a data set without the names of its files, groups and folders."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from hybridq.data.source import own_name
from hybridq.data.sources.manifest import MANIFEST, MAX_BYTES
from hybridq.errors import HybridqError
from hybridq.utils.files import read_text
from hybridq.utils.pseudonyms import Pseudonyms
from hybridq_backends.utils.names import legible


class Hidden:
    """The names in a data set and their pseudonyms, to be replaced in a text.

    Names of classes are kept.

    Args:
        path: The folder or file of the data.
        pseudonyms: The pseudonyms of the names.
    """

    def __init__(self, path: Path, pseudonyms: Pseudonyms) -> None:
        own = pseudonyms.data(own_name(path))
        found = {str(place): own for place in (path, path.absolute(), path.resolve())}
        if path.is_dir():
            for place, name in (*_files(path), *_listed(path)):
                stands = pseudonyms.image(legible(name))
                for text in (place, name):
                    found[text] = found[legible(text)] = stands
            for group in _column(path, "group"):
                found[f"group {group!r}"] = f"group {pseudonyms.group(group)!r}"
        self._found = dict(sorted(found.items(), key=lambda item: -len(item[0])))

    def of(self, text: str) -> str:
        """Replace the names in a text by pseudonyms, longer names first."""
        for name, stands in self._found.items():
            text = text.replace(name, stands)
        return text


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield path and id of each file, and path and name of each folder below the classes."""
    above = 2 if (root / "train").is_dir() else 1  # train/CLASS, or CLASS
    for place, folders, files in os.walk(root):
        for name in files:
            path = os.path.join(place, name)
            yield path, PurePath(os.path.relpath(path, root)).as_posix()
        if len(PurePath(os.path.relpath(place, root)).parts) >= above:
            yield from ((os.path.join(place, name), name) for name in folders)


def _listed(root: Path) -> Iterator[tuple[str, str]]:
    """Yield path and text of each image that a manifest lists."""
    for cell in _column(root, "path"):
        yield os.path.normpath(os.path.join(root, cell)), cell


def _column(root: Path, column: str) -> list[str]:
    """Yield the texts in a column of the manifest; none if there is no readable column."""
    try:
        text = read_text(root / MANIFEST, "a manifest", "correct it.", limit=MAX_BYTES)
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except (HybridqError, csv.Error):
        return []
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if column not in header:
        return []
    place = header.index(column)
    cells = (row[place].strip() for row in rows[1:] if len(row) > place)
    return [cell for cell in dict.fromkeys(cells) if cell]
