"""The heat maps of a noise study's mitigation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hybridq.studies.plots.parts import LABELS, defined, intervals_by, shots_text, where_text
from hybridq.studies.summary import PAIRED, Row, SeedInterval, mitigation_order, seed_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT = {"rms_error": "Oranges", "balanced_accuracy": "Blues", "flips": "Oranges"}


def draw_mitigation(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw device by mitigation, for rows of one noise scale and number of shots."""
    names = defined(rows, HEAT)
    devices = sorted({row["device"] for row in rows})
    mitigations = sorted({row["mitigation"] for row in rows}, key=mitigation_order)
    by_device = {name: [row for row in rows if row["device"] == name] for name in devices}
    width, height = max(0.75 * len(mitigations) + 0.4, 3), 0.75 * len(devices) + 2.2
    figure.set_size_inches(width * len(names) + 1.2, height)
    grid = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for axes, name in zip(grid, names, strict=True):
        cells = {
            (device, mitigation): found
            for device, own in by_device.items()
            for mitigation, found in intervals_by(own, "mitigation", name).items()
        }
        _heat(axes, cells, devices, mitigations, HEAT[name])
        axes.set_xticks(range(len(mitigations)), mitigations, rotation=35, ha="right")
        axes.set_yticks(range(len(devices)), devices)
        axes.set_title(LABELS[name] + _references(rows, name), fontsize=10)
    scale, shots = rows[0]["noise_scale"], shots_text(rows[0]["shots"])
    title = f"Mitigation, noise scale {scale:g}, {shots}"
    figure.suptitle(f"{title}\n{where_text(rows, intervals=True)}", fontsize=12)


def _references(rows: Sequence[Row], name: str) -> str:
    """A line for the title: the noiseless model's and the control's means, where there are any."""
    if name not in PAIRED:
        return ""
    means = {
        "noiseless": seed_interval(rows, f"noiseless_{PAIRED[name]}").mean,
        "classical control": seed_interval(rows, f"control_{PAIRED[name]}").mean,
    }
    known = [f"{who} {mean:.3f}" for who, mean in means.items() if not math.isnan(mean)]
    return "\n" + ", ".join(known)


def _heat(
    axes: Axes,
    cells: Mapping[tuple[str, str], SeedInterval],
    devices: Sequence[str],
    mitigations: Sequence[str],
    cmap: str,
) -> None:
    """A heat map with mean and half width in its cells; grey where there is no value."""
    values = np.full((len(devices), len(mitigations)), np.nan)
    for (row, device), (column, mitigation) in product(enumerate(devices), enumerate(mitigations)):
        text = "–"
        if (device, mitigation) in cells:
            found = cells[device, mitigation]
            values[row, column] = found.mean
            text = f"{found.mean:.3f}"
            if found.seeds > 1:
                text += f"\n±{found.high - found.mean:.3f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pale = 1.5 * (high - low) or 1  # the darkest third is left out, for black numbers to be read
    axes.set_facecolor("#eeeeee")
    shown = np.ma.masked_invalid(values)
    axes.imshow(shown, cmap=cmap, vmin=low, vmax=low + pale, aspect="auto")
