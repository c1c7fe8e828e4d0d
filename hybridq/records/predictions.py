"""Predictions: a row for each image, with its label and a probability for each class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.records.record import RESTORE, refused, same_numbers
from hybridq.utils.files import read_csv

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SUM = 1e-9
"""How far the probabilities of the classes of one image may be from 1 together."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of some images.

    Attributes:
        ids: The ids of the images, each once.
        labels: `(images,)` classes, or `(images, num_classes)` of 0 and 1.
        probs: `(images, num_classes)`.
    """

    ids: tuple[str, ...]
    labels: Ints
    probs: Floats


def read_predictions(folder: Path, result: Mapping[str, Any]) -> Predictions:
    """Read the predictions of an evaluation.

    Args:
        folder: The folder of the evaluation.
        result: Its result.

    Raises:
        InvalidValueError: If the file is missing or damaged, or is of other images or classes.
    """
    path = folder / "predictions" / f"{result['split']}.csv"
    num_classes = len(result["class_names"])
    header, rows = read_csv(path)
    if header != ["id", "label", *(f"prob_{index}" for index in range(num_classes))]:
        got = ",".join(header)
        raise _refused(path, f"the columns {got[:80]!r}, not those of {num_classes} classes")
    expected = result.get("images")
    if not rows or expected not in (None, len(rows)):
        raise _refused(path, f"{len(rows)} images where result.json says {expected or 'some'}")
    ids = tuple(row[0] for row in rows)
    if len(set(ids)) < len(ids) or "" in ids:
        twice = next(name for name in ids if ids.count(name) > 1 or not name)
        raise _refused(path, f"the image {twice!r} twice" if twice else "an image without a name")
    many = len(rows[0][1]) == num_classes
    labels = [_label(row[1], num_classes, many=many) for row in rows]
    probs = [[_prob(cell) for cell in row[2:]] for row in rows]
    for row, label, each in zip(rows, labels, probs, strict=True):
        if label is None:
            raise _refused(path, f"{row[1]!r} as the label of {row[0]!r}")
        if None in each or not (many or abs(math.fsum(p or 0 for p in each) - 1) <= SUM):
            raise _refused(path, f"{', '.join(row[2:])[:80]} as the probabilities of {row[0]!r}")
    return Predictions(ids, np.array(labels, dtype=np.int64), np.array(probs, dtype=np.float64))


def check_figures(
    path: Path, recorded: Mapping[str, Mapping[str, Any]], computed: Mapping[str, float]
) -> None:
    """Refuse figures that do not follow from the predictions beside them.

    Args:
        path: The path of the file that holds the figures.
        recorded: What it says of each.
        computed: The figures that follow from the predictions.

    Raises:
        InvalidValueError: If one differs by more than rounding.
    """
    for name, value in computed.items():
        said = recorded[name]["value"] if name in recorded else "none"
        if isinstance(said, str):
            raise refused(f"a figure for {name}", path, said)
        if not same_numbers([math.nan if said is None else said], [value]):
            raise refused(
                f"the figures of the predictions beside it, {name} {value:.6f},",
                path,
                str(said),
                RESTORE,
            )


def check_probabilities(path: Path, name: str, probs: NDArray[Any], *, many: bool) -> None:
    """Refuse an array that does not hold probabilities in its last axis.

    Raises:
        InvalidValueError: If one is no number from 0 to 1, or those of one image do not sum to 1.
    """
    is_fine = probs.dtype.kind == "f" and bool(((probs >= 0) & (probs <= 1)).all())
    if not is_fine or not (many or np.allclose(probs.sum(axis=-1), 1, rtol=0, atol=1e-6)):
        raise refused(f"probabilities as {name!r}", path, "others")


def _label(cell: str, num_classes: int, *, many: bool) -> int | list[int] | None:
    """A class, or 0 or 1 for each of several labels; None for anything else."""
    if not (cell.isascii() and cell.isdigit()):
        return None
    if many:
        is_fine = len(cell) == num_classes and set(cell) <= {"0", "1"}
        return list(map(int, cell)) if is_fine else None
    return int(cell) if len(cell) < 9 and int(cell) < num_classes else None


def _prob(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _refused(path: Path, got: str) -> Exception:
    return refused("predictions with id, label and a probability for each class", path, got, AGAIN)


AGAIN = "run `hybridq evaluate` again."
