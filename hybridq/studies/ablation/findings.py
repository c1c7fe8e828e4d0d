"""What an ablation found, for its report: verdicts, tables, curves, and which models are drawn.

Which models are drawn is fixed here, before any result; every model is in the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hybridq.evaluation.summaries import (
    columns,
    compared_models,
    curves,
    figure_name,
    pivot,
    prediction_file,
)
from hybridq.models.names import start_name
from hybridq.records.findings import Findings, ResultTable
from hybridq.studies.ablation.grid import RANDOM, RAW_PIXELS, REGRESSION, SCRATCH, called
from hybridq.studies.ablation.tables import OPERATING, prediction_key
from hybridq.utils.text import counted

Row = Mapping[str, Any]

HEADS = (REGRESSION, "linear", "mlp", "pqc", "mlp_residual", "pqc_residual")
NEEDS = ("pqc", "pqc_unentangled", "pqc_untrained", "pqc_random", "identity", "rff", "mlp")
SHOWN = ("auc", "balanced_accuracy", "sensitivity", "specificity", "brier")
"""Figures with all labels, or as many as were used."""
BY_IMAGES: Mapping[str, Any] = {
    "xlabel": "labelled images, logarithmic",
    "ylabel": "AUC",
    "unit": "",
    "is_logarithmic": True,
}
"""Axes of AUC against the number of labelled images."""


def findings(
    result: Mapping[str, Any],
    rows: Sequence[Row],
    summary: Sequence[Row],
    compared: Sequence[Row],
) -> Findings:
    """Lay out verdicts, figures and curves of an ablation.

    Args:
        result: What `result.json` says.
        rows: The rows of `ablation.csv`.
        summary: The rows of `summary.csv`.
        compared: What `verdicts` returned.
    """
    areas = [row for row in summary if row["figure"] == "auc"]
    images = {(row["labels"], row["model"]): row["train_images"] for row in rows}
    over = (
        f"{counted(result['images'], 'test image')}, {counted(result['seeds'], 'encoder')}, "
        f"{counted(result['subsets'], 'label subset')}"
    )
    return Findings(
        title="Ablation",
        data=result["data"],
        sentences=[
            f"What self-supervision and the quantum layer add is measured on "
            f"{result['data']}, over {over}.",
            *_answers(result, compared),
        ],
        notes=result["notes"],
        compared=compared_models(
            sorted(compared, key=lambda item: not item["primary"]),
            called,
            lambda item: item["budget"],
            figure="AUC",
            margin=result["margin"],
        ),
        curves=[
            shown
            for title, models in _lines(result["kinds"], {row["model"] for row in rows}).items()
            if (
                shown := curves(
                    [row for model in models for row in areas if row["model"] == model],
                    _model,
                    lambda row: images[row["labels"], row["model"]],
                    title=title,
                    caption="95% intervals over encoders, subsets and test images together.",
                    **BY_IMAGES,
                )
            )
        ],
        tables=_tables(rows, summary, areas, over),
        predictions=prediction_file(
            "predictions.npz",
            [row | {"threshold": 0.5 if row["threshold"] is None else row["threshold"]}
             for row in map(dict, rows)],
            _drawn(result["kinds"]),
            called,
            prediction_key,
            split="test split",
            positive=result["positive"],
        ),
        seeds=sorted({row["seed"] for row in rows}),
    )  # fmt: skip


def _answers(result: Mapping[str, Any], compared: Sequence[Row]) -> list[str]:
    """Answer each question that was declared, then count the verdicts."""
    found = []
    for name in result["primary"]:
        own = [item for item in compared if item["family"] == name]
        for text in dict.fromkeys(item["question"] for item in own):
            told = "; ".join(
                f"with {item['budget']} {item['verdict']} ({item['difference']:+.3f})"
                for item in own
                if item["question"] == text
            )
            found.append(f"{text[0].upper()}{text[1:]}? {told[0].upper()}{told[1:]}.")
    decided = sum(result["primary_verdicts"].values()) - result["primary_verdicts"]["undecided"]
    total = sum(result["primary_verdicts"].values())
    if total:
        verb = "is" if decided == 1 else "are"
        found.append(f"Of {counted(total, 'primary comparison')} {decided} {verb} decided.")
    return found or ["No pair of models was compared."]


def _lines(kinds: Sequence[str], trained: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Which models' curves are drawn together, by the title.

    The regression is in the first drawing, and is drawn again beside heads alone.
    """
    every = (*kinds, RANDOM)
    names = [*map(start_name, kinds), "an untrained encoder"]
    of_kinds = {
        f"Heads on features of {name}": tuple(f"{kind}-{head}" for head in HEADS)
        for kind, name in zip(every, names, strict=True)
        if any(f"{kind}-{head}" in trained for head in HEADS if head != REGRESSION)
    }
    wholes = tuple(
        f"whole-{start}-{head}" for start in (SCRATCH, *kinds) for head in ("linear", "pqc", "mlp")
    )
    return {
        "Pretraining, read by a penalised regression": (
            *(f"{kind}-{REGRESSION}" for kind in every),
            RAW_PIXELS,
        ),
        "Whole networks": wholes,
        **of_kinds,
        "What the circuit needs": tuple(f"{kinds[0]}-{head}" for head in NEEDS),
    }


def _drawn(kinds: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Which models' decisions are drawn together."""
    first = kinds[0]
    return {
        "frozen features": (f"{first}-pqc", f"{first}-mlp", f"{first}-{REGRESSION}", RAW_PIXELS),
    }


def _model(row: Row) -> str:
    return called(row["model"])


def _budget(row: Row) -> str:
    return str(row["budget"])


def _figure(row: Row) -> str:
    return figure_name(row["figure"]).replace("auc without", "AUC without near-")


def _tables(
    rows: Sequence[Row], summary: Sequence[Row], areas: Sequence[Row], over: str
) -> list[ResultTable]:
    """Mean AUC by budget; more figures; labelled images; parameters."""
    last = max(row["labels"] for row in summary)
    most = [row for row in summary if row["labels"] == last and row["figure"] in SHOWN]
    model, share = {"model": _model}, {"labels": _budget}
    means = "means with 95% intervals over encoders, subsets and test images together"
    counts = {"train_images": "train images", "subsets": "subsets"}
    sizes = {"parameters": "parameters", "circuit_parameters": "of the circuit"}
    operating = {
        "threshold": "median threshold",
        "without_threshold": "subsets without a threshold",
    }
    lines = [
        pivot(f"Mean AUC, {over}: {means}", areas, model, _budget),
        pivot(f"With {_budget(most[0])}: {means}", most, model, _figure),
        pivot(
            f"Every model at every budget: {means}; near-duplicates are test images that have one "
            "in train",
            [row for row in summary if row["figure"] not in OPERATING],  # it is wide enough
            model | share,
            _figure,
            folded=True,
        ),
        columns("Labelled images that a model is trained with, in the mean", rows, share, counts),
        columns(
            "Parameters of each model, as trained: of heads on frozen features the head alone",
            *(rows, model, sizes),
        ),
    ]
    if any(row["threshold"] is not None for row in rows):
        lines.append(
            columns(
                "Thresholds on the positive class, chosen on held-out labelled images by balanced "
                "accuracy",
                *(rows, model | share, operating),
            )
        )
    return lines
