"""Training curves: loss and validation AUC by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hybridq.report.arms import arm_name, percent
from hybridq.report.plots import Line, plot_lines
from hybridq.report.section import Figure, Section
from hybridq.report.sources import Kind, Source, Sources
from hybridq.report.svg import draw

MOST_LINES = 6
CURVES: tuple[tuple[Kind, str, str], ...] = (
    ("finetune", "loss", "Fine-tuning, training loss"),
    ("finetune", "val_loss", "Fine-tuning, validation loss"),
    ("finetune", "val_auc", "Fine-tuning, validation AUC"),
    ("pretrain", "loss", "SimCLR pretraining, NT-Xent loss"),
)


def training_curves(sources: Sources) -> Section:
    """A drawing for each kind of training and figure; seeds of one kind share a line."""
    found = []
    for kind, key, title in CURVES:
        groups: dict[str, dict[str, list[Source]]] = {}
        for source in sources.of(kind):
            where, name = _group(source)
            groups.setdefault(where, {}).setdefault(name, []).append(source)
        for k, (where, own) in enumerate(groups.items()):
            names = list(own)
            for start in range(0, len(names), MOST_LINES):
                chosen = {name: own[name] for name in names[start : start + MOST_LINES]}
                name = f"{kind}-{key}-{k + 1}-{start + 1}".replace("_", "-")
                found.append(_figure(name, key, title, where, chosen))
    figures = [figure for figure in found if figure is not None]
    return Section(
        "training",
        "Training curves",
        tuple(figures),
        "folders of `hybridq finetune` or `hybridq pretrain`",
    )


def _group(source: Source) -> tuple[str, str]:
    """What is drawn together, and what runs are that differ in their seed only."""
    config = source.config
    data = str(config["data"]).split(",")[0]
    if source.kind == "pretrain":
        return "", f"SimCLR on {data}"
    encoder = config["encoder"]
    kind = encoder if encoder in ("none", "imagenet") else "simclr"
    frozen = ", frozen encoder" if config["freeze_encoder"] else ""
    name = f"{arm_name(kind, config['head']['name'])}{frozen}"
    return f"{percent(config['labels'])} of the labels of {data}", name


def _figure(
    name: str, key: str, title: str, where: str, groups: Mapping[str, Sequence[Source]]
) -> Figure | None:
    lines, said, used = [], [], []
    for group, members in groups.items():
        runs = [(source, _series(source, key)) for source in members]
        runs = [(source, series) for source, series in runs if len(series[0])]
        if not runs:
            continue
        used += [source for source, _ in runs]
        x = reduce(np.intersect1d, [epochs for _, (epochs, _) in runs])
        mean = np.nanmean([values[np.isin(epochs, x)] for _, (epochs, values) in runs], axis=0)
        label = group + (f" ({len(runs)} seeds)" if len(runs) > 1 else "")
        faint = tuple(series for _, series in runs) if len(runs) > 1 else ()
        lines.append(Line(label, x, mean, faint=faint))
        said.append(f"{label}: from {mean[0]:.3f} to {mean[-1]:.3f} in {x[-1]:.0f} epochs.")
    if not lines:
        return None
    description = f"{title}, {where}. " + " ".join(said)
    svg = draw(
        name,
        title,
        description,
        lambda figure: plot_lines(
            figure, lines, xlabel="epoch", ylabel=title.split(", ")[1], markers=len(lines[0].x) < 4
        ),
    )
    several = any(line.faint for line in lines)
    caption = f"{where[0].upper()}{where[1:]}. " if where else ""
    caption += "Means over the seeds; thin lines are single runs." if several else "One run a line."
    return Figure(name, title, description, svg, caption, tuple(used))


def _series(source: Source, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The epochs in which a figure was taken, counted from 1, and its values."""
    rows = [row for row in source.epochs() if key in row]
    values = [math.nan if row[key] is None else float(row[key]) for row in rows]
    return np.array([row["epoch"] + 1.0 for row in rows]), np.array(values)
