"""What a study of capacity found, for its report: the role of the circuit, tables and forests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.evaluation.statistics import Comparison, Question
from hybridq.evaluation.summaries import compared_models, estimate, pivot
from hybridq.records.findings import Findings, Forest, ForestRow, ResultTable, Value
from hybridq.studies.capacity.arms import CALLED, CIRCUIT, MEAN, REDUCERS
from hybridq.studies.capacity.roles import WORDS, Role
from hybridq.studies.capacity.tables import Answer
from hybridq.utils.text import counted, percent

Row = Mapping[str, Any]

BOUND = (
    "The Lipschitz constant of a block is the largest slope found over angles from 0 to pi, on a "
    "sample and by ascent from its steepest points: a lower bound. That of a head is the largest "
    "slope of its logits at the test images, by standardised features."
)


def findings(
    result: Mapping[str, Any],
    summary: Sequence[Row],
    items: Sequence[Answer],
    roles: Mapping[str, tuple[Role, ...]],
) -> Findings:
    """Lay out the circuit's role, AUCs, parameters, slopes and comparisons.

    Args:
        result: What `result.json` says.
        summary: Rows of `summary.csv`.
        items: What `compared` returned.
        roles: The roles of the circuit, by reducer; the first counts.
    """
    over = (
        f"{counted(result['images'], 'test image')}, {counted(result['encoders'], 'encoder')}, "
        f"{counted(result['subsets'], 'label subset')} of {result['train_images']:,} images"
    )
    return Findings(
        title="Capacity",
        data=result["data"],
        sentences=[
            f"What the circuit contributes is measured on {result['data']}: {over}.",
            *(told(reducer, own, items) for reducer, own in roles.items()),
            *(_where(row) for row in summary if row["arm"] == CIRCUIT),
        ],
        notes=[*result["notes"], BOUND],
        compared=compared_models(
            [comparison_row(*item) for item in items],
            CALLED.__getitem__,
            lambda item: REDUCERS[item["reducer"]],
            figure="AUC",
            margin=result["margin"],
        ),
        forests=[_aucs(reducer, summary) for reducer in roles],
        tables=[
            pivot(
                f"Mean AUC, {over}, 95% intervals over all three",
                summary,
                {"arm": _called},
                lambda row: REDUCERS[row["reducer"]],
            ),
            _parameters(summary),
            _slopes(summary),
        ],
    )


def comparison_row(reducer: str, asked: Question, comparison: Comparison) -> dict[str, Any]:
    """Make the row of `comparisons.csv`, and what a report takes of it."""
    return {
        "reducer": reducer,
        "topic": asked.topic,
        "question": asked.text,
        "family": f"{asked.family}, {REDUCERS[reducer]}",
        "a": asked.a,
        "b": asked.b,
        **comparison.as_dict(),
    }


def told(reducer: str, roles: Sequence[Role], items: Sequence[Answer]) -> str:
    """Say what the circuit is, and the comparisons that this rests on."""
    words = {(kind, asked.b): one.words for kind, asked, one in items}
    first, *others = roles
    what = "role of the circuit" if first.name == "undecided" else "circuit"
    found = f"With the {REDUCERS[reducer]} the {what} is {_role(first.name)}: {WORDS[first.name]}"
    rests = "; ".join(f"{CALLED[arm]}: {words[reducer, arm]}" for arm in first.rests_on)
    beside = "".join(
        f" It is also {_role(one.name)}, by {', '.join(CALLED[arm] for arm in one.rests_on)}."
        for one in others
    )
    above = [one.verdict for kind, asked, one in items if (kind, asked.b) == (reducer, MEAN)]
    by_chance = above not in ([], ["better"])
    beware = " Beware: its head is not shown to be better than chance." if by_chance else ""
    return f"{found}{f' ({rests})' if rests else ''}.{beside}{beware}"


def _role(name: str) -> str:
    return f"a {name}" if name in ("contributor", "regulariser") else name


def _called(row: Row) -> str:
    return CALLED[row["arm"]]


def _counts(row: Row) -> tuple[int, int, int]:
    reducer, block, readout = (row[f"{n}_parameters"] for n in ("reducer", "block", "readout"))
    return reducer, block, readout


def _where(row: Row) -> str:
    counts = _counts(row)
    return (
        f"With the {REDUCERS[row['reducer']]}, {counts[1]:,} of {sum(counts):,} trained parameters "
        f"({percent(counts[1] / sum(counts))}) are in the circuit."
    )


def _parameters(summary: Sequence[Row]) -> ResultTable:
    """Where the trained parameters of each arm are."""
    rows: list[list[Value]] = []
    for row in summary:
        if row["block_parameters"] is None:
            continue
        counts = _counts(row)
        share = percent(counts[1] / sum(counts))
        rows.append([_called(row), REDUCERS[row["reducer"]], *counts, sum(counts), share])
    names = ["arm", "reducer", "in the reducer", "in the block", "in the readout", "all", "block"]
    return ResultTable(title="Trained parameters", columns=names, rows=rows)


def _slopes(summary: Sequence[Row]) -> ResultTable:
    """How far training moved each block, and how much blocks and heads change with their inputs."""
    fields = {
        "block_movement": "movement of the block",
        "lipschitz_block": "Lipschitz constant of the block, at least",
        "lipschitz_head": "of the head on the data",
    }
    rows = [
        [_called(row), REDUCERS[row["reducer"]], *(row[name] for name in fields)]
        for row in summary
        if row["block_parameters"] is not None
    ]
    return ResultTable(
        title="Movement in training (root mean square, mean over the heads) and largest slopes",
        columns=["arm", "reducer", *fields.values()],
        rows=rows,
    )


def _aucs(reducer: str, summary: Sequence[Row]) -> Forest:
    rows = []
    for row in summary:
        if row["reducer"] != reducer:
            continue
        label = _called(row)
        if row["block_parameters"] is not None:
            counts = _counts(row)
            label = f"{label}: {counts[1]:,} of {sum(counts):,} parameters"
        rows.append(ForestRow(label=label, **estimate(row).model_dump()))
    return Forest(
        title=f"Mean AUC, {REDUCERS[reducer]}",
        xlabel="AUC",
        rows=rows,
        caption="95% intervals over encoders, label subsets and test images; trained parameters "
        "in the block, of all in the head.",
    )
