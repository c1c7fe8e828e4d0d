"""What a source of images has to say of itself, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybridq.data.dataset import ImageData
from hybridq_backends.utils.by_name import by_name


@dataclass(frozen=True)
class Asked:
    """What is asked of a source.

    Attributes:
        name: What stands before the first comma: a name, or a path.
        fields: The values after it, as `phantom,size=32` has one.
        splits: Which of train, val and test to read; the others are left alone.
        image_size: Side, in pixels, to which images of different sizes are resized; None keeps
            them.
        data_root: Folder of named sets, where the user gives one.
        download: Whether what is not on this machine may be downloaded.
    """

    name: str
    fields: Mapping[str, Any]
    splits: tuple[str, ...]
    image_size: int | None = None
    data_root: str | Path | None = None
    download: bool = True


@dataclass(frozen=True)
class SourceEntry:
    """A source of images that `--data` can name.

    Attributes:
        matches: Whether a name, or a path that exists, is one of it.
        load: From what is asked to the data; or `package.module:name` of that function.
        fields: What may stand after its name, `field=value`, and how a value is read.
        names: Names that it knows, to suggest the nearest of.
        own: Whether its images are the user's, so that their names may tell of patients.
        files: Whether names of its images are names of files.
    """

    matches: Callable[[str], bool]
    load: Callable[[Asked], ImageData] | str
    fields: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    names: Callable[[], Iterable[str]] = tuple
    own: bool = True
    files: bool = False

    def read(self, asked: Asked) -> ImageData:
        """Load what is asked for."""
        load: Callable[[Asked], ImageData] = by_name(self.load)
        return load(asked)
