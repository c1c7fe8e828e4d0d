"""What the pictures of studies share: how they are written, names, titles, intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hybridq.studies.summary import Row, SeedInterval, seed_interval
from hybridq.utils.files import atomic_path

LABELS = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy,\nthreshold kept",
    "adapted_balanced_accuracy": "balanced accuracy,\nthreshold chosen anew",
    "calibration_error": "calibration error",
    "flips": "share of images that flip",
    "rms_error": "RMS error of expectation values",
}


def save_picture(path: Path, draw: Callable[..., None], *what: Any) -> Path:
    """Write a PNG that `draw` makes of a figure and `what`; return its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure, *what)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
    return path


def defined(rows: Sequence[Row], names: Iterable[str]) -> list[str]:
    """Those of `names` that some row has a value of."""
    return [name for name in names if not all(math.isnan(row[name]) for row in rows)]


def intervals_by(rows: Sequence[Row], key: str, name: str) -> dict[Any, SeedInterval]:
    """The defined intervals of the figure `name` for each value of `key`."""
    values = {row[key] for row in rows}
    every = {
        value: seed_interval([row for row in rows if row[key] == value], name) for value in values
    }
    return {value: found for value, found in every.items() if found.seeds}


def where_text(rows: Sequence[Row], *, intervals: bool = False) -> str:
    """What a title says of the data: set, split, seeds and, if wanted, what the intervals are."""
    data, split = (", ".join(sorted({row[key] for row in rows})) for key in ("data", "split"))
    seeds = len({row["seed"] for row in rows})
    over = ", 95 % intervals over seeds" if intervals and seeds > 1 else ""
    return f"{data}, {split} split, {seeds} seed{'s' if seeds > 1 else ''}{over}"


def shots_text(shots: int | None) -> str:
    """What a title says of the shots."""
    return "exact values" if shots is None else f"{shots:,} shots"
