"""What models cost: parameters, operations, seconds, an estimate of energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybridq.evaluation.measures.cost import energy_estimate, model_cost
from hybridq.reports.ablation.files import Ablation
from hybridq.reports.page.elements import Cell, Fold, Part, Section, Table, Text
from hybridq.reports.sources.checks import STAGES, read_stages
from hybridq.reports.sources.models import Trained
from hybridq.reports.sources.naming import study_model_name
from hybridq.reports.sources.sources import Source, Sources


def resources(
    models: Sequence[Trained],
    ablations: Sequence[Ablation],
    sources: Sources,
    names: Mapping[Source, str],
    watts: float,
) -> Section:
    """A row for each kind of model, and a row for each command that took time."""
    parts: list[Part] = []
    if models:
        parts.append(_sizes(models, names))
    parts += [_parameters(ablation) for ablation in ablations]
    # An ablation counts the time of the runs it made.
    counted = [source for source in sources.all if sources.study_of(source) is None]
    timed = [source for source in counted if _seconds(source) is not None]
    if timed:
        parts += [*_times(timed, watts), _formula(watts)]
        parts += _untimed([source for source in counted if source not in timed])
    return Section("cost", "Cost", tuple(parts), "any folder whose result.json has its seconds")


def _sizes(models: Sequence[Trained], names: Mapping[Source, str]) -> Table:
    rows = []
    for trained in models:
        cost = model_cost(trained.model)
        size = trained.spec.encoder.image_size
        rows.append(
            (
                Cell(names[trained.source], None, trained.spec.data),
                Cell(f"{size} x {size}", size),
                Cell(f"{cost.parameters:,}", cost.parameters),
                Cell(f"{cost.head_parameters:,}", cost.head_parameters),
                Cell(str(cost.circuit_parameters), cost.circuit_parameters),
                Cell(f"{cost.flops / 1e6:.1f}", cost.flops),
                Cell(str(cost.circuit_gates), cost.circuit_gates),
                Cell(str(cost.circuit_depth), cost.circuit_depth),
            )
        )
    return Table(
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
        tuple(rows),
        tuple((trained.source,) for trained in models),
    )


def _parameters(ablation: Ablation) -> Table:
    """How many parameters each model of an ablation trains."""
    own = {row["model"]: row for row in ablation.rows}
    rows = tuple(
        (
            Cell(study_model_name(model)),
            *(
                Cell(f"{int(row[key]):,}", int(row[key])) if row[key] else Cell("none")
                for key in ("parameters", "circuit_parameters")
            ),
        )
        for model, row in own.items()
    )
    return Table(
        f"Parameters of each model of the ablation on {ablation.title}, as trained: of heads on "
        "frozen features the head alone.",
        ("model", "parameters", "of the circuit"),
        rows,
        ((ablation.source,),),
    )


def _times(timed: Sequence[Source], watts: float) -> list[Part]:
    """Seconds of each command, and of each run where there are several."""
    columns = ("seconds", "energy (Wh, estimate)")
    by_kind: dict[str, list[Source]] = {}
    for source in timed:
        by_kind.setdefault(source.kind, []).append(source)
    totals = Table(
        "Wall time as recorded, and an estimate of energy. Of an ablation it is the time of all "
        "its units, the trainings included, over the processes that shared the machine.",
        ("command", "runs", *columns),
        tuple(
            (Cell(kind), Cell(str(len(own)), len(own)), *_spent(own, watts))
            for kind, own in by_kind.items()
        ),
        tuple(tuple(own) for own in by_kind.values()),
    )
    if len(timed) == len(by_kind):
        return [totals]
    each = Table(
        "Wall time and energy of each run.",
        ("run", "command", *columns),
        tuple((Cell(source.name), Cell(source.kind), *_spent([source], watts)) for source in timed),
        tuple((source,) for source in timed),
    )
    return [totals, Fold("Each run", (each,))]


def _spent(sources: Sequence[Source], watts: float) -> tuple[Cell, Cell]:
    seconds = sum(_seconds(source) or 0.0 for source in sources)
    energy = energy_estimate(seconds, watts)
    return Cell(f"{seconds:,.1f}", seconds), Cell(f"{energy:.2f}", energy)


def _formula(watts: float) -> Text:
    return Text(
        f"energy = seconds x watts / 3600, with {watts:g} W assumed for the machine while it "
        "computes (`--watts`). Nothing was measured: cooling, idle time and other work of the "
        "machine are left out.",
        "Estimate",
    )


def _untimed(sources: Sequence[Source]) -> list[Text]:
    """Which folders the sums are without."""
    if not sources:
        return []
    told = ", ".join(f"{source.key} (`hybridq {source.kind}`)" for source in sources)
    return [Text(f"{told}: these folders record no seconds, so the sums are without.", "Left out")]


def _seconds(source: Source) -> float | None:
    """Recorded wall time; of an ablation that of all its units, so many at a time as it had."""
    if source.kind == "study ablation" and (source.folder / STAGES).is_file():
        return sum(read_stages(source.folder).values()) / (source.config.get("workers") or 1)
    value = source.result.get("seconds")
    return float(value) if isinstance(value, int | float) else None
