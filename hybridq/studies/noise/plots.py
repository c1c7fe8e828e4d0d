"""Pictures of a noise study: figures of merit, margins, mitigation, and the images that flip."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.data import ImageSplit
from hybridq.evaluation.statistics.seeds import SeedInterval, seed_interval
from hybridq.plotting import (
    Line,
    band,
    gallery,
    heat_map,
    legend_below,
    lines,
    panels,
    reference,
    save_png,
)
from hybridq.plotting.style import INK, QUIET, SERIES
from hybridq.studies.summary import (
    MARGINS,
    PAIRED,
    Row,
    flip_shares,
    mitigation_order,
    shots_order,
)
from hybridq.studies.tables import grouped
from hybridq.utils.text import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy,\nthreshold kept",
    "adapted_balanced_accuracy": "balanced accuracy,\nthreshold chosen anew",
    "calibration_error": "calibration error",
    "flips": "share of images that flip",
    "rms_error": "RMS error of expectation values",
}
HEAT = {"rms_error": SERIES[1], "balanced_accuracy": SERIES[0], "flips": SERIES[1]}
"""Figures in the heat maps of mitigation, and their colours: where more is worse, another one."""
SCALE_LABEL = "noise scale (1 = the device)"
GALLERY, COLUMNS = 12, 4


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


def draw_merits(figure: Figure, rows: Sequence[Row], *, key: str) -> None:
    """Draw figures of merit against `noise_scale` or `shots`, for rows that are alike otherwise.

    Exact values stand at the right of the numbers of shots, apart from their line.
    """
    values = sorted({row[key] for row in rows}, key=shots_order)
    place = {value: float(value) for value in values if value is not None}
    if None in values:
        place |= {"break": math.nan, None: 4 * max(place.values(), default=1)}
    named = {place[v]: "exact" if v is None else f"{v:,.9g}" for v in values}
    first, last = place[values[0]], place[values[-1]]
    settings: dict[str, Any] = {"apart": 0.03, "xlim": (first - 0.15, last + 0.15)}
    at, xlabel = shots_text(rows[0]["shots"]), SCALE_LABEL
    if key == "shots":
        settings = {"apart": 0.08, "xscale": "log", "xlim": (first / 1.6, last * 1.6)}
        at, xlabel = f"noise scale {rows[0]['noise_scale']:g}", "shots"
    settings |= {"ticks": named, "xlabel": xlabel}
    names = defined(rows, LABELS)
    columns = 2 if len(names) == 4 else 3
    grid = panels(figure, len(names), 4.6, 3.5, columns=columns, sharey=False)
    for axes, name in zip(grid, names, strict=True):
        shown = _curves(rows, name, key, place)
        lines(axes, shown, markers=True, ylabel=LABELS[name], **settings)
        noiseless, control = (_paired(rows, other, name) for other in ("noiseless", "control"))
        if noiseless.seeds and 0 not in values:
            reference(axes, noiseless.mean, color=INK, label="noiseless")
        if control.seeds:
            reference(axes, control.mean, linestyle="--", label="classical control")
        if control.seeds > 1:
            axes.axhspan(control.low, control.high, color=QUIET, alpha=0.1, linewidth=0)
        low, high = axes.get_ylim()
        axes.set_ylim((low, min(high, 1.01)) if name in PAIRED else (min(0, -0.02 * high), high))
    _entitle(figure, f"Figures of merit against {key.removesuffix('_scale')}, {at}", rows)


def _paired(rows: Sequence[Row], other: str, name: str) -> SeedInterval:
    """The interval of a figure of the noiseless models or of their controls.

    Figures that are not paired are of no control, and 0 without noise.
    """
    if name in PAIRED:
        return seed_interval(rows, f"{other}_{PAIRED[name]}")
    return SeedInterval(0, math.nan, math.nan, int(other == "noiseless"), 0)


def _curves(rows: Sequence[Row], name: str, key: str, place: Mapping[Any, float]) -> list[Line]:
    """A line for each device through the places of the values of `key`; NaN breaks it."""
    shown = []
    for device, own in sorted(grouped(rows, "device").items()):
        found = intervals_by(own, key, name)
        points = [
            (x, at.mean, at.low, at.high) if (at := found.get(value)) else (x,) * 4
            for value, x in place.items()
            if value in found or math.isnan(x)
        ]
        shown.append(Line.through(device, points))
    return shown


def draw_margin(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw quantiles over the images of their margin, for rows of one number of shots."""
    by_device = grouped([row for row in rows if not math.isnan(row["margin_p50"])], "device")
    grid = panels(figure, len(by_device), 3.6, 3.4, sharey=True)
    for axes, (device, own) in zip(grid, sorted(by_device.items()), strict=True):
        by_name = [intervals_by(own, "noise_scale", name) for name in MARGINS]
        x = np.array(sorted(by_name[0]))
        p05, p25, p50, p75, p95 = np.array([[found[at].mean for at in x] for found in by_name])
        for low, high, alpha, share in ((p05, p95, 0.2, "5 to 95"), (p25, p75, 0.35, "25 to 75")):
            band(axes, x, low, high, color=SERIES[0], alpha=alpha, label=f"{share} % of the images")
        lines(axes, [Line("median", x, p50, style={"color": INK})], markers=True)
        reference(axes, 0)
        room = 0.5 if len(x) == 1 else 0.15
        axes.set(title=device, xlabel=SCALE_LABEL, xlim=(x[0] - room, x[-1] + room))
    grid[0].set_ylabel("probability of the true class\nminus the largest other")
    title = f"Margin of the images against noise, {shots_text(rows[0]['shots'])}"
    _entitle(figure, title, rows, intervals=False)


def draw_mitigation(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw device by mitigation, for rows of one noise scale and number of shots."""
    names = defined(rows, HEAT)
    by_device = dict(sorted(grouped(rows, "device").items()))
    devices, mitigations = (
        list(by_device),
        sorted(grouped(rows, "mitigation"), key=mitigation_order),
    )
    width, height = max(0.75 * len(mitigations) + 0.8, 3), 0.75 * len(devices) + 1.2
    grid = panels(figure, len(names), width, height, sharey=True)
    for axes, name in zip(grid, names, strict=True):
        values = np.full((len(devices), len(mitigations)), np.nan)
        texts = [["–"] * len(mitigations) for _ in devices]
        for at, own in enumerate(by_device.values()):
            for mitigation, found in intervals_by(own, "mitigation", name).items():
                column = mitigations.index(mitigation)
                values[at, column] = found.mean
                half = f"\n±{found.high - found.mean:.3f}" if found.seeds > 1 else ""
                texts[at][column] = f"{found.mean:.3f}{half}"
        shares = (values - np.nanmin(values)) / (np.ptp(values[~np.isnan(values)]) or 1)
        heat_map(axes, shares, texts, devices, mitigations, colour=HEAT[name], rotation=35)
        axes.set_title(LABELS[name] + _references(rows, name))
    scale, shots = rows[0]["noise_scale"], shots_text(rows[0]["shots"])
    _entitle(figure, f"Mitigation, noise scale {scale:g}, {shots}", rows)


def _references(rows: Sequence[Row], name: str) -> str:
    """A line for the title: the noiseless model's and the control's means, where there are any."""
    if name not in PAIRED:
        return ""
    others = {"noiseless": "noiseless", "classical control": "control"}
    means = {who: _paired(rows, other, name).mean for who, other in others.items()}
    return "\n" + ", ".join(f"{who} {m:.3f}" for who, m in means.items() if not math.isnan(m))


def draw_flips(
    figure: Figure, rows: Sequence[Row], split: ImageSplit, class_names: Sequence[str]
) -> None:
    """Draw the images that flip most often beside the flip shares of all images.

    Args:
        figure: to draw on.
        rows: of the table, with the indices of the images that flip as `flipped`; not empty.
        split: the images.
        class_names: names of the classes.
    """
    shares = flip_shares([row["flipped"] for row in rows], len(split))
    order = np.argsort(-shares, kind="stable")
    shown = [int(k) for k in order[:GALLERY] if shares[k] > 0]
    over = counted(len(rows), "noisy evaluation")
    figure.suptitle(f"Images whose predicted class flips, over {over}\n{where_text(rows)}")
    if not shown:
        figure.set_size_inches(7, 1.6)
        text = f"No image flips: all {len(split)} keep the noiseless model's class."
        figure.text(0.5, 0.3, text, ha="center", va="center", fontsize=11)
        return
    width, height = 1.75 * min(COLUMNS, len(shown)), -(-len(shown) // COLUMNS)
    figure.set_size_inches(width + 5, max(2.2 * height, 3) + 0.8)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[width, 5])[0]
    hot = split.labels if split.labels.ndim == 2 else np.eye(len(class_names))[split.labels]
    named = ["+".join(class_names[int(c)] for c in np.flatnonzero(one)) for one in hot]
    titles = [f"{_short(split.ids[k])}\n{_short(named[k])}\n{shares[k]:.1%}" for k in shown]
    gallery(left, [split.images[k] for k in shown], titles, COLUMNS)
    axes = right.subplots()
    axes.stairs(shares[order], np.arange(len(shares) + 1), fill=True, color=SERIES[0])
    axes.set(xlim=(0, len(shares)), ylim=(0, 1.05 * shares.max()), xlabel="images, sorted")
    axes.set_ylabel("share of evaluations in which it flips")
    axes.set_title(f"{np.count_nonzero(shares)} of {len(shares)} images flip at least once")


def _short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"


def _entitle(figure: Figure, title: str, rows: Sequence[Row], *, intervals: bool = True) -> None:
    """The title, and one legend under all panels."""
    figure.suptitle(f"{title}\n{where_text(rows, intervals=intervals)}")
    legend_below(figure)


def defined(rows: Sequence[Row], names: Iterable[str]) -> list[str]:
    """Keep the ones of `names` that some row has a value of."""
    return [name for name in names if not all(math.isnan(row[name]) for row in rows)]


def intervals_by(rows: Sequence[Row], key: str, name: str) -> dict[Any, SeedInterval]:
    """The defined intervals of the figure `name` for each value of `key`."""
    every = {value: seed_interval(own, name) for value, own in grouped(rows, key).items()}
    return {value: found for value, found in every.items() if found.seeds}


def where_text(rows: Sequence[Row], *, intervals: bool = False) -> str:
    """What a title says of the data: set, split, seeds and, if wanted, what the intervals are."""
    data, split = (", ".join(sorted({row[key] for row in rows})) for key in ("data", "split"))
    seeds = len({row["seed"] for row in rows})
    over = ", 95 % intervals over seeds" if intervals and seeds > 1 else ""
    return f"{data}, {split} split, {counted(seeds, 'seed')}{over}"


def shots_text(shots: int | None) -> str:
    """What a title says of the shots."""
    return "exact values" if shots is None else f"{shots:,} shots"
