"""What models cost: parameters, operations, seconds, an estimate of energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridq.evaluation.measures.cost import energy_estimate, model_cost
from hybridq.reports.page.elements import Cell, Fold, Part, Section, Table, Text
from hybridq.reports.page.parts import Value, table
from hybridq.reports.sources.checks import STAGES, read_seconds
from hybridq.reports.sources.models import Trained
from hybridq.reports.sources.sources import Source, Sources

SPENT = ("seconds", "energy (Wh, estimate)")


def resources(
    models: Sequence[Trained], sources: Sources, names: Mapping[Source, str], watts: float
) -> Section:
    """A row for each kind of model, and a row for each command that took time."""
    parts: list[Part] = []
    if models:
        parts.append(_sizes(models, names))
    # A study counts the time of the runs it made.
    own = {one: _seconds(one) for one in sources.all if sources.study_of(one) is None}
    timed = {source: seconds for source, seconds in own.items() if seconds is not None}
    if timed:
        parts += _times(timed, watts)
        told = [f"{one.key} (`hybridq {one.kind}`)" for one in own if one not in timed]
        if told:
            text = "these folders record no seconds, so the sums are without."
            parts.append(Text(f"{', '.join(told)}: {text}", "Left out"))
    return Section("cost", "Cost", tuple(parts), "any folder whose result.json has its seconds")


def _sizes(models: Sequence[Trained], names: Mapping[Source, str]) -> Table:
    rows: list[list[Value]] = []
    for trained in models:
        cost, size = model_cost(trained.model), trained.spec.encoder.image_size
        rows.append(
            [
                Cell(names[trained.source], None, trained.spec.data),
                Cell(f"{size} x {size}", size),
                cost.parameters,
                cost.head_parameters,
                cost.circuit_parameters,
                Cell(f"{cost.flops / 1e6:.1f}", cost.flops),
                cost.circuit_gates,
                cost.circuit_depth,
            ]
        )
    return table(
        "Size of each kind of model, and its work for one image: MFLOPs count convolutions and "
        "matrix products, two operations for each multiply and add; the circuit is counted in "
        "gates, not its simulation.",
        (
            "model",
            "input (px)",
            "parameters",
            "of the head",
            "of the circuit",
            "MFLOPs",
            "gates",
            "depth",
        ),
        rows,
        [(trained.source,) for trained in models],
    )


def _times(timed: Mapping[Source, float], watts: float) -> list[Part]:
    """Seconds of each command, and of each run where there are several."""
    by_kind: dict[str, list[Source]] = {}
    for source in timed:
        by_kind.setdefault(source.kind, []).append(source)

    def spent(sources: Sequence[Source]) -> tuple[Cell, Cell]:
        seconds = sum(timed[source] for source in sources)
        energy = energy_estimate(seconds, watts)
        return Cell(f"{seconds:,.1f}", seconds), Cell(f"{energy:.2f}", energy)

    parts: list[Part] = [
        table(
            "Wall time as recorded, and an estimate of energy. Of a study it is the time of all "
            "its units, the trainings included, over the processes that shared the machine.",
            ("command", "runs", *SPENT),
            [[kind, len(own), *spent(own)] for kind, own in by_kind.items()],
            list(by_kind.values()),
        )
    ]
    if len(timed) > len(by_kind):
        each = table(
            "Wall time and energy of each run.",
            ("run", "command", *SPENT),
            [[source.name, source.kind, *spent([source])] for source in timed],
            [(source,) for source in timed],
        )
        parts.append(Fold("Each run", (each,)))
    formula = (
        f"energy = seconds x watts / 3600, with {watts:g} W assumed for the machine while it "
        "computes (`--watts`). Nothing was measured: cooling, idle time and other work of the "
        "machine are left out."
    )
    return [*parts, Text(formula, "Estimate")]


def _seconds(source: Source) -> float | None:
    """Recorded wall time; of a study that of all its units, so many at a time as it had."""
    if source.is_study and (source.folder / STAGES).is_file():
        return read_seconds(source.folder, source.kind) / (source.config.get("workers") or 1)
    value = source.result.get("seconds")
    return float(value) if isinstance(value, int | float) else None
