"""How well arms decide: ROC, precision-recall, confusion, calibration and decision curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.evaluation.metrics.curves import (
    RELIABILITY_BINS,
    THRESHOLDS,
    Band,
    Reliability,
    average_precision,
    net_benefit_band,
    net_benefit_of_all,
    precision_recall_band,
    reliability,
    roc_band,
)
from hybridq.evaluation.metrics.scores import binary_auc
from hybridq.plotting import (
    Line,
    legend_below,
    net_benefit,
    precision_recall,
    roc,
)
from hybridq.plotting import reliability as draw_reliability
from hybridq.reports.page.elements import Figure, Heading, Part, Section, Text
from hybridq.reports.page.parts import drawing
from hybridq.reports.sources.predictions import Facet
from hybridq.reports.sources.sources import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure

FEWEST = 10
"""Images to either side of a threshold, below which a net benefit is that of single images."""
WEIGHTED = (
    "Training with class weights (the default) makes probabilities those of equally frequent "
    "classes: too high for a class that is rarer in truth, too low for a commoner one."
)
MOST_LINES = 4
"""Curves with bands in one drawing; further arms get another one."""

Floats = NDArray[np.float64]
Decision = tuple[str, NDArray[np.bool_], Floats]

ALONE = ("calibration", "decision")
"""Kinds of drawings that stand under no heading of their facet, and are named after it."""

EVALUATE = "evaluation folders: `hybridq evaluate RUN` makes one from a fine-tuned run"


@dataclass(frozen=True)
class Resampling:
    """How bands are made: number of resamples, and the seed of their draws."""

    resamples: int
    seed: int


@dataclass(frozen=True)
class _Group:
    """Decisions that share a drawing: at most four arms, or one arm with its classes."""

    name: str
    facet: str
    title: str
    subject: str
    decisions: tuple[Decision, ...]
    sources: tuple[Source, ...]
    seeds: int
    is_binary: bool

    @property
    def band(self) -> str:
        over = "images and training seeds" if self.seeds > 1 else "images"
        return f"Pointwise 95% bands from a stratified bootstrap over {over}"


def discrimination(facets: Sequence[Facet], how: Resampling) -> Section:
    """ROC and precision-recall curves."""
    parts: list[Part] = []
    for facet in facets:
        if len(facets) > 1:
            parts.append(Heading(facet.title))
        for group in _groups(facet):
            parts += [_roc(group, how), _precision_recall(group, how)]
    return Section("discrimination", "ROC and precision-recall", tuple(parts), EVALUATE)


def calibration(facets: Sequence[Facet]) -> Section:
    """Calibration curves: whether a probability means what it says."""
    about = Text(
        "Observed against predicted share in bins of width 0.1, with Wilson's 95% intervals; "
        "below, the number of images in each bin. On the dotted diagonal a probability means what "
        f"it says. {WEIGHTED} The calibration error of the tables, which compares the confidence "
        "in the likeliest class with accuracy, need not show that; and it is above 0 even of a "
        "model that is calibrated, by about 0.06 with 156 images."
    )
    parts = [_reliability(group) for facet in facets for group in _groups(facet)]
    return Section("calibration", "Calibration", (about, *parts) if parts else (), EVALUATE)


def decision(facets: Sequence[Facet], how: Resampling) -> Section:
    """Decision curves, where there is a positive class."""
    binary = [facet for facet in facets if facet.positive is not None]
    about = Text(
        "Net benefit is the share of true positives less the share of false ones weighted by the "
        "odds of the threshold probability (Vickers & Elkin 2006). A model is of use where it lies "
        f"above both treating all and treating none. {WEIGHTED} Recalibrated to the prevalence, "
        "the same ranking has a higher net benefit."
    )
    parts = [_net_benefit(group, how) for facet in binary for group in _groups(facet)]
    missing = EVALUATE + ", on data with a positive class"
    return Section("decision", "Decision curve", (about, *parts) if parts else (), missing)


def _groups(facet: Facet) -> Iterator[_Group]:
    """Arms in one drawing where there is one decision; else a drawing for each arm."""
    if facet.positive is None:
        for k, arm in enumerate(facet.arms):
            decisions = tuple(facet.decisions(arm))
            if decisions:
                name = f"{facet.name}-{k + 1}"
                title = f"{arm.name}: {facet.title}"
                yield _Group(
                    name, title, title, arm.name, decisions, arm.sources, len(arm.seeds), False
                )
        return
    for start in range(0, len(facet.arms), MOST_LINES):
        arms = facet.arms[start : start + MOST_LINES]
        named = tuple(
            (arm.label, actual, scores)
            for arm in arms
            for _, actual, scores in facet.decisions(arm)
        )
        if named:
            yield _Group(
                f"{facet.name}-{start + 1}",
                facet.title,
                f"{facet.class_names[facet.positive]}: {facet.title}",
                facet.class_names[facet.positive],
                named,
                tuple(source for arm in arms for source in arm.sources),
                max(len(arm.seeds) for arm in arms),
                True,
            )


def _figure(
    group: _Group,
    kind: str,
    title: str,
    said: Sequence[str],
    caption: str,
    plot: Callable[[MplFigure], object],
) -> Figure:
    def drawn(figure: MplFigure) -> None:
        plot(figure)
        legend_below(figure)

    shown = group.facet if kind in ALONE else f"{title}, {group.subject}"
    said = [f"{title}, {group.title}.", *said]
    return drawing(f"{kind}-{group.name}", shown, said, drawn, caption, group.sources)


def _line(name: str, band: Band) -> Line:
    return Line(name, band.x, band.value, band.low, band.high)


def _roc(group: _Group, how: Resampling) -> Figure:
    lines, said = [], []
    for name, actual, scores in group.decisions:
        area = float(np.mean([binary_auc(actual, row) for row in scores]))
        band = roc_band(actual, scores, resamples=how.resamples, seed=how.seed)
        lines.append(_line(f"{name}: AUC {area:.3f}", band))
        said.append(
            f"{name}: area under the curve {area:.3f}, sensitivity {_at(band, 0.1)} at a "
            "specificity of 0.9."
        )
    caption = f"{group.band}; the dotted diagonal is chance."
    return _figure(group, "roc", "ROC curve", said, caption, lambda fig: roc(fig.subplots(), lines))


def _precision_recall(group: _Group, how: Resampling) -> Figure:
    lines, said = [], []
    for name, actual, scores in group.decisions:
        mean = average_precision(actual, scores)
        band = precision_recall_band(actual, scores, resamples=how.resamples, seed=how.seed)
        lines.append(_line(f"{name}: AP {mean:.3f}", band))
        said.append(
            f"{name}: average precision {mean:.3f}, precision {_at(band, 0.8)} at a recall of 0.8."
        )
    shares = {float(actual.mean()) for _, actual, _ in group.decisions}
    prevalence = shares.pop() if len(shares) == 1 else None
    caption = f"{group.band}; AP is the average precision"
    caption += f"; the dotted line is the prevalence, {prevalence:.3f}." if prevalence else "."
    return _figure(
        group,
        "pr",
        "Precision-recall curve",
        said,
        caption,
        lambda fig: precision_recall(fig.subplots(), lines, prevalence),
    )


def _net_benefit(group: _Group, how: Resampling) -> Figure:
    prevalence = float(group.decisions[0][1].mean())
    treat_all = net_benefit_of_all(prevalence)
    lines, said = [], []
    for name, actual, scores in group.decisions:
        band = net_benefit_band(actual, scores, resamples=how.resamples, seed=how.seed)
        lines.append(_line(name, band))
        treated = (scores[:, :, None] >= THRESHOLDS).sum(axis=1).mean(axis=0)
        told = np.minimum(treated, len(actual) - treated) >= FEWEST
        said.append(f"{name}: {_useful(band, treat_all, told)}")
    said.append(f"Prevalence {prevalence:.3f}.")
    caption = f"{group.band}; to treat means to act as if the image were {group.subject}."
    return _figure(
        group,
        "decision",
        "Decision curve",
        said,
        caption,
        lambda fig: net_benefit(fig.subplots(), lines, treat_all, prevalence),
    )


def _useful(band: Band, treat_all: Floats, told: NDArray[np.bool_]) -> str:
    """The runs of thresholds where a curve lies above both ways of doing without the model.

    That is beyond chance, for all thresholds together: by the band's `floor`. The bootstrap keeps
    the number of images of each class, so that treating all has no band.

    Args:
        band: net benefit at `THRESHOLDS`.
        treat_all: that of treating all.
        told: the thresholds with enough images to either side.
    """
    above = told & (band.floor > np.maximum(treat_all, 0) + 1e-12)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(np.int64), [0]])))
    runs = " and ".join(
        f"from {THRESHOLDS[first]:.2f} to {THRESHOLDS[last - 1]:.2f}"
        for first, last in ends.reshape(-1, 2)
    )
    where = f"above treating all and none {runs}" if runs else "nowhere above treating all or none"
    benefit = np.interp(0.2, band.x, band.value)
    few = "" if told.all() else f"; thresholds with fewer than {FEWEST} images to a side left out"
    return (
        f"{where}, beyond chance for all thresholds together{few}; net benefit {benefit:.3f} at a "
        "threshold of 0.20."
    )


def _reliability(group: _Group) -> Figure:
    lines, images, said = [], [], []
    for name, actual, scores in group.decisions:
        found = reliability(actual, scores)
        lines.append(Line(name, found.predicted, found.observed, found.low, found.high))
        images.append(found.images)
        gap = float(np.average(np.abs(found.observed - found.predicted), weights=found.images))
        said.append(
            f"{name}: mean gap between predicted and observed share {gap:.3f}; "
            f"{', '.join(_bins(found))}."
        )
    what = group.subject if group.is_binary else f"each class, {group.subject}"
    caption = f"Shares and probabilities of {what}"
    caption += "; counts are means over the seeds." if group.seeds > 1 else "."
    return _figure(
        group,
        "calibration",
        "Calibration curve",
        said,
        caption,
        lambda fig: draw_reliability(fig, lines, images, bins=RELIABILITY_BINS),
    )


def _bins(found: Reliability) -> list[str]:
    """Each bin in words: predicted and observed share, interval, images."""
    rows = zip(found.predicted, found.observed, found.low, found.high, found.images, strict=True)
    return [
        f"predicted {predicted:.2f}, observed {observed:.2f} [{low:.2f}, {high:.2f}] of "
        f"{images:.4g} images"
        for predicted, observed, low, high, images in rows
    ]


def _at(band: Band, x: float) -> str:
    """The value at a point of the grid, with its interval."""
    k = int(np.abs(band.x - x).argmin())
    return f"{band.value[k]:.3f} [{band.low[k]:.3f}, {band.high[k]:.3f}]"
