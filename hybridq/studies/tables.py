"""Tables of studies as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridq.utils.files import write_csv


def write_rows(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Write dicts as CSV, numbers in full; what is unknown is empty.

    Args:
        path: The file.
        rows: At least one, where no columns are given.
        columns: Keys, in their order; those of the first row where they are not given.
    """
    header = list(columns or rows[0])
    write_csv(path, header, [[_cell(row[name]) for name in header] for row in rows])


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)
