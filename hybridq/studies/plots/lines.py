"""Lines of a noise study: figures of merit against noise and shots, margins against noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.studies.plots.parts import LABELS, defined, intervals_by, shots_text, where_text
from hybridq.studies.summary import MARGINS, PAIRED, Row, SeedInterval, seed_interval

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours without yellow, which is faint on white; the markers tell apart too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#555555"
PALE, MIDDLE = "#cce3f0", "#84b9d9"
INNER, OUTER = "25 to 75 % of the images", "5 to 95 % of the images"
SCALE_LABEL = "noise scale (1 = the device)"


@dataclass(frozen=True)
class _Device:
    """A device's rows and its look; `shift` (-0.5 to 0.5) keeps lone points apart."""

    name: str
    rows: list[Row]
    colour: str
    marker: str
    shift: float


def draw_scale(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw figures of merit against noise scale, for rows of one number of shots."""
    scales = {row["noise_scale"] for row in rows}
    for axes, name in _panels(figure, defined(rows, LABELS)):
        for device in _devices(rows):
            points = intervals_by(device.rows, "noise_scale", name)
            shift = 0.15 * device.shift if len(scales) == 1 else 0
            _series(axes, {scale + shift: points[scale] for scale in points}, device)
        if 0 not in scales:
            noiseless = 0.0
            if name in PAIRED:
                noiseless = seed_interval(rows, f"noiseless_{PAIRED[name]}").mean
            if not math.isnan(noiseless):
                axes.plot(0, noiseless, "*", color="black", markersize=10, label="noiseless")
        _finish(axes, rows, name)
        axes.set_xlabel(SCALE_LABEL)
        axes.set_xlim(min(0, *scales) - 0.15, max(scales) + 0.15)
    shots = shots_text(rows[0]["shots"])
    _entitle(figure, f"Figures of merit against noise, {shots}\n{where_text(rows, intervals=True)}")


def draw_shots(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw figures of merit against shots, for rows of one noise scale."""
    finite = sorted({row["shots"] for row in rows if row["shots"] is not None})
    exact = any(row["shots"] is None for row in rows)
    right = 4.0 * max(finite, default=1)
    ticks = [*finite, *([right] if exact else [])]
    names = [*(f"{shots:,}" for shots in finite), *(["exact"] if exact else [])]
    for axes, name in _panels(figure, defined(rows, LABELS)):
        axes.set_xscale("log")
        axes.set_xlim(ticks[0] / 1.6, ticks[-1] * 1.6)
        for device in _devices(rows):
            points = intervals_by(device.rows, "shots", name)
            apart = 1.3**device.shift
            lone = apart if len(finite) == 1 else 1
            _series(axes, {n * lone: points[n] for n in points if n is not None}, device)
            if None in points:
                _series(axes, {right * apart: points[None]}, device)
        if name in PAIRED:
            noiseless = seed_interval(rows, f"noiseless_{PAIRED[name]}")
            if noiseless.seeds:
                axes.axhline(noiseless.mean, color="black", linestyle=":", label="noiseless")
        _finish(axes, rows, name)
        axes.set_xlabel("shots")
        axes.set_xticks(ticks, names)
        axes.minorticks_off()
    title = f"Figures of merit against shots, noise scale {rows[0]['noise_scale']:g}"
    _entitle(figure, f"{title}\n{where_text(rows, intervals=True)}")


def draw_margin(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw quantiles over the images of their margin, for rows of one number of shots."""
    devices = [device for device in _devices(rows) if defined(device.rows, ["margin_p50"])]
    columns, lines = min(3, len(devices)), -(-len(devices) // 3)
    figure.set_size_inches(max(3.6 * columns, 6), 3.4 * lines + 1)
    first = None
    for k, device in enumerate(devices):
        axes = figure.add_subplot(lines, columns, k + 1, sharey=first)
        first = first or axes
        _quantiles(axes, device)
        axes.axhline(0, color=GREY, linestyle=":", linewidth=1)
        axes.set_title(device.name, fontsize=10)
        axes.set_xlabel(SCALE_LABEL)
        axes.grid(alpha=0.25)
        if k % columns == 0:
            axes.set_ylabel("probability of the true class\nminus the largest other")
    shots = shots_text(rows[0]["shots"])
    _entitle(figure, f"Margin of the images against noise, {shots}\n{where_text(rows)}")


def _quantiles(axes: Axes, device: _Device) -> None:
    """The median's line and two bands, or bars if there is one scale only."""
    by_name = {name: intervals_by(device.rows, "noise_scale", name) for name in MARGINS}
    scales = sorted(by_name["margin_p50"])
    p05, p25, p50, p75, p95 = ([by_name[name][scale].mean for scale in scales] for name in MARGINS)
    if len(scales) == 1:
        axes.vlines(scales, p05, p95, color=PALE, linewidth=4, label=OUTER)
        axes.vlines(scales, p25, p75, color=MIDDLE, linewidth=10, label=INNER)
        axes.plot(scales, p50, "o", color="black", label="median")
        axes.set_xlim(scales[0] - 0.5, scales[0] + 0.5)
    else:
        axes.fill_between(scales, p05, p95, color=PALE, linewidth=0, label=OUTER)
        axes.fill_between(scales, p25, p75, color=MIDDLE, linewidth=0, label=INNER)
        axes.plot(scales, p50, "o-", color="black", markersize=4, label="median")


def _devices(rows: Sequence[Row]) -> list[_Device]:
    names = sorted({row["device"] for row in rows})
    return [
        _Device(
            name,
            [row for row in rows if row["device"] == name],
            COLOURS[k % len(COLOURS)],
            MARKERS[k % len(MARKERS)],
            (k + 0.5) / len(names) - 0.5,
        )
        for k, name in enumerate(names)
    ]


def _series(axes: Axes, points: Mapping[float, SeedInterval], device: _Device) -> None:
    """A line with its band, or a point with its error bar if there is only one."""
    x = sorted(points)
    mean, low, high = (
        np.array([getattr(points[k], end) for k in x]) for end in ("mean", "low", "high")
    )
    style: dict[str, Any] = {
        "color": device.colour,
        "marker": device.marker,
        "markersize": 5,
        "label": device.name,
    }
    if len(x) == 1:
        bars = np.nan_to_num(np.array([mean - low, high - mean]))
        axes.errorbar(x, mean, bars, linestyle="none", capsize=3, **style)
    elif x:
        axes.plot(x, mean, **style)
        axes.fill_between(x, low, high, color=device.colour, alpha=0.15, linewidth=0)


def _panels(figure: Figure, names: Sequence[str]) -> Iterator[tuple[Axes, str]]:
    columns = 2 if len(names) == 4 else min(3, len(names))
    lines = -(-len(names) // columns)
    figure.set_size_inches(max(4.6 * columns, 6), 3.5 * lines + 1)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    for axes, name in zip(grid.flat, names, strict=False):
        axes.set_ylabel(LABELS[name])
        axes.grid(alpha=0.25)
        yield axes, name


def _finish(axes: Axes, rows: Sequence[Row], name: str) -> None:
    """The control's line and band, where there is one, and the ends of the axis of shares."""
    if name in PAIRED:
        control = seed_interval(rows, f"control_{PAIRED[name]}")
        if control.seeds:
            axes.axhline(
                control.mean, color=GREY, linestyle="--", zorder=1, label="classical control"
            )
        if control.seeds > 1:
            axes.axhspan(control.low, control.high, color=GREY, alpha=0.1, linewidth=0)
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.01))
    else:
        axes.set_ylim(bottom=min(0, -0.02 * axes.get_ylim()[1]))


def _entitle(figure: Figure, title: str) -> None:
    """The title, and one legend under all panels."""
    figure.suptitle(title, fontsize=12)
    handles: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=5, frameon=False
    )
