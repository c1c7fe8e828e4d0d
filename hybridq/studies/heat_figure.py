"""The heat maps of a noise study's mitigation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridq.studies.figure_parts import LABELS, defined, intervals_by, shots_text, where_text
from hybridq.studies.summary import Row, SeedInterval, mitigation_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT = {"rms_error": "Oranges", "balanced_accuracy": "Blues", "flips": "Oranges"}


def draw_mitigation(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw device by mitigation, for rows of one noise scale and number of shots."""
    names = defined(rows, HEAT)
    devices = sorted({row["device"] for row in rows})
    mitigations = sorted({row["mitigation"] for row in rows}, key=mitigation_order)
    width, height = 0.95 * len(mitigations) + 0.6, 0.75 * len(devices) + 2.2
    figure.set_size_inches(width * len(names) + 1.2, height)
    grid = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for axes, name in zip(grid, names, strict=True):
        cells = {
            (i, j): found
            for i, device in enumerate(devices)
            for mitigation, found in intervals_by(
                [row for row in rows if row["device"] == device], "mitigation", name
            ).items()
            for j in [mitigations.index(mitigation)]
        }
        _heat(axes, cells, (len(devices), len(mitigations)), HEAT[name])
        axes.set_xticks(range(len(mitigations)), mitigations, rotation=35, ha="right")
        axes.set_yticks(range(len(devices)), devices)
        axes.set_title(LABELS[name], fontsize=10)
    scale, shots = rows[0]["noise_scale"], shots_text(rows[0]["shots"])
    figure.suptitle(f"Mitigation, noise scale {scale:g}, {shots}\n{where_text(rows)}", fontsize=12)


def _heat(
    axes: Axes, cells: Mapping[tuple[int, int], SeedInterval], shape: tuple[int, int], cmap: str
) -> None:
    """A heat map with mean and half width in its cells; grey where there is no value."""
    values = np.full(shape, np.nan)
    for place, found in cells.items():
        values[place] = found.mean
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    shades = np.nan_to_num((values - low) / ((high - low) or 1))
    axes.set_facecolor("#eeeeee")
    axes.imshow(np.ma.masked_invalid(values), cmap=cmap, vmin=low, vmax=high or 1, aspect="auto")
    for place in np.ndindex(shape):
        text = "–"
        if place in cells:
            found = cells[place]
            text = f"{found.mean:.3f}"
            if found.seeds > 1:
                text += f"\n±{found.high - found.mean:.3f}"
        dark = shades[place] > 0.6
        axes.text(
            *place[::-1],
            text,
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else "black",
        )
