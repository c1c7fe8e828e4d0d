"""Groups of the evaluated images by a column of their manifest: a site, a sex, a band of ages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridq.data import ImageData, ImageSplit
from hybridq.errors import InvalidValueError
from hybridq.utils.text import listed

MOST_VALUES = 20
"""The most values of a column that is not cut into bands."""
FEW_NUMBERS = 6
"""The most different numbers in a column that stand for themselves."""
LEAST = 10
"""The fewest images of a class with which a group is not called small."""
EMPTY = "not stated"

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Subgroup:
    """Images with the same value of a column.

    Attributes:
        column: Name of the column.
        value: The value, or the band of numbers, in words.
        indices: The indices of the images in their split.
        small: Whether a class has fewer than `LEAST` images in it.
    """

    column: str
    value: str
    indices: Indices
    small: bool


def subgroups_of(asked: str, data: ImageData, split: ImageSplit) -> list[Subgroup]:
    """Find the groups that columns make of a split.

    Args:
        asked: Columns, separated by commas, as `site,age:40:60`. Numbers after a column are the
            edges of its bands, each of which belongs to the band above it. A column with more than
            `FEW_NUMBERS` different numbers is cut at its quartiles.
        data: The classes.
        split: The images.

    Raises:
        InvalidValueError: If there is no such column, or it cannot be cut as is asked for.
    """
    found = []
    for text in filter(None, (part.strip() for part in asked.split(","))):
        column, *edges = text.split(":")
        known = {**split.columns}
        if split.groups is not None:
            known["group"] = split.groups
        if column.lower() not in known:
            raise InvalidValueError(
                f"Expected columns of the manifest in --subgroups, got {column!r}, and the images "
                f"of {data.name} have {listed(sorted(known)) or 'none'}: name one of these."
            )
        for value, indices in _values(column, known[column.lower()], edges):
            small = _smallest_class(data, split.labels[indices]) < LEAST
            found.append(Subgroup(column.lower(), value, indices, small))
    return found


def _values(
    column: str, cells: NDArray[np.str_], edges: list[str]
) -> Iterator[tuple[str, Indices]]:
    """The values of a column in words, and the images that have each."""
    numbers = np.array([_number(cell) for cell in cells])
    is_numeric = bool((np.isfinite(numbers) | (cells == "")).all()) and bool((cells != "").any())
    different = np.unique(numbers[np.isfinite(numbers)])
    if edges or (is_numeric and len(different) > FEW_NUMBERS):
        if not is_numeric:
            wrong = next(cell for cell in cells if cell and not math.isfinite(_number(cell)))
            raise InvalidValueError(
                f"Expected numbers in the column {column!r} to cut it into bands, got {wrong!r}: "
                "leave the edges out."
            )
        yield from _bands(numbers, _edges(column, edges, numbers))
    else:
        values = sorted(set(cells.tolist()) - {""}, key=lambda cell: (_number(cell), cell))
        if len(values) > MOST_VALUES:
            raise InvalidValueError(
                f"Expected a column of at most {MOST_VALUES} values in --subgroups, got "
                f"{len(values)} in {column!r}: take another."
            )
        for value in values:
            yield value, np.flatnonzero(cells == value)
    if (cells == "").any():
        yield EMPTY, np.flatnonzero(cells == "")


def _bands(numbers: NDArray[np.float64], edges: list[float]) -> Iterator[tuple[str, Indices]]:
    for low, high in zip([-math.inf, *edges], [*edges, math.inf], strict=True):
        inside = np.flatnonzero((numbers >= low) & (numbers < high))
        if len(inside):
            below, above = math.isinf(low), math.isinf(high)
            words = f"below {high:g}" if below else f"{low:g} and above"
            yield words if below or above else f"{low:g} to below {high:g}", inside


def _edges(column: str, edges: list[str], numbers: NDArray[np.float64]) -> list[float]:
    if not edges:
        finite = numbers[np.isfinite(numbers)]
        quartiles = np.unique(np.quantile(finite, [0.25, 0.5, 0.75]))
        return [float(edge) for edge in quartiles if edge > finite.min()]
    found = [_number(edge) for edge in edges]
    if not all(map(math.isfinite, found)) or found != sorted(set(found)):
        raise InvalidValueError(
            f"Expected edges of bands as rising numbers after {column!r}, got {':'.join(edges)!r}: "
            f"write them as {column}:40:60."
        )
    return found


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _smallest_class(data: ImageData, labels: NDArray[np.int64]) -> int:
    """The number of images of the rarest class, or of the rarer value of the rarest label."""
    if labels.ndim == 2:
        found = labels.sum(axis=0)
        return int(min(found.min(), (len(labels) - found).min()))
    return int(np.bincount(labels, minlength=data.num_classes).min())
