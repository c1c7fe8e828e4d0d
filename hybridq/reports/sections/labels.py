"""The label-efficiency curve: AUC against the share of the training labels in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from hybridq.evaluation.summaries import BY_LABELS, curves, share_of
from hybridq.reports.page.elements import Figure, Section
from hybridq.reports.sections import drawings
from hybridq.reports.sources.measures import evaluated
from hybridq.reports.sources.predictions import Facet

MOST_LINES = 6


def label_curve(facets: Sequence[Facet]) -> Section:
    """A drawing for each data set with models on at least two shares of the labels.

    Args:
        facets: of evaluations.
    """
    groups: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for facet in facets:
        own = groups[f"{facet.data}, {facet.split}, {facet.where}"]
        for arm in facet.arms:
            found = evaluated(facet, arm, "auc")
            if found is not None:
                point = {"arm": arm, "labels": facet.fraction, "auc": found}
                own[arm.name].append(point)
    figures = []
    for k, (group, own) in enumerate(groups.items(), start=1):
        lines = [points for points in own.values() if len(points) > 1]  # one share is no line
        for start in range(0, len(lines), MOST_LINES):
            figures += _figure(f"labels-{k}-{start + 1}", group, lines[start : start + MOST_LINES])
    return Section(
        "labels",
        "Label efficiency",
        tuple(figures),
        "`hybridq evaluate` of runs that differ in `--labels` and nothing else but the seed",
    )


def _figure(name: str, group: str, lines: Sequence[Sequence[dict[str, Any]]]) -> list[Figure]:
    points = [point for line in lines for point in line]
    over = sorted({point["auc"].over for point in points if point["auc"].over})
    caption = "A line joins models trained in the same way on another share of the labels. "
    caption += f"95% intervals over {' or '.join(over)}." if over else "There are no intervals."
    words = {"title": group, "caption": caption, **BY_LABELS}
    shown = curves(points, lambda point: point["arm"].name, share_of, itemgetter("auc"), **words)
    sources = [source for point in points for source in point["arm"].sources]
    return [drawings.curves(name, shown, sources, "AUC")] if shown is not None else []
