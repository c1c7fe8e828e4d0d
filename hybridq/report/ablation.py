"""What an ablation found: verdicts, differences, a table of every model, and its predictions."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hybridq.errors import InvalidValueError
from hybridq.report.arms import percent
from hybridq.report.plots import plot_intervals
from hybridq.report.results import FIGURES
from hybridq.report.section import Cell, Figure, Fold, Heading, Part, Section, Table, Text, Verdict
from hybridq.report.sources import Source, Sources
from hybridq.report.svg import draw

Row = dict[str, Any]


@dataclass(frozen=True)
class Ablation:
    """An ablation as its files tell it.

    Attributes:
        source: its folder.
        rows: of `ablation.csv`.
        summary: of `summary.csv`.
        comparisons: of `comparisons.json`.
    """

    source: Source
    rows: list[Row]
    summary: list[Row]
    comparisons: list[Row]

    @property
    def fractions(self) -> list[float]:
        """Shares of the labels, ascending."""
        return sorted({float(row["labels"]) for row in self.rows})


def read_ablations(sources: Sources) -> list[Ablation]:
    """The ablations among the sources.

    Raises:
        InvalidValueError: if one of their files cannot be read.
    """
    found = []
    for source in sources.of("study ablation"):
        try:
            text = (source.folder / "comparisons.json").read_text(encoding="utf-8")
            rows, summary = (_table(source.folder / f"{n}.csv") for n in ("ablation", "summary"))
            comparisons = json.loads(text)
            _ = [(item["verdict"], item["words"], item["labels"]) for item in comparisons]
            _ = [(row["model"], row["labels"], row["threshold"]) for row in rows]
            _ = [(row["model"], row["figure"], row["mean"]) for row in summary]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidValueError(
                f"Expected the tables of an ablation in {source.folder}, got "
                f"{type(error).__name__}: go on with `hybridq study ablation --resume`."
            ) from error
        found.append(Ablation(source, rows, summary, comparisons))
    return found


def _table(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [dict(row) for row in csv.DictReader(file)]


def summary_parts(ablations: Sequence[Ablation]) -> list[Part]:
    """What was asked and what the answers are, at a glance."""
    parts: list[Part] = []
    for ablation in ablations:
        result = ablation.source.result
        parts.append(
            Text(
                f"{result['images']} test images, {result['seeds']} training seeds; differences "
                f"in AUC below {result['margin']:g} do not matter (the stated margin). All "
                "verdicts of the study hold together, at 5% after Holm's correction.",
                str(result["data"]),
            )
        )
        for topic, items in _topics(ablation).items():
            parts.append(Text(_counts(items), topic[0].upper() + topic[1:]))
        if ablation.comparisons:
            parts.append(_verdict_table(ablation))
    return parts


def _topics(ablation: Ablation) -> dict[str, list[Row]]:
    topics: dict[str, list[Row]] = defaultdict(list)
    for item in ablation.comparisons:
        topics[item["topic"]].append(item)
    return topics


def _verdict_table(ablation: Ablation) -> Table:
    """A row for each question, a column for each share of the labels."""
    answers: dict[tuple[str, str], dict[float, Cell]] = defaultdict(dict)
    for item in ablation.comparisons:
        pair = f"{item['a']} against {item['b']}"
        answers[_question(item), pair][item["labels"]] = Cell(
            item["verdict"],
            None,
            f"{item['difference']:+.3f} {_ends(item)}",
            item["verdict"],
        )
    columns = _compared(ablation)
    rows = tuple(
        (Cell(question, None, pair), *(own.get(column, Cell("not run")) for column in columns))
        for (question, pair), own in answers.items()
    )
    return Table(
        "Verdicts, with the difference in AUC and its 95% interval over training seeds and test "
        "images together. Undecided means that these images and seeds cannot tell, not that there "
        "is no difference.",
        ("question", *(f"{percent(column)} of the labels" for column in columns)),
        rows,
        ((ablation.source,),),
    )


def _question(item: Row) -> str:
    text: str = item["question"]
    return f"{text[0].upper()}{text[1:]}?"


def _counts(items: Sequence[Row]) -> str:
    counts = {
        kind: sum(item["verdict"] == kind for item in items)
        for kind in ("better", "equivalent", "worse", "undecided")
    }
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"{len(items)} comparisons: {told}."


def _verdict(source: Source, item: Row) -> Verdict:
    words = item["words"].removeprefix(item["verdict"]).lstrip(", ")
    pair = f"{percent(item['labels'])} of the labels, {item['a']} against {item['b']}"
    return Verdict(f"{_question(item)} {pair}: {words}.", item["verdict"], (source,))


def comparisons(ablations: Sequence[Ablation]) -> Section:
    """Differences with intervals, drawn and as a table, and every model's figures."""
    parts: list[Part] = []
    for ablation in ablations:
        if len(ablations) > 1:
            parts.append(Heading(str(ablation.source.result["data"])))
        parts += [_differences(ablation, fraction) for fraction in _compared(ablation)]
        parts.append(_compared_table(ablation))
        for topic, items in _topics(ablation).items():
            verdicts = tuple(_verdict(ablation.source, item) for item in items)
            parts.append(Fold(f"Verdicts in words: {topic}", verdicts))
        parts.append(Fold("Every model, all figures", (_models_table(ablation),)))
    return Section(
        "comparisons", "Comparisons", tuple(parts), "`hybridq study ablation --data ...`"
    )


def _compared(ablation: Ablation) -> list[float]:
    return sorted({item["labels"] for item in ablation.comparisons})


def _differences(ablation: Ablation, fraction: float) -> Figure:
    items = [item for item in ablation.comparisons if item["labels"] == fraction]
    names = [f"{item['a']} less {item['b']}" for item in items]
    ends = np.array(
        [[_number(item[key]) for key in ("difference", "low", "high")] for item in items]
    )
    where = percent(fraction)
    name = f"differences-{ablation.source.key.lower()}-{fraction:g}".replace(".", "-")
    title = f"Differences in AUC, {where} of the labels"
    said = [
        f"{item['name']}: {value:+.3f} [{low:+.3f}, {high:+.3f}], {item['verdict']}."
        for item, (value, low, high) in zip(items, ends, strict=True)
    ]
    description = f"{title}, {ablation.source.result['data']}. " + " ".join(said)
    margin = float(ablation.source.result["margin"])
    svg = draw(
        name,
        title,
        description,
        partial(
            plot_intervals,
            names=names,
            values=ends[:, 0],
            low=ends[:, 1],
            high=ends[:, 2],
            xlabel="difference in AUC",
            margin=margin,
        ),
        width=5.2,
        height=1.1 + 0.34 * len(items),
    )
    caption = (
        "95% intervals over training seeds and test images together, each by itself; the band "
        f"is the margin of {margin:g}."
    )
    return Figure(name, title, description, svg, caption, (ablation.source,))


def _compared_table(ablation: Ablation) -> Table:
    rows = tuple(
        (
            Cell(f"{item['a']} against {item['b']}"),
            Cell(percent(item["labels"]), item["labels"]),
            Cell(item["verdict"]),
            Cell(
                f"{item['difference']:+.3f}",
                item["difference"],
                _ends(item),
            ),
            _plain(item, "value_a", ".3f"),
            _plain(item, "value_b", ".3f"),
            _plain(item, "p_holm", ".3f"),
            _plain(item, "p_equivalence_holm", ".3f"),
            _plain(item, "hedges_g", "+.2f"),
            _plain(item, "images_needed", ",.0f"),
        )
        for item in ablation.comparisons
    )
    return Table(
        f"Comparisons on {ablation.source.result['data']}: the difference is the mean AUC of the "
        "first model less that of the second, with its 95% interval over seeds and test images; p "
        "values are after Holm's correction; Hedges' g is in units of the spread over seeds; where "
        "undecided, so many test images would decide it.",
        (
            "comparison",
            "labels",
            "verdict",
            "difference",
            "AUC of the first",
            "AUC of the second",
            "p, different",
            "p, equivalent",
            "Hedges' g",
            "test images needed",
        ),
        rows,
        ((ablation.source,),),
    )


def headline(ablation: Ablation) -> Table:
    """Mean AUC of every model at every share of the labels, with intervals."""
    cells: dict[str, dict[float, Cell]] = defaultdict(dict)
    for row in ablation.summary:
        if row["figure"] == "auc":
            cells[row["model"]][float(row["labels"])] = _mean_cell(row)
    rows = tuple(
        (Cell(model), *(own.get(fraction, Cell("not run")) for fraction in ablation.fractions))
        for model, own in cells.items()
    )
    result = ablation.source.result
    return Table(
        f"Mean AUC on the {result['images']} test images of {result['data']} over "
        f"{result['seeds']} seeds, with 95% intervals over seeds and test images together.",
        ("model", *(f"{percent(fraction)} of the labels" for fraction in ablation.fractions)),
        rows,
        ((ablation.source,),),
    )


def _models_table(ablation: Ablation) -> Table:
    names = list(dict.fromkeys(row["figure"] for row in ablation.summary))
    cells: dict[tuple[str, str], dict[str, Cell]] = defaultdict(dict)
    for row in ablation.summary:
        cells[row["model"], row["labels"]][row["figure"]] = _mean_cell(row)
    rows = tuple(
        (
            Cell(model),
            Cell(percent(float(labels)), float(labels)),
            *(own.get(name, Cell("none")) for name in names),
        )
        for (model, labels), own in cells.items()
    )
    called = {"auc_without_duplicates": "AUC without near-duplicates"} | FIGURES
    return Table(
        "Means over the seeds; intervals of an AUC are over seeds and test images, those of other "
        "figures over seeds. Near-duplicates are test images that have one in train.",
        ("model", "labels", *(called.get(name, name.replace("_", " ")) for name in names)),
        rows,
        ((ablation.source,),),
    )


def parameters(ablation: Ablation) -> Table:
    """How many parameters each model trains."""
    own = {row["model"]: row for row in ablation.rows}
    rows = tuple(
        (
            Cell(model),
            *(
                Cell(f"{int(row[key]):,}", int(row[key])) if row[key] else Cell("none")
                for key in ("parameters", "circuit_parameters")
            ),
        )
        for model, row in own.items()
    )
    return Table(
        f"Parameters of each model of the ablation on {ablation.source.result['data']}, as "
        "trained: of heads on frozen features the head alone.",
        ("model", "parameters", "of the circuit"),
        rows,
        ((ablation.source,),),
    )


def _mean_cell(row: Row) -> Cell:
    mean, low, high = (float(row[key] or "nan") for key in ("mean", "low", "high"))
    if math.isnan(mean):
        return Cell("undefined")
    return Cell(f"{mean:.3f}", mean, "" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]")


def _plain(item: Row, key: str, form: str) -> Cell:
    value = item[key]
    return Cell("none") if value is None else Cell(format(value, form), value)


def _ends(item: Row) -> str:
    return f"[{_number(item['low']):+.3f}, {_number(item['high']):+.3f}]"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
