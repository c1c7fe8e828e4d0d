"""Figures as plain text: aligned columns and values with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.utils.text import percent

SUBGROUPS = ("auc", "balanced_accuracy", "sensitivity", "specificity", "brier")
"""The figures that are shown of each group of images."""

THRESHOLDS = {
    "model": "the model's own",
    "val": "chosen on the validation split",
    "none": "without a choice",
}
"""Where a threshold comes from, in words."""


def evaluation_table(result: dict[str, Any]) -> str:
    """The figures of an evaluation with their intervals, the baselines beside the model."""
    models = {result["head"]: result["model"]}
    if changed := result.get("recalibrated"):
        models[f"{result['head']}, recalibrated"] = changed
    models |= result["baselines"]
    rows = [
        [figure_words(name, result), *(_cell(entry, name) for entry in models.values())]
        for name in (*result["model"]["figures"], *result["model"].get("calibration", {}))
    ]
    lines = [
        f"{result['data']} {split_words(result['split'])}, {result['images']} images, "
        f"{percent(result['labels'])} of the labels, backend {result['backend']['name']}",
        table(["", *(name.replace("_", " ") for name in models)], rows),
        f"({'; '.join([result['interval'], *about_decision(result)])})",
    ]
    by_class = result["model"].get("by_class", {})
    if by_class:
        header = ["class, against the rest", *next(iter(by_class.values()))]
        own = [
            [name, *(interval(figure) for figure in shares.values())]
            for name, shares in by_class.items()
        ]
        lines += ["", table(header, own)]
    for column in dict.fromkeys(row["column"] for row in result.get("subgroups", ())):
        lines += ["", table(*subgroup_rows(column, result))]
    lines += [f"Warning: {caution}" for caution in result.get("cautions", [])]
    return "\n".join([*lines, *(f"Note: {note}" for note in result["notes"])])


def split_words(split: str) -> str:
    """What a split is called in words."""
    return "all splits" if split == "all" else f"{split} split"


def figure_words(name: str, result: Mapping[str, Any]) -> str:
    """What a figure of an evaluation is called, with what it is stated for."""
    if name in ("slope", "intercept"):
        return f"calibration {name}"
    if name == "sensitivity_at_specificity":
        return f"sensitivity at specificity {result['at_specificity']:g}"
    if name in ("ppv", "npv"):
        return f"{name.upper()} at prevalence {result['prevalence']:g}"
    return name.replace("_", " ")


def about_decision(result: Mapping[str, Any]) -> list[str]:
    """Say of which class the figures speak, and where thresholds and probabilities come from."""
    if not result["positive"]:
        said = []
    else:
        threshold = f"{result['model']['threshold']:.3f}"
        said = [f"positive class: {result['positive']}"]
        origin = THRESHOLDS.get(str(result.get("threshold_from")))
        said += [f"threshold {threshold}, {origin}"] if origin else []
    if changed := result.get("recalibrated"):
        words = []
        if changed["recalibration"] != "none":
            words.append(f"probabilities by {changed['recalibration']}")
        if changed["threshold_from"] == "val":
            words.append(f"threshold {changed['threshold']:.3f} chosen")
        said.append(f"recalibrated: {' and '.join(words)} on {changed['fitted_on']}")
    return said


def subgroup_rows(column: str, result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the figures by the values of a column."""
    groups = [row for row in result["subgroups"] if row["column"] == column]
    shown = [name for name in SUBGROUPS if name in result["model"]["figures"]]
    rows = [
        [
            row["value"] + (" (small)" if row["small"] else ""),
            str(row["images"]),
            *(interval(row["figures"][name]) for name in shown),
        ]
        for row in groups
    ]
    return [column, "images", *(name.replace("_", " ") for name in shown)], rows


def _cell(entry: Mapping[str, Any], name: str) -> str:
    figures = {**entry["figures"], **entry.get("calibration", {})}
    return interval(figures[name]) if name in figures else ""


def interval(figure: Mapping[str, Any], name: str = "value") -> str:
    """Write a value and its interval, as `0.912 [0.871, 0.950]`.

    Args:
        figure: A figure with `low` and `high`, which are None where there is no interval.
        name: The key of the value, which is None if it is undefined.
    """
    value, low, high = figure[name], figure["low"], figure["high"]
    if value is None:
        return "undefined"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under a header."""
    grid = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in grid) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in grid
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
