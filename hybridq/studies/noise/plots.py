"""Pictures of a noise study: what noise, shots and mitigation do to trained models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.plotting import save_png
from hybridq.studies.noise.drawings import (
    HEAT,
    LABELS,
    defined,
    draw_flips,
    draw_margin,
    draw_merits,
    draw_mitigation,
    where_text,
)
from hybridq.studies.summary import MARGINS, Row, shots_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_noise_figures(
    folder: Path,
    rows: Sequence[Row],
    *,
    flipped: Sequence[Sequence[int]],
    ids: Sequence[str],
    labels: NDArray[np.int64],
    images: NDArray[np.uint8],
    class_names: Sequence[str],
) -> list[Path]:
    """Write the pictures that the table supports.

    `scale.png`, `shots.png`, `flips.png` and `margin.png` show rows without mitigation;
    `mitigation.png` needs more than one. Bands and bars are 95 % intervals over the training
    seeds (`seed_interval`).

    Args:
        folder: where they go.
        rows: of the study's table.
        flipped: for each row, the indices of the images that flip.
        ids: of the images.
        labels: `(images,)` true classes.
        images: `(images, height, width, channels)`.
        class_names: names of the classes.

    Returns:
        The paths written.
    """
    plain = [row for row in rows if row["mitigation"] == "none"]
    noisy = [
        indices
        for row, indices in zip(rows, flipped, strict=True)
        if row["mitigation"] == "none" and row["noise_scale"] > 0
    ]
    plans: tuple[tuple[str, Callable[..., None], list[Row], Iterable[str]], ...] = (
        ("scale.png", partial(draw_merits, key="noise_scale"), _most_exact(plain), LABELS),
        ("shots.png", partial(draw_merits, key="shots"), _nearest_device(plain), LABELS),
        ("mitigation.png", draw_mitigation, _mitigated(rows), HEAT),
        ("margin.png", draw_margin, _most_exact(plain), MARGINS),
    )
    written = [
        save_png(folder / name, partial(draw, rows=chosen))
        for name, draw, chosen, figures in plans
        if defined(chosen, figures)
    ]
    if noisy:
        where = where_text([row for row in plain if row["noise_scale"] > 0])

        def draw_noisy(figure: Figure) -> None:
            draw_flips(figure, noisy, ids, [class_names[k] for k in labels], images, where)

        written.append(save_png(folder / "flips.png", draw_noisy))
    return written


def _most_exact(rows: Sequence[Row]) -> list[Row]:
    """The rows of one number of shots: the one that most devices have, then the most exact."""
    devices: dict[int | None, set[str]] = {}
    for row in rows:
        devices.setdefault(row["shots"], set()).add(row["device"])
    shots = max(devices, key=lambda value: (len(devices[value]), shots_order(value)), default=None)
    return [row for row in rows if row["shots"] == shots]


def _nearest_device(rows: Sequence[Row]) -> list[Row]:
    """The rows whose noise scale is nearest to 1."""
    scales = {row["noise_scale"] for row in rows}
    scale = min(scales, key=lambda value: (abs(value - 1), value), default=None)
    return [row for row in rows if row["noise_scale"] == scale]


def _mitigated(rows: Sequence[Row]) -> list[Row]:
    """The rows to compare mitigation on: one noise scale and one number of shots, or none.

    The number of shots is the one with the most mitigations; then finite ones go before exact
    values, which would hide that mitigation raises the variance.
    """
    named = [row for row in rows if row["mitigation"] != "none"]
    if not named:
        return []
    scale = _nearest_device(named)[0]["noise_scale"]
    by_shots: dict[int | None, list[Row]] = {}
    for row in rows:
        if row["noise_scale"] == scale:
            by_shots.setdefault(row["shots"], []).append(row)

    def cells(shots: int | None) -> tuple[int, int]:
        pairs = {(row["device"], row["mitigation"]) for row in by_shots[shots]}
        return len(pairs), shots or 0

    kept = by_shots[max(by_shots, key=cells)]
    return kept if len({row["mitigation"] for row in kept}) > 1 else []
