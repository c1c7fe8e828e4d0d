"""What a study of blocks found, for its report: a matrix, verdicts, errors, slopes and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.evaluation.statistics import Comparison, Question
from hybridq.evaluation.summaries import compared_models, curves, estimate, pivot
from hybridq.records.findings import Curves, Estimate, Findings, ResultTable, Value
from hybridq.studies.blocks.grid import CONTROLS, ENCODERS, REDUCERS, WITHOUT, called
from hybridq.studies.blocks.tables import OVER, Answer
from hybridq.utils.text import counted

Row = Mapping[str, Any]

ASKED = {
    ENCODERS: "of what heads stand on",
    REDUCERS: "of a reducer with a dense one",
    CONTROLS: "of a circuit with its control",
}
"""What the comparisons of a topic are called in words."""


def findings(
    result: Mapping[str, Any],
    summary: Sequence[Row],
    items: Sequence[Answer],
    errors: Sequence[Row],
    slopes: Sequence[Row],
    noise: Sequence[Row],
) -> Findings:
    """Lay out the matrix of AUCs, the comparisons, where errors arise, slopes, and noise."""
    over = (
        f"{counted(result['images'], 'test image')}, {counted(result['encoders'], 'encoder')}, "
        f"{counted(result['subsets'], 'label subset')}"
    )
    tables = [
        pivot(
            f"Mean AUC, {over}, 95% intervals over all three",
            summary,
            {"labels": _amount, "stands on": _kind, "reducer": _reducer, "head": _head},
            _qubits,
        ),
        _parameters(summary),
    ]
    return Findings(
        title="Blocks",
        data=result["data"],
        sentences=[
            f"Encoders, reducers and heads are put together on {result['data']}: {over}.",
            *(told(topic, items) for topic in ASKED),
        ],
        notes=[*result["notes"], *([ERRORS] if errors else [])],
        compared=compared_models(
            [comparison_row(*item) for item in items],
            called,
            lambda item: str(item["labels"]),
            figure="AUC",
            margin=result["margin"],
        ),
        curves=_curves(summary),
        tables=[*tables, *_more(errors, slopes, noise)],
    )


ERRORS = (
    "Errors are parts of the log loss on the test images: of models trained five times as long on "
    "all labels above the least of these (approximation), of models trained so on the labels at "
    "hand above that (estimation), and of the models themselves above that (optimisation), which "
    "is negative where stopping early helps."
)


def told(topic: str, items: Sequence[Answer]) -> str:
    """Say how the comparisons of a topic ended."""
    own = [found for _, asked, found in items if asked.topic == topic]
    if not own:
        return f"No comparison {ASKED[topic]} could be made."
    counts = {
        word: sum(one.verdict == word for one in own)
        for word in ("better", "worse", "equivalent", "undecided")
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"Of {counted(len(own), 'comparison')} {ASKED[topic]}, by verdict: {said}."


def comparison_row(amount: str, asked: Question, comparison: Comparison) -> dict[str, Any]:
    """Make the row of `comparisons.csv`, and what a report takes of it."""
    return {
        "labels": amount,
        "topic": asked.topic,
        "question": asked.text,
        "family": f"{asked.together}, {amount}",
        "a": asked.a,
        "b": asked.b,
        **comparison.as_dict(),
    }


def _amount(row: Row) -> str:
    return str(row["labels"])


def _kind(row: Row) -> str:
    return str(row["encoder"])


def _reducer(row: Row) -> str:
    return "" if row["reducer"] == WITHOUT else str(row["reducer"])


def _head(row: Row) -> str:
    return str(row["head"])


def _qubits(row: Row) -> str:
    return f"{row['qubits']} qubits" if row["qubits"] else "as it is"


def _parameters(summary: Sequence[Row]) -> ResultTable:
    """List the trained parameters of each combination, and the head's share of them."""
    rows: list[list[Value]] = []
    for row in {row["blocks"]: row for row in summary}.values():
        both = row["reducer_parameters"], row["head_parameters"]
        share = f"{100 * both[1] / max(1, sum(both)):.2g}%"
        rows.append([called(row["blocks"]), *both, share])
    names = ["blocks", "trained in the reducer", "in the head", "share of the head"]
    return ResultTable(title="Trained parameters", columns=names, rows=rows, folded=True)


def _more(errors: Sequence[Row], slopes: Sequence[Row], noise: Sequence[Row]) -> list[ResultTable]:
    """Make the tables of errors, slopes and noise, where there are any."""
    found = []
    if errors:
        parts = ["approximation", "estimation", "optimisation", "risk"]
        found.append(
            ResultTable(
                title="Log loss above the best model, by where it arises",
                columns=["labels", "blocks", *parts],
                rows=[
                    [row["labels"], called(row["blocks"]), *(row[name] for name in parts)]
                    for row in errors
                ],
            )
        )
    if slopes:
        found.append(
            ResultTable(
                title=f"Change of AUC with each qubit, 95% intervals over {OVER}",
                columns=["labels", "stands on", "reducer", "head", "slope"],
                rows=[
                    [
                        row["labels"],
                        row["encoder"],
                        _reducer(row),
                        row["head"],
                        Estimate(
                            value=row["slope"], low=row["low"], high=row["high"], is_signed=True
                        ),
                    ]
                    for row in slopes
                ],
            )
        )
    if noise:
        found.append(
            ResultTable(
                title="AUC of trained circuits under noise, and its change",
                columns=["labels", "blocks", "backend", "heads", "AUC", "change", "largest change"],
                rows=[
                    [
                        row["labels"],
                        called(row["blocks"]),
                        *(row[name] for name in ("backend", "heads", "auc", "change")),
                        row["largest_change"],
                    ]
                    for row in noise
                ],
            )
        )
    return found


def _curves(summary: Sequence[Row]) -> list[Curves]:
    """Draw AUC against the qubits, for each amount of labels and what heads stand on."""
    found = []
    for amount, kind in dict.fromkeys((row["labels"], row["encoder"]) for row in summary):
        own = [
            row
            for row in summary
            if (row["labels"], row["encoder"]) == (amount, kind) and row["qubits"]
        ]
        if len({row["qubits"] for row in own}) < 2:
            continue
        drawn = curves(
            own,
            lambda row: ", ".join(filter(None, (_reducer(row), row["head"]))),
            lambda row: row["qubits"],
            estimate,
            title=f"{kind}, {amount}",
            xlabel="qubits",
            ylabel="AUC",
            caption=f"95% intervals over {OVER}.",
        )
        found += [] if drawn is None else [drawn]
    return found
