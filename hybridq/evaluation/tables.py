"""Figures as plain text: aligned columns and values with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.utils.text import percent


def evaluation_table(result: dict[str, Any]) -> str:
    """The figures of an evaluation with their intervals, the baselines beside the model."""
    models = {result["head"]: result["model"], **result["baselines"]}
    rows = [
        [name.replace("_", " "), *(interval(entry["figures"][name]) for entry in models.values())]
        for name in result["model"]["figures"]
    ]
    lines = [
        f"{result['data']} {result['split']} split, {result['images']} images, "
        f"{percent(result['labels'])} of the labels, backend {result['backend']['name']}",
        table(["", *(name.replace("_", " ") for name in models)], rows),
        f"({result['interval']}"
        + (f"; positive class: {result['positive']}" if result["positive"] else "")
        + ")",
    ]
    by_class = result["model"].get("by_class", {})
    if by_class:
        header = ["class, against the rest", *next(iter(by_class.values()))]
        own = [
            [name, *(interval(figure) for figure in shares.values())]
            for name, shares in by_class.items()
        ]
        lines += ["", table(header, own)]
    lines += [f"Warning: {caution}" for caution in result.get("cautions", [])]
    return "\n".join([*lines, *(f"Note: {note}" for note in result["notes"])])


def interval(figure: Mapping[str, Any], name: str = "value") -> str:
    """Write a value and its interval, as `0.912 [0.871, 0.950]`.

    Args:
        figure: With `low` and `high`, which are None where there is no interval.
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
