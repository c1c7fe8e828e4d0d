"""What a study of blocks found, for its report: a matrix, verdicts, errors, slopes and noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybridq.evaluation.statistics import Comparison, Question
from hybridq.evaluation.summaries import compared_models, curves, estimate, pivot
from hybridq.records.findings import Curves, Estimate, Findings, ResultTable, Value
from hybridq.studies.blocks.grid import CONTROLS, ENCODERS, REDUCERS, WITHOUT, called
from hybridq.studies.blocks.tables import OVER, Answer
from hybridq.utils.text import counted

Row = Mapping[str, Any]

PARTS = ("approximation", "estimation", "optimisation")
"""The parts of an error."""

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
    more: Mapping[str, Sequence[Row]],
) -> Findings:
    """Lay out the matrix of AUCs, the comparisons, and what else was found.

    Args:
        result: The content of `result.json`.
        summary: The rows of `summary.csv`.
        items: The answers that `compared` returns.
        more: The rows of `errors`, `slopes`, `noise`, `ratios` and `gallery`, none where there
            are none.
    """
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
        notes=[*result["notes"], *([ERRORS] if more["errors"] else [])],
        compared=compared_models(
            [comparison_row(*item) for item in items],
            called,
            lambda item: str(item["labels"]),
            figure="AUC",
            margin=result["margin"],
        ),
        curves=_curves(summary),
        tables=[*tables, *_more(more)],
    )


ERRORS = (
    "Errors are parts of the log loss on the test images, all classes weighing the same: of models "
    "trained five times as long on all labels above the least of these (approximation), of models "
    "trained so on the labels at hand above that (estimation), and of the models themselves above "
    "that (optimisation), which is negative where stopping early helps."
)


def told(topic: str, items: Sequence[Answer]) -> str:
    """Say how the comparisons of a topic ended."""
    return verdicts_told(ASKED[topic], [one for _, asked, one in items if asked.topic == topic])


def verdicts_told(asked: str, found: Sequence[Comparison]) -> str:
    """Count the verdicts of comparisons.

    Args:
        asked: What was compared, after the word "comparisons".
        found: The comparisons.
    """
    if not found:
        return f"No comparison {asked} could be made."
    counts = {
        word: sum(one.verdict == word for one in found)
        for word in ("better", "worse", "equivalent", "undecided")
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"Of {counted(len(found), 'comparison')} {asked}, by verdict: {said}."


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


def _more(more: Mapping[str, Sequence[Row]]) -> list[ResultTable]:
    """Make the tables of errors, slopes, noise and ratios, where there are any."""
    found: list[tuple[str, str, list[str], Callable[[Row], list[Value]]]] = [
        (
            "gallery",
            "Quantum heads side by side: compiled for FakeTorino, QPU seconds of 100 images at "
            "4,096 shots by IBM's quick formula",
            [
                *("head", "labels", "reducer", "trained in the reducer", "in the head"),
                *("of these in circuits", "qubits", "depth", "two-qubit gates"),
                *("circuits an image", "QPU seconds", "ms of a step", "AUC"),
                *("control", "its AUC", "verdict", "paper", "what it claims"),
            ],
            lambda row: [
                *(f"{row['label']} (`{row['head']}`)", _amount(row), _reducer(row)),
                *(row["reducer_parameters"], row["head_parameters"], row["quantum_parameters"]),
                *(row["qubits"], row["depth"], row["two_qubit_gates"], row["circuits"]),
                *(
                    row["qpu_seconds"],
                    row["step_ms"],
                    _of(row, "auc"),
                    row["control"],
                    row["control_auc"],
                ),
                *(row["verdict"], row["paper"], row["claim"]),
            ],
        ),
        (
            "errors",
            "Log loss above the best model, by where it arises",
            ["labels", "blocks", *PARTS, "log loss"],
            lambda row: [_amount(row), _blocks(row), *(row[part] for part in PARTS), row["risk"]],
        ),
        (
            "slopes",
            f"Change of AUC with each qubit, 95% intervals over {OVER}",
            ["labels", "stands on", "reducer", "head", "slope"],
            lambda row: [
                *(_amount(row), _kind(row), _reducer(row), _head(row)),
                _of(row, "slope", is_signed=True),
            ],
        ),
        (
            "noise",
            "AUC of trained circuits under noise, and its change",
            ["labels", "blocks", "backend", "heads", "AUC", "change", "largest change"],
            lambda row: [
                *(_amount(row), _blocks(row), row["backend"], row["heads"]),
                *(row["auc"], row["change"], row["largest_change"]),
            ],
        ),
        (
            "ratios",
            f"AUC as a share of that with all labels, 95% intervals over {OVER}",
            ["labels", "blocks", "ratio"],
            lambda row: [_amount(row), _blocks(row), _of(row, "ratio")],
        ),
    ]
    return [
        ResultTable(title=title, columns=columns, rows=[cells(row) for row in more[name]])
        for name, title, columns, cells in found
        if more[name]
    ]


def _of(row: Row, name: str, *, is_signed: bool = False) -> Estimate:
    return Estimate(value=row[name], low=row["low"], high=row["high"], is_signed=is_signed)


def _blocks(row: Row) -> str:
    return called(row["blocks"])


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
