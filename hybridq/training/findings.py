"""What a training found, as its `report.json` holds it: its curves, and what was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridq.config import FinetuneConfig, PretrainConfig
from hybridq.config.handed import handed_label
from hybridq.models.ssl import ssl_label
from hybridq.records.findings import Curve, Curves, Estimate, Findings
from hybridq.training.pretraining.rest import still_moving
from hybridq.utils.text import counted, percent

Row = Mapping[str, Any]

STARTED = "The head began at a regression on the labelled features."

LINES = {"loss": "training loss", "val_loss": "validation loss", "val_auc": "validation AUC"}

CURVES = {"loss": "loss of the method", "rankme": "RankMe", "knn_auc": "AUC of neighbours"}


def finetuning_findings(
    config: FinetuneConfig,
    data: str,
    result: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
) -> Findings:
    """Say what a fine-tuning was given, and which epoch was kept.

    Args:
        config: The config of the run.
        data: Name of the data.
        result: What `result.json` says.
        epochs: Rows of `metrics.jsonl`.
    """
    kept, images = result["kept"], counted(result["labelled_images"], "image")
    weights = counted(result["trainable_parameters"], "trainable parameter")
    probed = counted(config.probe_steps, "step")
    area = "undefined" if kept["val_auc"] is None else f"{kept['val_auc']:.3f}"
    return Findings(
        command="finetune",
        title="Fine-tuning",
        data=data,
        sentences=[
            f"{handed_label(config.head.name)} was trained on {images} of {data}, "
            f"{percent(config.labels)} of the labels, with {weights}.",
            f"The model kept is that of epoch {int(kept['epoch'] or 0) + 1} of "
            f"{result['epochs']}, with a validation AUC of {area}.",
            *([STARTED] if config.head_start == "regression" else []),
            *([f"The head alone was trained first, for {probed}."] if config.probe_steps else []),
        ],
        curves=[one for key in LINES for one in _curves(epochs, key, LINES[key])],
        seeds=[config.seed],
    )


def pretraining_findings(
    config: PretrainConfig,
    data: str,
    result: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
) -> Findings:
    """Say what a pretraining was given, and where its loss ended.

    Args:
        config: The config of the run.
        data: Name of the data.
        result: What `result.json` says.
        epochs: Rows of `metrics.jsonl`.
    """
    chance = result["loss_of_chance"]
    beside = "" if chance is None else f"; {chance:.3f} is that of an encoder that learned nothing"
    return Findings(
        command="pretrain",
        title="Pretraining",
        data=data,
        sentences=[
            f"{ssl_label(config.ssl.name)} was trained on {counted(result['images'], 'image')} "
            f"of {data} for {counted(result['steps'], 'step')} "
            f"({counted(result['epochs'], 'epoch')}).",
            f"The last loss is {result['loss']:.3f}{beside}.",
            *([] if (told := still_moving(epochs)) is None else [told]),
        ],
        curves=[one for key in CURVES for one in _curves(epochs, key, CURVES[key])],
        seeds=[config.seed],
    )


def _curves(epochs: Sequence[Row], key: str, called: str) -> list[Curves]:
    """The drawing of a figure by epoch, counted from 1; none where it was never taken."""
    rows = [row for row in epochs if row.get(key) is not None]
    if not rows:
        return []
    points = [Estimate(value=row[key]) for row in rows]
    curve = Curve(name=called, x=[row["epoch"] + 1.0 for row in rows], points=points)
    return [Curves(title=called, xlabel="epoch", ylabel=called, curves=[curve])]
