"""Matrices as cells with numbers in them, images beside each other, and clouds of points."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.plotting.style import QUIET, SERIES, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Floats = NDArray[np.float64]

FEW = 4
"""Classes up to which a confusion matrix has upright names, and shares in words."""
FULL = 0.45
"""Opacity of the fullest cell: numbers stay legible on it, on light and dark paper."""
MANY_POINTS = 1500
"""A cloud of so many points or more is drawn as pixels inside an SVG."""


def heat_map(
    axes: Axes,
    shares: Floats,
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    colour: str = SERIES[0],
    fontsize: float = 9,
    rotation: float = 0,
) -> None:
    """Draw texts in cells that are the fuller the larger their share is.

    Args:
        axes: Empty.
        shares: `(rows, columns)`, 0 for an empty and 1 for the fullest cell; grey where NaN.
        texts: What is written into the cells.
        rows: Names at the left, from the top.
        columns: Names below.
        colour: The colour of full cells.
        fontsize: The font size of the texts.
        rotation: The rotation of the names below, in degrees.
    """
    from matplotlib.patches import Rectangle

    for (row, column), share in np.ndenumerate(shares):
        face, alpha = (QUIET, 0.15) if np.isnan(share) else (colour, FULL * share)
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, alpha=alpha))
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=QUIET, linewidth=0.5))
        axes.text(column, row, texts[row][column], ha="center", va="center", fontsize=fontsize)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    align = "right" if 0 < rotation < 90 else "center"
    axes.set_xticks(range(len(columns)), columns, rotation=rotation, ha=align)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)


def confusion(axes: Axes, matrix: Floats, class_names: Sequence[str]) -> None:
    """Draw a confusion matrix: counts as numbers, shares of the actual class as tints.

    Args:
        axes: Empty.
        matrix: `(classes, classes)`, actual by predicted.
        class_names: Names of the classes.
    """
    few = len(class_names) <= FEW
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    texts = [
        [
            f"{count:.4g}" + (f"\n{share:.0%}" if few else "")
            for count, share in zip(*row, strict=True)
        ]
        for row in zip(matrix, shares, strict=True)
    ]
    names = [textwrap.fill(name, 12) for name in class_names]
    size, rotation = (11, 0) if few else (7, 90)
    heat_map(axes, shares, texts, names, names, fontsize=size, rotation=rotation)
    axes.set(xlabel="predicted", ylabel="actual")


def gallery(
    figure: Figure | SubFigure, images: Sequence[NDArray[Any]], titles: Sequence[str], columns: int
) -> None:
    """Draw images of 8 bits, grey or in colour, in rows of `columns`, each under its title."""
    for k, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(-(-len(images) // columns), min(columns, len(images)), k + 1)
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        axes.set_title(title, fontsize=8)


def scatter(
    axes: Axes, points: Floats, labels: NDArray[np.int64], class_names: Sequence[str]
) -> None:
    """Draw points `(points, 2)` in the colours and markers of their classes, without axes."""
    for k, name in enumerate(class_names):
        x, y = points[labels == k].T
        style = {key: look(k)[key] for key in ("color", "marker")}
        many = len(points) > MANY_POINTS
        axes.scatter(x, y, s=16, alpha=0.75, linewidths=0, label=name, rasterized=many, **style)
    axes.axis("off")
