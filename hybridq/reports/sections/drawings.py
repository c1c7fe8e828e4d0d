"""Forest plots, curves and circuits as drawings of a page, with what they show in words."""

from __future__ import annotations

from collections.abc import Sequence

from hybridq.evaluation.circuit_drawings import circuit_of, circuit_size, draw_circuit
from hybridq.evaluation.drawings import common_axis, draw_curves, draw_forests, height_of
from hybridq.records.findings import Curves, DrawnCircuit, Forest
from hybridq.reports.page.elements import Figure
from hybridq.reports.page.parts import drawing
from hybridq.reports.sources.sources import Source


def forest(
    name: str,
    shown: Forest,
    sources: Sequence[Source],
    about: str,
    axis_of: Sequence[Forest] = (),
) -> Figure:
    """Draw a forest plot.

    Args:
        name: Unique in the report.
        shown: What is drawn.
        sources: Where it comes from.
        about: What data it is of.
        axis_of: Other forest plots with which it shares its axis.
    """
    said = [
        f"{row.label}: {row.text}" + (f", {row.verdict}." if row.verdict else ".")
        for row in shown.rows
    ]
    xlim = common_axis(axis_of or [shown])
    return drawing(
        name,
        shown.title,
        said,
        lambda figure: draw_forests(figure, [shown], xlim),
        shown.caption,
        sources,
        about=about,
        height=height_of(shown),
    )


def curves(name: str, shown: Curves, sources: Sequence[Source], about: str) -> Figure:
    """Draw curves, and tell every point in words."""
    said = []
    for curve in shown.curves:
        pairs = zip(curve.x, curve.points, strict=True)
        points = (f"{point.text} at {x:.4g}{shown.unit}" for x, point in pairs)
        said.append(f"{curve.name}: {', '.join(points)}.")
    return drawing(
        name,
        shown.title,
        said,
        lambda figure: draw_curves(figure, [shown]),
        shown.caption,
        sources,
        about=f"{about}, by {shown.xlabel}",
    )


def circuit(name: str, shown: DrawnCircuit, sources: Sequence[Source]) -> Figure:
    """Draw a circuit, and count its gates in words."""
    made = circuit_of(shown)
    counts = ", ".join(f"{count} {gate.upper()}" for gate, count in made.count_ops().items())
    width, height = circuit_size(made)
    return drawing(
        name,
        shown.title,
        [f"{shown.qubits} qubits: {counts}; depth {made.depth()}."],
        lambda figure: draw_circuit(figure, made),
        shown.caption,
        sources,
        wide=True,
        width=width,
        height=height,
        math=True,
    )
