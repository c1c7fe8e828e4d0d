"""What an ablation found, for its report: verdicts, tables, curves, and which models are drawn.

Which models are drawn is fixed here, before any result; every model is in the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.evaluation.summaries import (
    columns,
    compared_models,
    estimate,
    figure_name,
    label_curves,
    pivot,
    prediction_file,
)
from hybridq.records.findings import Findings, ResultTable
from hybridq.studies.ablation.grid import called
from hybridq.studies.ablation.tables import OPERATING, prediction_key
from hybridq.utils.text import counted, percent

Row = Mapping[str, Any]

HEADS = ("linear", "mlp", "pqc", "mlp_residual", "pqc_residual")
WHOLE = ("whole-simclr-{}", "whole-scratch-{}")
DRAWN = {
    "frozen features": ("simclr-pqc", "simclr-mlp", "random-pqc", "raw_pixels"),
    "whole network": tuple(name.format(head) for name in WHOLE for head in ("pqc", "mlp")),
}
"""Models whose decisions are drawn together."""
LINES = {
    "Pretraining, frozen features": ("simclr-pqc", "imagenet-pqc", "random-pqc", "raw_pixels"),
    "Pretraining, whole network": tuple(n.format(h) for n in WHOLE for h in HEADS[:3]),
    "Heads on SimCLR features": tuple(f"simclr-{head}" for head in HEADS),
    "Heads on random features": tuple(f"random-{head}" for head in HEADS),
    "Heads on ImageNet features": tuple(f"imagenet-{head}" for head in HEADS),
    "What the circuit needs": (
        *("simclr-pqc", "simclr-pqc_unentangled", "simclr-pqc_untrained", "simclr-pqc_random"),
    ),
}
"""Models whose curves over the share of the labels are drawn together."""
SHOWN = ("auc", "balanced_accuracy", "sensitivity", "specificity", "calibration_error")
"""Figures at the largest share of the labels."""


def findings(
    result: Mapping[str, Any],
    rows: Sequence[Row],
    summary: Sequence[Row],
    compared: Sequence[Row],
) -> Findings:
    """Lay out verdicts, figures and curves of an ablation.

    Args:
        result: What `result.json` says.
        rows: Of `ablation.csv`.
        summary: Of `summary.csv`.
        compared: What `verdicts` returned.
    """
    areas = [row for row in summary if row["figure"] == "auc"]
    best = max(areas, key=lambda row: (row["labels"], row["mean"]))
    images, of_seeds = counted(result["images"], "test image"), counted(result["seeds"], "seed")
    found = f"With {_share(best)} the highest mean AUC is {estimate(best).text}, of {_model(best)}"
    if compared:
        told = ", ".join(f"{count} {kind}" for kind, count in result["verdicts"].items() if count)
        found += f"; {counted(len(compared), 'comparison')}: {told}"
    return Findings(
        title="Ablation",
        data=result["data"],
        sentences=[
            f"What self-supervision and the quantum layer add is measured on the {images} of "
            f"{result['data']}, over {of_seeds} and "
            f"{counted(len(result['labels']), 'share')} of the labels.",
            f"{found}.",
        ],
        notes=result["notes"],
        compared=compared_models(compared, called, _share, figure="AUC", margin=result["margin"]),
        curves=label_curves(areas, LINES, called, "95% intervals over seeds and images together."),
        tables=_tables(rows, summary, areas, f"{images}, {of_seeds}"),
        predictions=prediction_file(
            "predictions.npz",
            rows,
            DRAWN,
            called,
            prediction_key,
            split="test split",
            positive=result["positive"],
        ),
        seeds=sorted({row["seed"] for row in rows}),
    )


def _model(row: Row) -> str:
    return called(row["model"])


def _share(row: Row) -> str:
    return f"{percent(row['labels'])} of the labels"


def _figure(row: Row) -> str:
    return figure_name(row["figure"]).replace("auc without", "AUC without near-")


def _tables(
    rows: Sequence[Row], summary: Sequence[Row], areas: Sequence[Row], what: str
) -> list[ResultTable]:
    """Mean AUC by share of the labels; more figures; labelled images; parameters."""
    last = max(row["labels"] for row in summary)
    most = [row for row in summary if row["labels"] == last and row["figure"] in SHOWN]
    model, share = {"model": _model}, {"labels": lambda row: percent(row["labels"])}
    means = "means over the seeds, 95% intervals of other figures than the AUC over these alone"
    counts = {"train_images": "train images", "val_images": "validation images"}
    sizes = {"parameters": "parameters", "circuit_parameters": "of the circuit"}
    labelled = (
        "Labelled images: those a model is trained with, and those of validation, on which its "
        "threshold is chosen by balanced accuracy"
    )
    trained = "Parameters of each model, as trained: of heads on frozen features the head alone"
    return [
        pivot(f"Mean AUC, {what}, 95% intervals over both together", areas, model, _share),
        pivot(f"With {percent(last)} of the labels: {means}", most, model, _figure),
        pivot(
            f"Every model at every share: {means}; near-duplicates are test images that have one "
            "in train",
            [row for row in summary if row["figure"] not in OPERATING],  # it is wide enough
            model | share,
            _figure,
            folded=True,
        ),
        columns(labelled, rows, share, counts),
        columns(trained, rows, model, sizes),
    ]
