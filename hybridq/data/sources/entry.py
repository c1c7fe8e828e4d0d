"""The entry of a source of images, and the request that it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybridq.data.dataset import ImageData
from hybridq_backends.utils.by_name import by_name


@dataclass(frozen=True)
class Asked:
    """The request to a source.

    Attributes:
        name: The name or path before the first comma.
        fields: The values after it, such as `size=32` of `phantom,size=32`.
        splits: Which of train, val and test to read; the others are not read.
        image_size: Side, in pixels, to which images of different sizes are resized; None keeps
            them.
        data_root: The folder of named sets, if the user gave one.
        download: Whether files that are not on this machine may be downloaded.
        optional: The splits that are left out where they are not there.
    """

    name: str
    fields: Mapping[str, Any]
    splits: tuple[str, ...]
    image_size: int | None = None
    data_root: str | Path | None = None
    download: bool = True
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceEntry:
    """A source of images that `--data` can name.

    Attributes:
        matches: A function that says whether a name or an existing path belongs to the source.
        load: A function from the request to the data, or its name as `package.module:name`.
        fields: The fields that may follow its name, `field=value`, and how a value is read.
        names: The names that it knows, for suggestions.
        own: Whether its images belong to the user, so that their names may tell of patients.
        files: Whether the names of its images are names of files.
        columns: Whether any column of its manifest may follow its name, as `column=value`.
    """

    matches: Callable[[str], bool]
    load: Callable[[Asked], ImageData] | str
    fields: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    names: Callable[[], Iterable[str]] = tuple
    own: bool = True
    files: bool = False
    columns: bool = False

    def read(self, asked: Asked) -> ImageData:
        """Load the requested data."""
        load: Callable[[Asked], ImageData] = by_name(self.load)
        return load(asked)
