"""Load every source of images: a named set, a folder, an `.npz` file, or the phantom."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hybridq.config.choices import entries, find_entry, loaded
from hybridq.config.handed import is_handed, refused_name
from hybridq.data.dataset import SPLITS, ImageData
from hybridq.data.sources.entry import Asked, SourceEntry
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.utils.pseudonyms import Pseudonyms, is_pseudonym, note_names
from hybridq_backends.utils.names import legible
from hybridq_backends.utils.suggest import nearest

logger = logging.getLogger("hybridq")

Fields = dict[str, Any]

HANDED_REMEDY = (
    "give them again with `data`; what ImageData.save writes to an .npz file can be read by every "
    "command and study."
)
"""What to do where a run was trained on data in memory."""

JOINT = "+"
"""What joins the sources of several sets that are pretrained on together."""

_NEAR = 0.65  # how alike a name has to be to one that is suggested


@dataclass(frozen=True)
class Source:
    """The source that `--data` names.

    Attributes:
        entry: The entry of the source.
        name: The name or path before the first comma.
        fields: The values after the first comma.
    """

    entry: SourceEntry
    name: str
    fields: Fields

    @property
    def path(self) -> Path | None:
        """The file or folder of the user's own data; None for a source by name."""
        path = Path(os.path.expanduser(self.name))
        return path if self.entry.own and path.exists() else None


def sources_of(source: str) -> tuple[str, ...]:
    """Split what `--data` of a pretraining says into its sources: `a,size=64+b` names two.

    A name or path that is there as it stands is one, whatever it contains.
    """
    text = str(source)
    if JOINT not in text or any(entry.matches(text) for entry in _known()):
        return (text,)
    return tuple(part.strip() for part in text.split(JOINT))


def find_source(source: str) -> Source:
    """Find the source that `breastmnist,size=64` names.

    A MedMNIST name or `phantom` comes before a file or folder of that name in the working
    folder; write `./breastmnist` for the latter. A path may contain commas. A source that is
    named by its import takes its path after a comma: `package.module:ENTRY,PATH,field=value`.
    A folder takes columns of its manifest after it, `FOLDER,site=a,sex=f+m`.

    Raises:
        InvalidValueError: If the name is unknown, or a field is not one of the source's.
        MissingFileError: If it is a path and nothing is there.
    """
    text = str(source)
    if is_handed(source):
        raise refused_name("data", source, HANDED_REMEDY)
    name, *assignments = (part.strip() for part in text.split(","))
    if is_pseudonym(source):
        raise InvalidValueError(
            f"Expected the folder or file after --data that is recorded as {source}, got none: "
            "give it, and the --pseudonym-key of then."
        )
    known = _known()
    for entry in reversed(known):
        if name and entry.fields and entry.matches(name):
            return Source(entry, name, _parse_fields(name, assignments, entry.fields))
        if text and entry.matches(text):
            return Source(entry, text, {})
    if with_columns := _with_columns(known, text):
        return with_columns
    if re.fullmatch(r"[\w.]+:\w+", name):
        entry = find_entry("source", name)
        if assignments and "=" not in assignments[0]:  # what it reads
            name = assignments.pop(0)
        return Source(entry, name, _parse_fields(name, assignments, entry.fields))
    path = Path(os.path.expanduser(text))
    if name and (path.name != text or path.suffix):
        near = nearest(path.name, _places_in(path.parent), _NEAR)
        remedy = f"did you mean {str(path.with_name(near))!r}?" if near else "check the path."
        raise MissingFileError(
            f"Expected a folder or an .npz file at {source}, got nothing there: {remedy}"
        )
    names = [name for entry in known for name in entry.names()]
    got = f"{source!r}, and there is no folder of that name" if source else repr(source)
    remedy = f"known are {', '.join(names)}."
    for near in (nearest(name, names, _NEAR), nearest(name, _places_in(Path()), _NEAR)):
        remedy = f"did you mean `{near}`?" if near else remedy
    if JOINT in text:
        remedy = f"pretraining alone takes several sets, joined by {JOINT}."
    raise InvalidValueError(
        f"Expected a data set's name, a folder or an .npz file, got {got}: {remedy}"
    )


def _with_columns(known: Sequence[SourceEntry], text: str) -> Source | None:
    """Find the folder before the columns of its manifest; None where there is none.

    The path of the folder may have commas, and values of columns may not.
    """
    parts = text.split(",")
    for count in range(len(parts) - 1, 0, -1):
        name, pairs = ",".join(parts[:count]), [part.split("=", 1) for part in parts[count:]]
        entry = next((one for one in known if one.columns and one.matches(name)), None)
        if name and entry is not None and all(len(pair) == 2 for pair in pairs):
            lower = [f"{column.strip().lower()}={value}" for column, value in pairs]
            kinds = {one.partition("=")[0]: str for one in lower}
            return Source(entry, name, _parse_fields(name, lower, kinds))
    return None


def _places_in(folder: Path) -> list[str]:
    """The folders and `.npz` files in a folder that a misspelt name may be meant for."""
    with suppress(OSError):
        return [
            entry.name
            for entry in folder.iterdir()
            if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix == ".npz")
        ]
    return []


def _known() -> list[SourceEntry]:
    """List the sources, those of other distributions last."""
    found: list[SourceEntry] = []
    for one in entries("source").values():
        try:
            found.append(one if isinstance(one, SourceEntry) else loaded("source", one))
        except InvalidValueError as error:
            logger.warning("%s", error)
    return found


def load_data(
    source: str,
    *,
    data_root: str | Path | None = None,
    splits: Sequence[str] = SPLITS,
    image_size: int | None = None,
    positive: str | None = None,
    download: bool = True,
    pseudonyms: Pseudonyms | None = None,
    optional: Sequence[str] = (),
) -> ImageData:
    """Load a data set into memory.

    Args:
        source: A MedMNIST name (`breastmnist`, `breastmnist,size=64`), a folder (see
            `hybridq.data.sources.folder`), an `.npz` file in MedMNIST's format, or `phantom`
            (`phantom,size=32,count=600,balance=0.5,seed=0`).
        data_root: Folder of named sets, which lie at `medmnist/NAME.npz` or `NAME.npz` in it;
            None means the environment variable HYBRIDQ_DATA, then the user's cache folder.
        splits: Which of `train`, `val` and `test` to load; the others are not read.
        image_size: side, in pixels, to which the images of a folder are resized. Arrays of an
            `.npz` and of the phantom keep their size: `prepare_images` resizes those by batch.
        positive: Name of the positive class of a binary task; None means the set's own (malignant
            for BreastMNIST), else the second class.
        download: Whether a named set that is not on disk may be downloaded.
        pseudonyms: Pseudonyms for the name and the ids of the user's own data, here and in
            everything that is made of it. None keeps the names, and the log says so once.
        optional: The ones of `splits` that are left out where the data do not have them.

    Raises:
        InvalidValueError: If the source, an option, or something in the data is wrong.
        MissingFileError: If a file, folder, split or array is missing.
        UnavailableError: If a download fails.
    """
    wanted = _check_splits(splits)
    found = find_source(source)
    asked = Asked(
        found.name, found.fields, wanted, image_size, data_root, download, tuple(optional)
    )
    loaded = replace(found.entry.read(asked), own=found.entry.own, source=str(source))
    if loaded.own:
        loaded = _with_names(loaded, pseudonyms, are_files=found.entry.files)
    return _with_positive(loaded, positive)


def splits_of(data: ImageData, splits: Sequence[str], positive: str | None = None) -> ImageData:
    """Take some splits of data that are in memory already.

    Args:
        data: Anything that `load_data` or `ImageData.from_arrays` gave.
        splits: Names of the splits.
        positive: Name of the positive class; the data's own if None.

    Raises:
        MissingFileError: If a split is not there.
        InvalidValueError: If there is no such class.
    """
    lacking = [name for name in splits if name not in data.splits]
    if lacking:
        raise MissingFileError(
            f"Expected a {lacking[0]} split in {data.name}, got {', '.join(data.splits)}: load or "
            "make it as well, or name another where `split` asks for it."
        )
    return _with_positive(
        replace(data, splits={name: data.splits[name] for name in splits}), positive
    )


def is_own(source: str) -> bool:
    """Whether a source is the user's own: a path, not a set by name, the phantom or a pseudonym.

    Of several sets, whether one is.
    """
    if len(parts := sources_of(source)) > 1:
        return any(map(is_own, parts))
    name = source.split(",")[0].strip()
    public = any(entry.matches(name) for entry in _known() if not entry.own)
    return not public and not is_pseudonym(source)


def own_name(source: str | Path) -> str:
    """Name the user's own data by its folder, or by its file without the ending."""
    path = Path(os.path.expanduser(source))
    return legible(path.resolve().name if path.is_dir() else path.stem)


def _with_names(data: ImageData, pseudonyms: Pseudonyms | None, *, are_files: bool) -> ImageData:
    """Replace the name and the ids of the user's own data by pseudonyms, if there are any."""
    if pseudonyms is None:
        if are_files:
            note_names(data.name)
        return data
    splits = {
        name: replace(split, ids=tuple(map(pseudonyms.image, split.ids)))
        for name, split in data.splits.items()
    }
    return replace(data, name=pseudonyms.data(data.name), splits=splits)


def _with_positive(data: ImageData, positive: str | None) -> ImageData:
    if positive is None:
        return data
    if data.task != "binary":
        raise InvalidValueError(
            f"Expected `positive` for a binary task only, got {positive!r} for {data.name}, which "
            f"is {data.task}: leave it out."
        )
    if positive not in data.class_names:
        names = ", ".join(map(repr, data.class_names))
        raise InvalidValueError(
            f"Expected `positive` among {names}, got {positive!r}: give one of these names."
        )
    return replace(data, positive=data.class_names.index(positive))


def _check_splits(splits: Sequence[str]) -> tuple[str, ...]:
    wanted = (splits,) if isinstance(splits, str) else tuple(splits)
    for split in wanted:
        if split not in SPLITS:
            raise InvalidValueError(
                f"Expected splits among train, val, test, got {split!r}: give one of these."
            )
    if not wanted:
        raise InvalidValueError("Expected at least one split, got none: give train, val or test.")
    return wanted


def _parse_fields(
    name: str, assignments: Sequence[str], kinds: Mapping[str, Callable[[str], Any]]
) -> Fields:
    fields: Fields = {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if key not in kinds or not equals:
            raise InvalidValueError(
                f"Expected fields {', '.join(kinds)} for {name}, got {assignment!r}: write "
                f"{name},{next(iter(kinds))}=VALUE."
            )
        if key in fields:
            raise InvalidValueError(f"Expected `{key}` once, got it twice: leave one out.")
        try:
            fields[key] = kinds[key](text)
        except ValueError as error:
            kind = "a whole number" if kinds[key] is int else "a number"
            raise InvalidValueError(
                f"Expected {kind} for `{key}` of {name}, got {text!r}: write one."
            ) from error
    return fields
