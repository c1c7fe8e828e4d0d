"""What a submission brought back: the model without noise, simulated, and on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridq.plotting import Estimate, forest, inline_svg
from hybridq.reports.ablation.measures import FIGURES, number, recorded
from hybridq.reports.page.elements import Cell, Figure, Heading, Part, Section, Table, Text
from hybridq.reports.sources.sources import Source, Sources

COLUMNS = {
    "ideal": "without noise",
    "simulated": "simulated noise",
    "rehearsal": "rehearsal (a fake device)",
    "hardware": "on the device",
}


SHOWN = ("auc", "balanced_accuracy", "sensitivity", "specificity")
ON_DEVICE, REHEARSAL = "On quantum hardware", "Rehearsal on a simulated device"


def hardware(sources: Sources) -> Section:
    """A sentence, a drawing and a table for each submission with results."""
    found = [source for source in sources.of("submit") if source.result.get("compared")]
    parts: list[Part] = []
    for source in found:
        if len(found) > 1:
            kind = REHEARSAL if _rehearsed(source) else ON_DEVICE
            parts.append(Heading(f"{kind}: {source.name}"))
        parts.append(_words(source))
        if all("figures" in entry for entry in source.result["compared"].values()):
            parts.append(_figure(source))
        parts.append(_table(source))
    return Section(
        "hardware",
        REHEARSAL if found and all(map(_rehearsed, found)) else ON_DEVICE,
        tuple(parts),
        "`hybridq submit RUN`, then `hybridq jobs collect`",
    )


def _rehearsed(source: Source) -> bool:
    """Whether the device was a simulated one."""
    device: str = source.result["device"]
    return "rehearsal" in source.result["compared"] or device.startswith("fake")


def _words(source: Source) -> Text:
    result = source.result
    lead = "A rehearsal on a simulated device, not hardware: " if _rehearsed(source) else ""
    some = "" if result["complete"] else f"{result['images_here']} of "
    return Text(
        f"{lead}{some}{result['images']} images of {result['data']} on {result['device']} "
        f"(calibrated {result['calibration_date']}), {result['shots']} shots, mitigation: "
        f"{result['mitigation']}; {result['qpu_seconds']:.1f} QPU seconds charged, "
        f"{result['qpu_seconds_estimated']:.1f} estimated.",
        result["device"],
    )


def _figure(source: Source) -> Figure:
    compared: dict[str, Any] = source.result["compared"]
    names = [_called(name, source) for name in compared]
    ends = np.array(
        [
            [number(entry["figures"]["auc"][end]) for end in ("value", "low", "high")]
            for entry in compared.values()
        ]
    )
    name, title = f"hardware-{source.key.lower()}", f"AUC on {source.result['device']}"
    said = [f"{n}: {v:.3f} [{a:.3f}, {b:.3f}]" for n, (v, a, b) in zip(names, ends, strict=True)]
    description = f"{title}. {'; '.join(said)}."
    rows = [Estimate(named, *own) for named, own in zip(names, ends.tolist(), strict=True)]
    svg = inline_svg(
        name,
        title,
        description,
        lambda figure: forest(figure.subplots(), rows, xlabel="AUC"),
        height=2.4,
    )
    where = "simulated device" if _rehearsed(source) else "device"
    caption = f"95% bootstrap intervals over images; on the {where} with shot noise."
    return Figure(name, title, description, svg, caption, (source,))


def _called(name: str, source: Source) -> str:
    if name == "hardware" and _rehearsed(source):
        return COLUMNS["rehearsal"]
    return COLUMNS.get(name, name)


def _table(source: Source) -> Table:
    compared: dict[str, Any] = source.result["compared"]
    shown = [n for n in SHOWN if any(n in e.get("figures", {}) for e in compared.values())]
    rows = tuple(
        (
            Cell(_called(name, source)),
            *(_cell(entry.get("figures", {}), figure) for figure in shown),
            Cell(f"{entry['rms_error']:.4f}", entry["rms_error"]),
            Cell(str(entry["flips"]), entry["flips"]),
        )
        for name, entry in compared.items()
    )
    return Table(
        f"{source.result['images_here']} images, 95% bootstrap intervals over them; errors and "
        "flipped predictions (of another class) against the model without noise.",
        (
            "where",
            *(FIGURES[name] for name in shown),
            "RMS error of values",
            "flipped predictions",
        ),
        rows,
        ((source,),),
    )


def _cell(figures: dict[str, Any], name: str) -> Cell:
    return recorded(figures[name]).cell if name in figures else Cell("none")
