"""Labels in the forms in which people have them, as numbers of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import UNLABELLED
from hybridq.errors import InvalidValueError
from hybridq.utils.text import listed

Ints = NDArray[np.int64]


def encode_labels(
    labels: Mapping[str, NDArray[Any]], class_names: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[str, Ints]]:
    """Turn the labels of all splits into numbers of classes.

    Args:
        labels: The labels of each split: class numbers from 0, with -1 for an image without a
            label; names of classes; or `(count, labels)` of 0 and 1 where an image can have
            several.
        class_names: Names in the order of the numbers; None for the names that occur, sorted, or
            for the numbers themselves.

    Returns:
        The names of the classes, and `(count,)` numbers or `(count, labels)` of 0 and 1.

    Raises:
        InvalidValueError: If labels are of different kinds, or class names do not fit them.
    """
    kinds = {
        "names" if values.dtype.kind in "USO" else "columns" if values.ndim == 2 else "numbers"
        for values in labels.values()
    }
    if len(kinds) > 1:
        raise InvalidValueError(
            f"Expected labels of one kind in all splits, got {listed(sorted(kinds))}: give class "
            "numbers, names of classes, or columns of 0 and 1 everywhere."
        )
    if kinds == {"names"}:
        present = sorted({str(label) for values in labels.values() for label in values})
        names = _checked_names(class_names, present)
        if unknown := [name for name in present if name not in names]:
            raise InvalidValueError(
                f"Expected labels among {listed(names)}, got {unknown[0]!r}: add it to "
                "`class_names`, or correct the label."
            )
        number = {name: index for index, name in enumerate(names)}
        return names, {
            split: np.array([number[str(label)] for label in values], dtype=np.int64)
            for split, values in labels.items()
        }
    whole = {split: _whole(split, values) for split, values in labels.items()}
    if kinds == {"columns"}:
        widths = {values.shape[1] for values in whole.values()}
        if len(widths) > 1:
            raise InvalidValueError(
                f"Expected as many columns of labels in all splits, got {listed(sorted(widths))}: "
                "give one for each label."
            )
        count = widths.pop()
    else:
        count = max((int(values.max(initial=-1)) + 1 for values in whole.values()), default=0)
        _check_start(whole, count)
    names = _checked_names(class_names, [str(number) for number in range(count)])
    if len(names) < count:
        raise InvalidValueError(
            f"Expected {count} class names, got {len(names)}: give one for each class."
        )
    return names, whole


def _check_start(labels: Mapping[str, Ints], count: int) -> None:
    """Refuse classes that are numbered from 1 or more.

    Raises:
        InvalidValueError: If no image has the class 0.
    """
    least = min((int(v[v >= 0].min()) for v in labels.values() if (v >= 0).any()), default=0)
    if least > 0:
        raise InvalidValueError(
            f"Expected labels that start at 0, got {least} to {count - 1}: subtract {least}, or "
            "give the names of the classes as labels."
        )


def _checked_names(given: Sequence[str] | None, usual: Sequence[str]) -> tuple[str, ...]:
    names = tuple(map(str, usual if given is None else given))
    if len(set(names)) < len(names):
        raise InvalidValueError(
            f"Expected a name of its own for each class, got {listed(names)}: change one."
        )
    return names


def _whole(split: str, values: NDArray[Any]) -> Ints:
    """Class numbers as integers; whole floating-point numbers count."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InvalidValueError(
            f"Expected a number as each of the {split} labels, got NaN or infinity: give -1 for an "
            "image without a label."
        )
    if values.dtype.kind not in "iubf" or (values != np.floor(values)).any():
        raise InvalidValueError(
            f"Expected whole numbers as {split} labels, got {values.dtype}: give class numbers "
            "0, 1, ..., or names of classes."
        )
    least = 0 if values.ndim == 2 else UNLABELLED
    if len(values) and not least <= values.min() <= values.max() < 2**31:
        raise InvalidValueError(
            f"Expected {split} labels from 0, got {values.min():g} to {values.max():g}: number "
            "the classes 0, 1, ..."
        )
    return values.astype(np.int64)
