"""Pictures of a noise study: what noise, shots and mitigation do to trained models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from hybridq.data import ImageSplit
from hybridq.plotting import save_png
from hybridq.studies.noise.drawings import (
    HEAT,
    LABELS,
    defined,
    draw_flips,
    draw_margin,
    draw_merits,
    draw_mitigation,
)
from hybridq.studies.summary import MARGINS, Row, shots_order
from hybridq.studies.tables import grouped


def save_noise_figures(
    folder: Path, rows: Sequence[Row], split: ImageSplit, class_names: Sequence[str]
) -> list[Path]:
    """Write the pictures that the table supports.

    `scale.png`, `shots.png`, `flips.png` and `margin.png` show rows without mitigation;
    `mitigation.png` needs more than one. Bands and bars are 95 % intervals over the training
    seeds (`seed_interval`).

    Args:
        folder: where they go.
        rows: of the study's table, with the indices of the images that flip as `flipped`.
        split: the images.
        class_names: names of the classes.

    Returns:
        The paths written.
    """
    plain = [row for row in rows if row["mitigation"] == "none"]
    noisy = [row for row in plain if row["noise_scale"] > 0]
    draw_noisy = partial(draw_flips, split=split, class_names=class_names)
    plans: tuple[tuple[str, Callable[..., None], Sequence[Row], Iterable[str]], ...] = (
        ("scale.png", partial(draw_merits, key="noise_scale"), _most_exact(plain), LABELS),
        ("shots.png", partial(draw_merits, key="shots"), _nearest_device(plain), LABELS),
        ("mitigation.png", draw_mitigation, _mitigated(rows), HEAT),
        ("margin.png", draw_margin, _most_exact(plain), MARGINS),
        ("flips.png", draw_noisy, noisy, ["noise_scale"]),
    )
    return [
        save_png(folder / name, partial(draw, rows=chosen))
        for name, draw, chosen, figures in plans
        if defined(chosen, figures)
    ]


def _most_exact(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows of one number of shots: the one that most devices have, then the most exact."""
    by_shots = grouped(rows, "shots")

    def rank(shots: int | None) -> tuple[int, float]:
        return len(grouped(by_shots[shots], "device")), shots_order(shots)

    return by_shots[max(by_shots, key=rank)] if rows else []


def _nearest_device(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows whose noise scale is nearest to 1."""
    by_scale = grouped(rows, "noise_scale")
    return by_scale[min(by_scale, key=lambda scale: (abs(scale - 1), scale))] if rows else []


def _mitigated(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows to compare mitigation on: one noise scale and one number of shots, or none.

    The number of shots is the one with the most mitigations; then finite ones go before exact
    values, which would hide that mitigation raises the variance.
    """
    named = _nearest_device([row for row in rows if row["mitigation"] != "none"])
    if not named:
        return []
    by_shots = grouped(grouped(rows, "noise_scale")[named[0]["noise_scale"]], "shots")

    def rank(shots: int | None) -> tuple[int, int]:
        return len(grouped(by_shots[shots], "device", "mitigation")), shots or 0

    kept = by_shots[max(by_shots, key=rank)]
    return kept if len(grouped(kept, "mitigation")) > 1 else []
