"""The picture of the images whose predicted class flips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.studies.summary import flip_shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

GALLERY = 12
COLUMNS = 4
BLUE = "#0072B2"


def draw_flips(
    figure: Figure,
    flipped: Sequence[Sequence[int]],
    ids: Sequence[str],
    labels: NDArray[np.int64],
    images: NDArray[np.uint8],
    class_names: Sequence[str],
    where: str,
) -> None:
    """Draw the images that flip most often beside the flip shares of all images.

    Args:
        figure: to draw on.
        flipped: for each setting and model, the indices of the images that flip; not empty.
        ids: of the images.
        labels: `(images,)` true classes.
        images: `(images, height, width, channels)`.
        class_names: names of the classes.
        where: what the title says of the data.
    """
    shares = flip_shares(flipped, len(ids))
    order = np.argsort(-shares, kind="stable")
    shown = [int(k) for k in order[:GALLERY] if shares[k] > 0]
    noisy = f"{len(flipped)} noisy evaluation{'s' if len(flipped) > 1 else ''}"
    figure.suptitle(f"Images whose predicted class flips, over {noisy}\n{where}", fontsize=12)
    if not shown:
        figure.set_size_inches(7, 1.6)
        text = f"No image flips: all {len(ids)} keep the noiseless model's class."
        figure.text(0.5, 0.3, text, ha="center", va="center", fontsize=11)
        return
    columns, lines = min(COLUMNS, len(shown)), -(-len(shown) // COLUMNS)
    figure.set_size_inches(1.75 * columns + 5, max(2.2 * lines, 3) + 0.8)
    gallery, bars = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.75 * columns, 5])[0]
    for position, k in enumerate(shown):
        axes = gallery.add_subplot(lines, columns, position + 1)
        axes.imshow(images[k].squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        title = f"{_short(ids[k])}\n{_short(class_names[labels[k]])}\n{shares[k]:.1%}"
        axes.set_title(title, fontsize=8)
    _bars(bars, shares[order])


def _bars(figure: SubFigure, shares: NDArray[np.float64]) -> None:
    axes = figure.subplots()
    axes.stairs(shares, np.arange(len(shares) + 1), fill=True, color=BLUE)
    axes.set(xlim=(0, len(shares)), ylim=(0, 1.05 * shares[0]))
    axes.set_xlabel("images, sorted")
    axes.set_ylabel("share of evaluations in which it flips")
    times = np.count_nonzero(shares)
    axes.set_title(f"{times} of {len(shares)} images flip at least once", fontsize=10)


def _short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"
