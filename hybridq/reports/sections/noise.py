"""What a noise study found: AUC and flipped predictions against the strength of the noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hybridq.plotting import Line, inline_svg, legend_below
from hybridq.plotting import lines as draw_lines
from hybridq.records.record import read_rows
from hybridq.records.studies import NOISE_REMEDY, NoiseSummaryRow
from hybridq.reports.ablation.measures import FEWEST_SEEDS, Measure, over_seeds
from hybridq.reports.page.elements import Cell, Figure, Fold, Heading, Part, Section, Table, Text
from hybridq.reports.sources.sources import Source, Sources
from hybridq.studies.summary import SeedInterval
from hybridq.utils.text import counted

SHOWN = {
    "auc": "AUC",
    "flips": "share of predictions that flip",
    "balanced_accuracy": "balanced accuracy",
    "rms_error": "RMS error of values",
}
DRAWN = ("auc", "flips")
FLIPS = "a prediction flips if its class is another than the same model's without noise"
SETTING = ("device", "noise_scale", "shots", "mitigation")

Rows = list[dict[str, Any]]


def noise(sources: Sources) -> Section:
    """Curves and a table for each noise study."""
    studies = sources.of("study noise")
    parts: list[Part] = []
    for source in studies:
        rows = _read(source)
        if len(studies) > 1:
            parts.append(Heading(source.name))
        parts += [_figure(source, rows, name, shots) for shots in _shots(rows) for name in DRAWN]
        parts.append(Fold("Every setting of the study", (_table(source, rows),)))
    return Section(
        "noise", "Noise", tuple(parts), "`hybridq study noise RUN...` on fine-tuned runs"
    )


def noise_sentences(sources: Sources) -> list[Text]:
    """What noise of about the device's own strength does, in words."""
    found = []
    for source in sources.of("study noise"):
        rows = _read(source)
        told = []
        shots = next(iter(_shots(rows)), None)
        if shots is None:
            text = (
                "No setting without mitigation has an AUC or flips that are defined, so that there "
                "is no curve; the section on noise has a table of every setting."
            )
            found.append(Text(text, f"Noise, {source.result['data']}, {source.key}"))
            continue
        for device in sorted({row["device"] for row in _plain(rows, "auc")}):
            own = [r for r in _plain(rows, "auc") if (r["device"], r["shots"]) == (device, shots)]
            if not own:
                continue
            row = min(own, key=lambda r: (abs(r["noise_scale"] - 1), r["noise_scale"]))
            told.append(
                f"{device} at a noise scale of {row['noise_scale']:g}: mean AUC "
                f"{row['found'].text}, {_change(row)} from the noiseless models'"
                f"{_flipped(rows, row)}"
            )
        text = f"{source.result['images']} images, {_shots_text(shots)}. {'; '.join(told)}. "
        text += f"{FLIPS[0].upper()}{FLIPS[1:]}."
        found.append(Text(text, f"Noise, {source.result['data']}, {source.key}"))
    return found


def _flipped(rows: Rows, setting: dict[str, Any]) -> str:
    """The share of predictions that flip in a setting, in words."""
    for row in _plain(rows, "flips"):
        if all(row[name] == setting[name] for name in SETTING):
            found: Measure = row["found"]
            share, low, high = (f"{100 * end:.1f}%" for end in _ends(found))
            ends = f" [{low}, {high}]" if found.ends else ""
            return f"; {share}{ends} of the predictions flip"
    return ""


def _change(row: dict[str, Any]) -> str:
    value, low, high = (
        float(row[f"minus_noiseless{end}"] or "nan") for end in ("", "_low", "_high")
    )
    few = math.isnan(low) or int(row.get("minus_noiseless_seeds") or 0) < FEWEST_SEEDS
    return f"{value:+.3f}" + ("" if few else f" [{low:+.3f}, {high:+.3f}]")


def _shots_text(shots: str) -> str:
    return "exact values" if shots == "none" else f"{int(shots):,} shots"


def _read(source: Source) -> Rows:
    """The rows of `summary.csv`.

    Raises:
        InvalidValueError: if it is no such table.
    """
    path = source.folder / "summary.csv"
    what = "the summary of a noise study"
    rows: Rows = [dict(row) for row in read_rows(path, NoiseSummaryRow, what, NOISE_REMEDY)]
    for row in rows:
        row["noise_scale"] = float(row["noise_scale"])
        ends = {key: float(row[key] or "nan") for key in ("mean", "low", "high")}
        own = SeedInterval(**ends, seeds=int(row["seeds"]), left_out=0)
        row["found"] = over_seeds(own, largest=math.inf if row["figure"] == "rms_error" else 1)
    return rows


def _plain(rows: Rows, figure: str) -> Rows:
    """The defined rows of a figure without mitigation."""
    rows = [row for row in rows if row["figure"] == figure and row["mitigation"] == "none"]
    return [row for row in rows if not math.isnan(row["found"].value)]


def _shots(rows: Rows) -> list[str]:
    """The numbers of shots to draw: the most exact and the fewest."""
    order = {"none": math.inf}
    shots = {row["shots"] for name in DRAWN for row in _plain(rows, name)}
    ordered = sorted(shots, key=lambda s: order.get(s) or int(s), reverse=True)
    return ordered if len(ordered) < 3 else [ordered[0], ordered[-1]]


def _figure(source: Source, rows: Rows, figure: str, shots: str) -> Figure:
    """The figure against the noise scale, one line for each device."""
    chosen = [row for row in _plain(rows, figure) if row["shots"] == shots]
    devices = sorted({row["device"] for row in chosen})
    lines, said = [], []
    for device in devices:
        points = [(row["noise_scale"], row["found"]) for row in chosen if row["device"] == device]
        points.sort(key=lambda point: point[0])
        x = np.array([scale for scale, _ in points])
        mean, low, high = np.array([_ends(found) for _, found in points]).T
        lines.append(Line(device, x, mean, low, high))
        at = ", ".join(f"{found.text} at a noise scale of {scale:g}" for scale, found in points)
        said.append(f"{device}: {at}.")
    name = f"noise-{source.key.lower()}-{figure.replace('_', '-')}-{shots}"
    exact = _shots_text(shots)
    title = f"{SHOWN[figure].capitalize() if figure != 'auc' else 'AUC'} against noise, {exact}"
    description = f"{title}, {source.result['data']}. " + " ".join(said)

    def plot(canvas: Any) -> None:
        axes = canvas.subplots()
        xlabel = "noise scale (1 = the device)"
        draw_lines(axes, lines, markers=True, apart=0.03, xlabel=xlabel, ylabel=SHOWN[figure])
        legend_below(canvas)
        if figure != "auc":
            axes.set_ylim(bottom=0)

    models = counted(len(source.result["models"]), "trained model")
    caption = (
        f"{source.result['data']}, means over {models} with "
        f"Student's t 95% intervals over their seeds, from {FEWEST_SEEDS} seeds on."
    )
    if figure == "flips":
        caption += f" {FLIPS[0].upper()}{FLIPS[1:]}."
    svg = inline_svg(name, title, description, plot)
    return Figure(name, title, description, svg, caption, (source,))


def _table(source: Source, rows: Rows) -> Table:
    settings: dict[tuple[Any, ...], dict[str, Measure]] = {}
    for row in rows:
        key = tuple(row[name] for name in SETTING)
        settings.setdefault(key, {})[row["figure"]] = row["found"]
    cells = tuple(
        (
            Cell(device),
            Cell(f"{scale:g}", scale),
            Cell(
                "exact" if shots == "none" else shots, math.inf if shots == "none" else int(shots)
            ),
            Cell(mitigation),
            *(figures[name].cell if name in figures else Cell("none") for name in SHOWN),
        )
        for (device, scale, shots, mitigation), figures in settings.items()
    )
    return Table(
        f"Noise study of {source.result['data']}, {source.result['images']} test images: means "
        f"over the models with Student's t 95% intervals over seeds; {FLIPS}.",
        ("device", "noise scale", "shots", "mitigation", *SHOWN.values()),
        cells,
        ((source,),),
    )


def _ends(found: Measure) -> tuple[float, float, float]:
    return found.value, found.low, found.high
