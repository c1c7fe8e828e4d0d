"""Choose images by the columns of a manifest, as `wbc_sites,site=site1` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.data.sources.records import Record
from hybridq.errors import InvalidValueError
from hybridq.utils.text import listed

CLASSES = "classes"
"""The field that names the classes, as `classes=lymphocyte+rest`."""
REST = "rest"
"""The class of all images whose label `classes` does not name."""

_OWN = ("label", "group", "split")


def chosen_records(
    root: Path, records: Sequence[Record], fields: Mapping[str, str]
) -> list[Record]:
    """Take the records whose columns have the values asked for.

    Args:
        root: The folder, for messages.
        records: All its records.
        fields: The value of each column, or several joined by `+`; `classes` names the labels
            that are kept, and `rest` among them makes one class of all others.

    Raises:
        InvalidValueError: If there is no such column, or no image with such a value.
    """
    found = list(records)
    for column, text in fields.items():
        wanted = text.split("+")
        if column == CLASSES:
            found = _of_classes(root, found, wanted)
            continue
        _check_column(root, records, column)
        values = {_value(record, column) for record in found}
        for value in wanted:
            if value not in values:
                raise InvalidValueError(
                    f"Expected `{column}` of {root} among {_some(values)}, got {value!r}: give one "
                    "of these, or several joined by +."
                )
        found = [record for record in found if _value(record, column) in wanted]
    return found


def columns_of(records: Sequence[Record]) -> dict[str, NDArray[np.str_]]:
    """Collect the values of each further column, `(count,)` texts, empty where there is none."""
    names = dict.fromkeys(name for record in records for name in record.columns)
    return {
        name: np.array([record.columns.get(name, "") for record in records], dtype=np.str_)
        for name in names
    }


def _of_classes(root: Path, records: Sequence[Record], wanted: Sequence[str]) -> list[Record]:
    labels = {record.label for record in records if record.label is not None}
    for name in wanted:
        if name not in labels and name != REST:
            raise InvalidValueError(
                f"Expected `{CLASSES}` of {root} among {_some(labels)}, got {name!r}: give one of "
                f"these, or several joined by +, the last perhaps {REST}."
            )
    if REST not in wanted or REST in labels:
        return [one for one in records if one.label is None or one.label in wanted]
    return [
        one if one.label is None or one.label in wanted else replace(one, label=REST)
        for one in records
    ]


def _check_column(root: Path, records: Sequence[Record], column: str) -> None:
    known = {name for name in _OWN if any(getattr(one, name) is not None for one in records)}
    known |= {name for record in records for name in record.columns}
    if column not in known:
        raise InvalidValueError(
            f"Expected a column of {root} among {_some(known)} or {CLASSES}, got {column!r}: give "
            "one of these, as COLUMN=VALUE."
        )


def _value(record: Record, column: str) -> str:
    value = getattr(record, column) if column in _OWN else record.columns.get(column)
    return "" if value is None else str(value)


def _some(values: set[str]) -> str:
    """A few values in words."""
    shown = sorted(values)
    return listed(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")
