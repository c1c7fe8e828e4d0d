"""Find every fault of a data set, not only the first (`hybridq data check`)."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import (
    SPLITS,
    UNLABELLED,
    ImageData,
    ImageSplit,
    absent_classes,
)
from hybridq.data.hidden import Hidden
from hybridq.data.provenance import unofficial
from hybridq.data.source import find_source, load_data
from hybridq.data.sources import SOURCES
from hybridq.data.sources.arrays import check_one_shape
from hybridq.data.sources.columns import chosen_records
from hybridq.data.sources.folder import scan_folder
from hybridq.data.sources.images import probe_image, read_image
from hybridq.data.sources.records import Record, check_records, class_names, complete_splits
from hybridq.errors import HybridqError
from hybridq.utils.pseudonyms import Pseudonyms
from hybridq.utils.text import counted, listed, quoted

Level = Literal["info", "warning", "error"]
Digests = dict[bytes, list[tuple[str, str]]]  # pixels -> (split, id) of the images with them


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        level: `error` means that the data set cannot be loaded as it is; `warning`, that figures
            from it may mislead.
        subject: The subject: a split, `sizes`, `duplicate`, `fault` or `note`.
        detail: A sentence or a list of counts.
    """

    level: Level
    subject: str
    detail: str


def check_data(
    source: str,
    *,
    data_root: str | Path | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> list[Finding]:
    """Look through a data set: classes, sizes, faults, and images that are in two splits.

    Duplicates are images with the same pixels. Nothing is downloaded.

    Args:
        source: The data, as in `load_data`.
        data_root: The folder of named sets, as in `load_data`.
        pseudonyms: Pseudonyms for the names of files, groups and the data in the findings.

    Returns:
        The findings: counts first, then warnings and errors.

    Raises:
        InvalidValueError: If the source is not known.
        MissingFileError: If there is nothing at the path, or no layout that can be read.
    """
    asked = find_source(source)
    path = asked.path
    if path is not None and asked.entry is SOURCES["folder"]:
        found = _check_folder(path, asked.fields)
    else:
        hides = asked.entry.own and asked.entry is not SOURCES["npz"]
        found = _check_arrays(source, path, data_root, pseudonyms if hides else None)
    if path is None or pseudonyms is None:
        return found
    hidden = Hidden(path, pseudonyms)
    return [replace(finding, detail=hidden.of(finding.detail)) for finding in found]


def _check_arrays(
    source: str, path: Path | None, data_root: str | Path | None, pseudonyms: Pseudonyms | None
) -> list[Finding]:
    findings: list[Finding] = []
    digests: Digests = defaultdict(list)
    sizes: Counter[tuple[int, ...]] = Counter()
    faults: list[Finding] = []
    lacking: list[Finding] = []
    notes: tuple[str, ...] = ()
    other_file: str | None = None
    shapes: dict[str, tuple[int, ...]] = {}
    for split in SPLITS:
        try:
            data = load_data(
                source,
                data_root=data_root,
                splits=(split,),
                download=False,
                pseudonyms=pseudonyms,
            )
        except HybridqError as error:
            faults.append(Finding("error", "fault", str(error)))
            continue
        part = data.splits[split]
        findings.append(Finding("info", split, _class_counts(data, part)))
        lacking += _lacking(split, absent_classes(data, split))
        shapes[split] = part.images.shape[1:]
        sizes[shapes[split]] += len(part)
        notes = data.notes
        other_file = unofficial(data)
        for index, image in enumerate(part.images):
            digests[_digest(image)].append((split, part.ids[index]))
    if path is not None:
        try:
            check_one_shape(path, shapes)
        except HybridqError as error:
            faults.append(Finding("error", "fault", str(error)))
    findings.append(_size_line(sizes))
    findings += [Finding("info", "note", note) for note in notes]
    if other_file is not None:
        findings.append(Finding("warning", "file", other_file))
    return [*findings, *lacking, *_duplicates(digests), *dict.fromkeys(faults)]


def _check_folder(root: Path, fields: Mapping[str, str]) -> list[Finding]:
    problems: list[HybridqError] = []
    records = chosen_records(root, scan_folder(root, problems.append), fields)
    check_records(root, records, problems.append)
    notes: list[str] = []
    if len(class_names(records)) > 1:
        try:
            records, notes = complete_splits(records)
        except HybridqError as error:
            problems.append(error)
    digests: Digests = defaultdict(list)
    sizes: Counter[tuple[int, ...]] = Counter()
    for record in records:
        try:
            shape = probe_image(record.path)
            image = read_image(record.path, channels=shape[2])
        except HybridqError as error:
            problems.append(error)
            continue
        sizes[shape] += 1
        digests[_digest(image)].append((record.split or "unsplit", record.id))
    findings = [*_record_counts(records), _size_line(sizes)]
    findings += [Finding("info", "note", note) for note in notes]
    names = class_names([record for record in records if record.split == "train"])
    for split in ("val", "test"):
        labels = {record.label for record in records if record.split == split}
        findings += _lacking(split, [name for name in names if labels and name not in labels])
    findings += _duplicates(digests)
    return findings + [Finding("error", "fault", str(problem)) for problem in problems]


def _record_counts(records: Sequence[Record]) -> Iterator[Finding]:
    for split in (*SPLITS, None):
        labels = Counter(
            record.label or "unlabelled" for record in records if record.split == split
        )
        if labels:
            counts = ", ".join(f"{quoted(name)} {n}" for name, n in sorted(labels.items()))
            detail = f"{counted(labels.total(), 'image')}: {counts}"
            yield Finding("info", split or "unsplit", detail)
        elif split == "test" and records and records[0].split is not None:
            yield Finding("warning", "test", "no images: no test figures can be made")


def _class_counts(data: ImageData, part: ImageSplit) -> str:
    if data.task == "multilabel":
        totals = part.labels.sum(axis=0)
    else:
        known = part.labels[part.labels != UNLABELLED]
        totals = np.bincount(known, minlength=data.num_classes)
    pairs = zip(data.class_names, totals, strict=True)
    counts = ", ".join(f"{quoted(name)} {int(count)}" for name, count in pairs)
    return f"{counted(len(part), 'image')}: {counts}"


def _lacking(split: str, names: Sequence[str]) -> list[Finding]:
    if not names:
        return []
    detail = f"no image of {listed(names)}: AUC and what else needs each class is undefined"
    return [Finding("warning", split, detail)]


def _size_line(sizes: Counter[tuple[int, ...]]) -> Finding:
    parts = [f"{h} x {w} x {c}: {count}" for (h, w, c), count in sizes.most_common(5)]
    if len(sizes) > 5:
        parts.append(f"{len(sizes) - 5} more")
    return Finding("info", "sizes", ", ".join(parts) or "none")


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(
        str(image.shape).encode() + np.ascontiguousarray(image).tobytes()
    ).digest()


def _duplicates(digests: Digests) -> Iterator[Finding]:
    for places in digests.values():
        if len({split for split, _ in places}) > 1:
            where = ", ".join(f"{name} ({split})" for split, name in places)
            yield Finding("warning", "duplicate", f"the same pixels in two splits: {where}")
