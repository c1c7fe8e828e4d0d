"""Confusion matrices at the thresholds that validation chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybridq.plotting import confusion as draw_confusion
from hybridq.reports.page.elements import Figure, Heading, Part, Section
from hybridq.reports.page.parts import drawing
from hybridq.reports.sections.performance import EVALUATE
from hybridq.reports.sources.predictions import Arm, Facet

Floats = NDArray[np.float64]

NAMES_ROOM = 0.5
"""Inches by which names at the left of a matrix need more room than those below it."""


def confusion(facets: Sequence[Facet]) -> Section:
    """A matrix for each arm, where a class is predicted by a threshold or is the likeliest."""
    shown = [facet for facet in facets if not facet.multilabel]
    parts: list[Part] = []
    for facet in shown:
        if len(shown) > 1:
            parts.append(Heading(facet.title))
        parts += [_figure(facet, arm, k + 1) for k, arm in enumerate(facet.arms)]
    return Section("confusion", "Confusion matrix", tuple(parts), EVALUATE)


def _figure(facet: Facet, arm: Arm, number: int) -> Figure:
    matrix, names = _matrix(facet, arm), facet.class_names
    side = max(3.2, 0.42 * len(names) + 1.4)
    caption = "Counts, and shares of the actual class."
    if facet.positive is not None:
        caption += " Thresholds were chosen on validation, by balanced accuracy."
    if len(arm.seeds) > 1:
        caption += " Counts are means over the seeds."
    return drawing(
        f"confusion-{facet.name}-{number}",
        arm.label,
        ["Confusion of actual and predicted classes.", _words(matrix, names)],
        lambda figure: draw_confusion(figure.subplots(), matrix, names),
        caption,
        arm.sources,
        about=facet.title,
        width=side,
        height=side - NAMES_ROOM,
    )


def _matrix(facet: Facet, arm: Arm) -> Floats:
    """Mean counts over the seeds, actual by predicted."""
    count = len(facet.class_names)
    cells = facet.labels * count + facet.predicted(arm)
    matrix = np.bincount(cells.ravel(), minlength=count**2).reshape(count, count)
    return np.asarray(matrix / len(arm.seeds))


def _words(matrix: Floats, class_names: Sequence[str]) -> str:
    parts = [
        f"{matrix[k, k]:.4g} of {matrix[k].sum():.4g} {class_names[k]}"
        for k in range(len(class_names))
        if matrix[k].sum()
    ]
    return f"Right for {', '.join(parts)}."
