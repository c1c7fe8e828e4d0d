"""Tables and curves of what was found, from rows of figures with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybridq.evaluation.statistics.seeds import FEWEST_SEEDS, SeedInterval, seed_estimate
from hybridq.records.findings import (
    Compared,
    ComparedModels,
    Curve,
    Curves,
    Estimate,
    Forest,
    ForestRow,
    ModelPredictions,
    PredictionFile,
    PredictionSet,
    ResultTable,
    Value,
)
from hybridq.utils.files import without_nan

Row = Mapping[str, Any]
Of = Callable[[Row], Any]
Called = Callable[[str], str]

BY_LABELS: Mapping[str, Any] = {
    "xlabel": "labels in use, logarithmic",
    "ylabel": "AUC",
    "unit": "%",
    "is_logarithmic": True,
}
"""Axes of AUC against the share of the labels, in percent."""

FIGURES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "macro_f1": "macro F1",
    "calibration_error": "calibration error",
    "brier": "Brier score",
    "sensitivity_at_specificity": "sensitivity at the specificity",
    "ppv": "PPV",
    "npv": "NPV",
}
"""What figures of merit are called in words."""


def figure_name(name: str) -> str:
    """What a figure is called in words."""
    return FIGURES.get(name, name.replace("_", " "))


def figures_of(measured: Mapping[str, Any]) -> dict[str, Estimate]:
    """The figures of a model as an evaluation records them, with intervals over the images."""
    figures = measured.get("figures", {})
    ends = ("value", "low", "high")
    return {
        name: Estimate(**{end: figure[end] for end in ends}, over="images")
        for name, figure in figures.items()
    }


def estimate(row: Row, *, largest: float = 1.0) -> Estimate:
    """The figure of a row with `mean`, `low`, `high`, `seeds` and, if not the seeds, `over`.

    Args:
        row: None and NaN are undefined.
        largest: What the figure can be at most.
    """
    value, low, high = (float("nan") if row[k] is None else row[k] for k in ("mean", "low", "high"))
    if row.get("over", "seeds") == "seeds":
        found = SeedInterval(value, low, high, row["seeds"], left_out=0)
        return seed_estimate(found, largest=largest)
    ends = without_nan({"value": value, "low": low, "high": high})
    return Estimate(**ends, over=row["over"])


def difference(row: Row, name: str) -> Estimate:
    """A paired difference of a row, with its interval from three seeds on.

    Args:
        row: A row with `NAME`, `NAME_low`, `NAME_high` and `NAME_seeds`; None is undefined.
        name: The name of the difference.
    """
    few = (row[f"{name}_seeds"] or 0) < FEWEST_SEEDS
    low, high = (None if few else row[f"{name}_{end}"] for end in ("low", "high"))
    return Estimate(value=row[name], low=low, high=high, is_signed=True)


def pivot(
    title: str,
    rows: Sequence[Row],
    named: Mapping[str, Of],
    across: Of,
    value: Callable[[Row], Value] = estimate,
    *,
    folded: bool = False,
) -> ResultTable:
    """Make a table with a column for each value of a field of the rows.

    Args:
        title: What it shows.
        rows: Each gives one cell.
        named: The first columns; rows that are alike in them share a row of the table.
        across: The name of the column that a row's cell is in.
        value: The cell.
        folded: Whether it is shown when asked for.
    """
    columns = list(dict.fromkeys(across(row) for row in rows))
    cells: dict[tuple[Any, ...], dict[str, Value]] = {}
    for row in rows:
        cells.setdefault(tuple(of(row) for of in named.values()), {})[across(row)] = value(row)
    lines = [[*key, *(own.get(column) for column in columns)] for key, own in cells.items()]
    return ResultTable(title=title, columns=[*named, *columns], rows=lines, folded=folded)


def columns(
    title: str, rows: Sequence[Row], named: Mapping[str, Of], fields: Mapping[str, str]
) -> ResultTable:
    """Make a folded table of some fields of the rows.

    Args:
        title: What it shows.
        rows: The last one counts of those that are alike in what is named.
        named: The first columns.
        fields: What each field is called.
    """
    lines = {tuple(of(row) for of in named.values()): [row[key] for key in fields] for row in rows}
    return ResultTable(
        title=title,
        columns=[*named, *fields.values()],
        rows=[[*key, *cells] for key, cells in lines.items()],
        folded=True,
    )


def curves(
    rows: Sequence[Row],
    line: Of,
    x: Of,
    value: Callable[[Row], Estimate] = estimate,
    **words: Any,
) -> Curves | None:
    """Draw a line for what is named alike; None where nothing has two places.

    Args:
        rows: Each gives one point.
        line: The name of the line that it is on.
        x: Where.
        value: How high; undefined points are left out.
        words: The other fields of `Curves`.
    """
    found: dict[str, list[tuple[float, Estimate]]] = {}
    for row in rows:
        point = value(row)
        if point.value is not None:
            found.setdefault(line(row), []).append((float(x(row)), point))
    ordered = {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}
    shown = [
        Curve(name=name, x=[at for at, _ in points], points=[point for _, point in points])
        for name, points in ordered.items()
    ]
    return Curves(curves=shown, **words) if shown else None


def label_curves(
    rows: Sequence[Row], groups: Mapping[str, Sequence[str]], called: Called, caption: str
) -> list[Curves]:
    """Draw AUC against the share of the labels, for each group that has rows.

    Args:
        rows: AUCs, each with its `model` and share of the `labels`.
        groups: Models that are drawn together, by the title.
        called: What a model is called in words.
        caption: What the intervals are over.
    """
    drawn = []
    for title, models in groups.items():
        own = [row for model in models for row in rows if row["model"] == model]
        words = {"title": title, "caption": caption, **BY_LABELS}
        drawn.append(curves(own, lambda row: called(row["model"]), share_of, **words))
    return [one for one in drawn if one is not None]


def share_of(row: Row) -> float:
    """The share of the labels in percent."""
    return 100.0 * float(row["labels"])


def prediction_file(
    file: str,
    rows: Sequence[Row],
    groups: Mapping[str, Sequence[str]],
    called: Called,
    array: Callable[[float, str], str],
    **words: Any,
) -> PredictionFile:
    """Say where predictions are that are drawn together.

    Args:
        file: Its name.
        rows: One for each model, share of the labels (`labels`) and `seed`, with its `threshold`.
        groups: Which models are drawn together, by what they have in common.
        called: What a model is called in words.
        array: The name in the file of a share's and model's probabilities.
        words: The other fields of `PredictionFile`.
    """
    found: dict[tuple[float, str], list[ModelPredictions]] = {}
    for labels in sorted({row["labels"] for row in rows}):
        for where, models in groups.items():
            for model in models:
                own = [row for row in rows if (row["labels"], row["model"]) == (labels, model)]
                if own:
                    one = ModelPredictions(
                        model=called(model),
                        array=array(labels, model),
                        seeds=[row["seed"] for row in own],
                        thresholds=[row["threshold"] for row in own],
                    )
                    found.setdefault((labels, where), []).append(one)
    sets = [
        PredictionSet(labels=labels, where=where, models=models)
        for (labels, where), models in found.items()
    ]
    return PredictionFile(file=file, sets=sets, **words)


def compared_models(
    items: Sequence[Row], called: Called, setting: Of, *, figure: str, margin: float
) -> ComparedModels | None:
    """Lay out comparisons; None where there are none.

    Args:
        items: The fields of `Comparison.as_dict`, with `topic`, `question`, `family`, `a` and `b`.
        called: What a model is called in words.
        setting: What both models of an item share.
        figure: What is compared, in words.
        margin: Largest difference that does not matter.
    """
    found = []
    for item in items:
        words = {"setting": setting(item), "a": called(item["a"]), "b": called(item["b"])}
        whole = without_nan(dict(item)) | words
        found.append(Compared(**{name: whole[name] for name in Compared.model_fields}))
    return ComparedModels(figure=figure, margin=margin, items=found) if found else None


def forests(compared: ComparedModels) -> list[Forest]:
    """Make a forest plot of the differences in each setting."""
    return [
        difference_forest(compared, [one for one in compared.items if one.setting == setting])
        for setting in dict.fromkeys(one.setting for one in compared.items)
    ]


def difference_forest(compared: ComparedModels, items: Sequence[Compared]) -> Forest:
    """Make a forest plot of some differences in one setting."""
    rows = [
        ForestRow(
            label=f"{one.a} less {one.b}",
            value=one.difference,
            low=one.low,
            high=one.high,
            verdict=one.verdict,
        )
        for one in items
    ]
    return Forest(
        title=f"Differences in {compared.figure}, {items[0].setting}",
        xlabel=f"difference in {compared.figure}",
        rows=rows,
        margin=compared.margin,
        caption="95% intervals, each of its comparison alone; the band is the margin of "
        f"{compared.margin:g}.",
    )
