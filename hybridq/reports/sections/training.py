"""Training curves: loss and validation AUC by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.plotting import Line, legend_below
from hybridq.plotting import lines as draw_lines
from hybridq.plotting.canvas import MOST_TICKS
from hybridq.records.results import Kind
from hybridq.reports.page.elements import Figure, Section
from hybridq.reports.page.parts import drawing
from hybridq.reports.sources.recipes import data_name
from hybridq.reports.sources.sources import Source, Sources
from hybridq.utils.text import counted, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure

MOST_LINES = 6
CURVES: tuple[tuple[Kind, str, str, str], ...] = (
    ("finetune", "loss", "Fine-tuning", "training loss"),
    ("finetune", "val_loss", "Fine-tuning", "validation loss"),
    ("finetune", "val_auc", "Fine-tuning", "validation AUC"),
    ("pretrain", "loss", "Pretraining", "loss of the method"),
    ("pretrain", "rankme", "Pretraining", "RankMe of the features"),
    ("pretrain", "knn_auc", "Pretraining", "AUC of neighbours"),
)
"""Kind of run, key in its metrics, what was trained, what is drawn."""


def training_curves(sources: Sources, names: Mapping[Source, str]) -> Section:
    """A drawing for each kind of training and figure; seeds of one recipe share a line.

    Args:
        sources: of the report.
        names: of the models, `source_names`.
    """
    found = []
    for kind, key, trained, drawn in CURVES:
        groups: dict[str, dict[str, list[Source]]] = {}
        for source in sources.of(kind):
            own = groups.setdefault(_where(source), {})
            own.setdefault(names[source], []).append(source)
        for k, (where, own) in enumerate(groups.items()):
            lines = list(own)
            for start in range(0, len(lines), MOST_LINES):
                chosen = {name: own[name] for name in lines[start : start + MOST_LINES]}
                name = f"{kind}-{key}-{k + 1}-{start + 1}".replace("_", "-")
                title = f"{trained}, {drawn}, {where}"
                found.append(_figure(name, key, title, drawn, chosen))
    figures = [figure for figure in found if figure is not None]
    return Section(
        "training",
        "Training curves",
        tuple(figures),
        "folders of `hybridq finetune` or `hybridq pretrain`",
    )


def _where(source: Source) -> str:
    """What is drawn together."""
    data = data_name(source.config["data"])
    if source.kind == "pretrain":
        return data
    return f"{percent(source.config['labels'])} of the labels of {data}"


def _figure(
    name: str, key: str, title: str, ylabel: str, groups: Mapping[str, Sequence[Source]]
) -> Figure | None:
    lines, said, used = [], [], []
    for group, members in groups.items():
        runs = [(source, _series(source, key)) for source in members]
        runs = [(source, series) for source, series in runs if len(series[0])]
        if not runs:
            continue
        used += [source for source, _ in runs]
        x, mean = _mean([series for _, series in runs])
        label = group + (f" ({len(runs)} seeds)" if len(runs) > 1 else "")
        faint = tuple(series for _, series in runs) if len(runs) > 1 else ()
        lines.append(Line(label, x, mean, faint=faint))
        span = counted(int(x[-1]), "epoch")
        said.append(f"{label}: from {mean[0]:.3f} to {mean[-1]:.3f} in {span}.")
    if not lines:
        return None

    def plot(figure: MplFigure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        few = len(lines[0].x) < 4
        draw_lines(axes, lines, xlabel="epoch", ylabel=ylabel, markers=few)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True))
        legend_below(figure)

    caption = (
        "Means over the seeds that reached the epoch; thin lines are single runs."
        if any(line.faint for line in lines)
        else "One run a line."
    )
    return drawing(name, title, said, plot, caption, used)


def _mean(
    series: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean over the runs at every epoch that one of them has, NaN left out."""
    epochs = np.concatenate([x for x, _ in series])
    values = np.concatenate([y for _, y in series])
    x, place = np.unique(epochs, return_inverse=True)
    defined = ~np.isnan(values)
    count = np.bincount(place, defined, len(x))
    total = np.bincount(place, np.where(defined, values, 0), len(x))
    return x, np.divide(total, count, out=np.full(len(x), math.nan), where=count > 0)


def _series(source: Source, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The epochs in which a figure was taken, counted from 1, and its values."""
    rows = [row for row in source.epochs() if key in row]
    values = [math.nan if row[key] is None else float(row[key]) for row in rows]
    return np.array([row["epoch"] + 1.0 for row in rows]), np.array(values)
