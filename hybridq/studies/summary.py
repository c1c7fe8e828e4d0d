"""Summaries of a noise study's table: means over training seeds, and which images flip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.statistics.seeds import SeedInterval, seed_interval
from hybridq.studies.tables import grouped

Row = Mapping[str, Any]

PAIRED = {
    "auc": "auc",
    "balanced_accuracy": "balanced_accuracy",
    "adapted_balanced_accuracy": "balanced_accuracy",
    "calibration_error": "calibration_error",
}
"""Figures that are compared, and what they are compared with, after `noiseless_` and `control_`."""
MARGINS = ("margin_p05", "margin_p25", "margin_p50", "margin_p75", "margin_p95")
MERITS = (*PAIRED, "accuracy", "flips", "rms_error", *MARGINS)


def shots_order(shots: int | None) -> float:
    """A key that sorts exact values (None) after every number of shots."""
    return math.inf if shots is None else shots


def mitigation_order(mitigation: str) -> tuple[bool, str]:
    """A key that sorts `none` before the named mitigations."""
    return mitigation != "none", mitigation


def summarise(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One dict for each setting and figure of merit, sorted by setting.

    A setting is a device, noise scale, number of shots (None is exact) and mitigation. The
    intervals are those of `seed_interval`: 95 %, over the training seeds, repeats averaged
    first. They tell how far another seed's model could differ on the same images, not how far
    other images could.

    Args:
        rows: of the table, one for each setting, trained model and repeat.

    Returns:
        Dicts with the setting (`device`, `noise_scale`, `shots`, `mitigation`), `figure` (its
        name), `mean`, `low`, `high`, `seeds` and `left_out` (rows whose value is NaN). For
        the figures of `PAIRED` also the paired differences, each
        model's value minus its own noiseless one (`minus_noiseless`) and minus its control's
        (`minus_control`), with `_low`, `_high`, `_seeds` and `_left_out` after their names.
        What is undefined or, for other figures, not compared is None.
    """
    columns = ("device", "noise_scale", "shots", "mitigation")
    settings = grouped(rows, *columns)
    ordered = sorted(settings, key=lambda s: (*s[:2], shots_order(s[2]), mitigation_order(s[3])))
    return [
        {**dict(zip(columns, setting, strict=True)), **_figure(settings[setting], name)}
        for setting in ordered
        for name in MERITS
    ]


def _figure(rows: Sequence[Row], name: str) -> dict[str, Any]:
    figure = {"figure": name, **_fields(seed_interval(rows, name))}
    for other in ("noiseless", "control"):
        pair: dict[str, Any] = dict.fromkeys(("mean", "low", "high", "seeds", "left_out"))
        if name in PAIRED:
            pair = _fields(seed_interval(rows, name, minus=f"{other}_{PAIRED[name]}"))
        minus = f"minus_{other}"
        figure[minus] = pair.pop("mean")
        figure |= {f"{minus}_{field}": value for field, value in pair.items()}
    return figure


def _fields(interval: SeedInterval) -> dict[str, Any]:
    return {key: None if math.isnan(value) else value for key, value in vars(interval).items()}


def flip_shares(flipped: Sequence[Sequence[int]], count: int) -> NDArray[np.float64]:
    """The share of the settings in which each image flips.

    Args:
        flipped: for each setting and model, the indices of the images whose predicted class
            differs from the noiseless model's; not empty.
        count: number of images.

    Returns:
        `(count,)`, each from 0 to 1.
    """
    times = np.zeros(count)
    for indices in flipped:
        times[np.asarray(indices, dtype=np.int64)] += 1
    return times / len(flipped)


def flip_table(
    rows: Sequence[Row], ids: Sequence[str], labels: NDArray[np.int64]
) -> tuple[list[str], list[list[Any]]]:
    """For each image, the share of the settings without mitigation in which it flips.

    Args:
        rows: of the table, with the indices of the images that flip as `flipped`.
        ids: of the images.
        labels: `(images,)` true classes, or `(images, classes)` of 0 and 1.

    Returns:
        A header (`id`, `label`, and `flipped_at_S` for each noise scale `S`) and one row for
        each image; a share is over the devices, shots, models and repeats at that scale.
    """
    plain = [row for row in rows if row["mitigation"] == "none"]
    by_scale = dict(sorted(grouped(plain, "noise_scale").items()))
    shares = [
        flip_shares([row["flipped"] for row in own], len(ids)).tolist() for own in by_scale.values()
    ]
    header = ["id", "label", *(f"flipped_at_{scale:.12g}" for scale in by_scale)]
    named = ["".join(map(str, c)) if isinstance(c, list) else c for c in labels.tolist()]
    columns = zip(ids, named, *shares, strict=True)
    return header, [list(line) for line in columns]
