"""Read `manifest.csv`: one line for each image, `path,label[,group][,split]`."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from hybridq.data.dataset import SPLITS
from hybridq.data.sources.inside import Inside
from hybridq.data.sources.records import OnProblem, Record, raise_problem
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq.utils.files import read_text
from hybridq_backends.utils.names import legible

MANIFEST = "manifest.csv"
MAX_BYTES = 256 * 2**20
"""The most bytes of a manifest, enough for some million lines."""

_COLUMNS = ("path", "label", "group", "split")


def read_manifest(root: Path, on_problem: OnProblem = raise_problem) -> list[Record]:
    """Read the manifest of a folder, without opening the images.

    An empty label means an image without one; an empty group, an image that is a group of its
    own. The values of other columns are kept as they are written.

    Args:
        root: The folder; paths in the manifest are relative to it.
        on_problem: A function that takes each faulty line.

    Raises:
        InvalidValueError: If the file as a whole cannot be read or has no lines; for a faulty
            line, unless `on_problem` does otherwise.
        MissingFileError: If an image is not there, or is no regular file, unless `on_problem`
            does otherwise.
    """
    path = root / MANIFEST
    text = read_text(path, "a CSV file in UTF-8", "save it as such.", limit=MAX_BYTES)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InvalidValueError(
            f"Expected a CSV file in UTF-8 at {path}, got {error}: save it as such."
        ) from error
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    _check_header(path, header)
    inside = Inside(root)
    records: list[Record] = []
    seen: dict[str, int] = {}
    body = [(n, cells) for n, cells in enumerate(lines[1:], start=2) if any(map(str.strip, cells))]
    if not body:
        raise InvalidValueError(
            f"Expected at least one image in {path}, got only a header: add a line for each image."
        )
    for number, cells in body:
        where = f"line {number} of {path}"
        if len(cells) != len(header):
            on_problem(
                InvalidValueError(
                    f"Expected {len(header)} fields in {where}, got {len(cells)}: put quotes "
                    "around a field that holds a comma."
                )
            )
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        record = _record(inside, row, where, on_problem)
        if record is None:
            continue
        if record.id in seen:
            on_problem(
                InvalidValueError(
                    f"Expected each path once in {path}, got {record.id} in lines "
                    f"{seen[record.id]} and {number}: remove one."
                )
            )
            continue
        seen[record.id] = number
        records.append(record)
    return records


def _check_header(path: Path, header: Sequence[str]) -> None:
    if "path" not in header or "label" not in header or len(set(header)) != len(header):
        raise InvalidValueError(
            f"Expected the header path,label[,group][,split] in {path}, got "
            f"{','.join(header)!r}: write this as the first line."
        )
    for name in set(header) - set(_COLUMNS):
        near = difflib.get_close_matches(name, _COLUMNS, n=1, cutoff=0.75)
        if near and near[0] not in header:
            raise InvalidValueError(
                f"Expected the column `{near[0]}` in {path}, got `{name}`: rename the column."
            )


def _record(
    inside: Inside, row: dict[str, str], where: str, on_problem: OnProblem
) -> Record | None:
    """Make the record of a line; None if a fault in it was reported."""
    split = row.get("split")
    if split is not None and split not in SPLITS:
        on_problem(
            InvalidValueError(
                f"Expected the split train, val or test in {where}, got {split!r}: correct it, or "
                "leave the whole column out."
            )
        )
        return None
    if not row["path"] or not row["path"].isprintable():
        on_problem(
            InvalidValueError(f"Expected a path in {where}, got {row['path']!r}: name an image.")
        )
        return None
    root = inside.root
    base = os.path.normpath(root)
    full = os.path.normpath(os.path.join(base, row["path"]))
    name = os.path.relpath(full, base)
    if name == os.curdir or PurePath(name).parts[0] == os.pardir:
        on_problem(
            InvalidValueError(
                f"Expected a path inside {root} in {where}, got {row['path']}, which leads outside "
                "the folder: move the image into it."
            )
        )
        return None
    if not os.path.lexists(full):
        on_problem(
            MissingFileError(
                f"Expected an image at {full}, got no such file ({where}): restore it or remove "
                "the line."
            )
        )
        return None
    try:
        inside.check_image(full, f" ({where})")
    except HybridqError as error:
        on_problem(error)
        return None
    return Record(
        id=PurePath(name).as_posix(),
        path=Path(full),
        label=row["label"] or None,
        group=row.get("group") or None,
        split=split,
        columns={name: legible(cell) for name, cell in row.items() if name not in _COLUMNS},
    )
