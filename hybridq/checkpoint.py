"""A trained model on disk: weights in safetensors, the rest in JSON, and a model card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from hybridq.config import Config, HeadConfig
from hybridq.encoder.backbone import Encoder, EncoderSpec
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.files import read_json, write_bytes, write_json, write_text
from hybridq.heads import num_trainable, quantum_layers
from hybridq.model import HybridClassifier, build_model
from hybridq.runs import check_finished
from hybridq.wording import listed, percent

if TYPE_CHECKING:
    from hybridq.quantum import Executable

RETRAIN = "train it again with `hybridq finetune`."
"""Remedy where a model is damaged."""


class ModelSpec(Config):
    """What a model is: enough to build it again and to use it on images."""

    format: Literal[1] = 1
    """Version of this file."""
    encoder: EncoderSpec
    """Input of the encoder and origin of its weights."""
    head: HeadConfig
    """The classifier."""
    task: Literal["binary", "multiclass", "multilabel"]
    """What a label is."""
    class_names: tuple[str, ...] = Field(min_length=2)
    """Names of the classes, in the order of the logits."""
    positive: int | None
    """Class that sensitivity speaks of; None unless there are two."""
    data: str
    """Name of the data it was trained on."""
    data_licence: str
    """Licence of that data."""
    labels: float
    """Fraction of the labels it was trained on."""
    backend: str
    """Backend it was trained on."""
    seed: int
    """Seed of its run."""


def save_model(folder: Path, model: HybridClassifier, spec: ModelSpec) -> None:
    """Write `model.safetensors`, `config.json` and `MODEL_CARD.md` into `folder`."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(state))
    write_json(folder / "config.json", spec.model_dump(mode="json"))
    write_text(folder / "MODEL_CARD.md", model_card(model, spec))


def model_folder(run: Path) -> Path:
    """The model of a run of `hybridq finetune`.

    Raises:
        MissingFileError: if `run` is no such run folder, or has no model yet.
    """
    folder = run / "model"
    if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
        check_finished(run)
        what = "has no model in it" if run.is_dir() else "is no folder"
        raise MissingFileError(
            f"Expected a run folder of `hybridq finetune`, got {str(run)!r}, which {what}: give "
            "the folder that the command printed."
        )
    return folder


def read_spec(run: Path) -> ModelSpec:
    """Read what the model of a run is.

    Raises:
        MissingFileError: if there is none.
        InvalidValueError: if it cannot be read.
    """
    path = model_folder(run) / "config.json"
    try:
        return ModelSpec.model_validate(read_json(path, "the config of a hybridq model", RETRAIN))
    except ValidationError as error:
        raise InvalidValueError(
            f"Expected the config of a hybridq model in {path}, got something else "
            f"({type(error).__name__}): {RETRAIN}"
        ) from error


def load_model(run: Path, *, backend: Executable | None) -> tuple[HybridClassifier, ModelSpec]:
    """Read the model of a run, in evaluation mode, on `backend`.

    Raises:
        MissingFileError: if there is none.
        InvalidValueError: if weights and config do not fit each other or `backend`.
    """
    spec = read_spec(run)
    model = build_model(
        Encoder(spec.encoder), spec.head, len(spec.class_names), backend=backend, seed=0
    )
    take_weights(model, run)
    model.requires_grad_(False)
    return model.eval(), spec


def take_weights(model: HybridClassifier, run: Path) -> None:
    """Give a model the weights of a run.

    Raises:
        MissingFileError: if the run has no model.
        InvalidValueError: if its weights do not fit the model.
    """
    path = model_folder(run) / "model.safetensors"
    try:
        model.load_state_dict(load(path.read_bytes()), strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise InvalidValueError(
            f"Expected weights of a model of the same encoder and head in {path}, got others or a "
            f"damaged file: {path.parent / 'config.json'} says what they are of."
        ) from error


def model_card(model: HybridClassifier, spec: ModelSpec) -> str:
    """The model card, in Markdown."""
    head: dict[str, Any] = spec.head.model_dump()
    if not quantum_layers(model.head):  # a control is as large as a circuit of these sizes
        sizes = () if spec.head.name == "linear" else ("num_qubits", "num_layers")
        head = {name: head[name] for name in ("name", *sizes)}
    rows = {
        "Encoder": f"MobileNetV2, {spec.encoder.image_size} px, {spec.encoder.stem} stem",
        "Part of an image": f"the central {percent(spec.encoder.crop_pct)} of each side",
        "Encoder weights from": spec.encoder.weights,
        "Head": ", ".join(f"{name} {value}" for name, value in head.items()),
        "Parameters": f"{num_trainable(model.encoder)} in the encoder (if it was trained), "
        f"{num_trainable(model.head)} in the head",
        "Task": f"{spec.task}: {listed(spec.class_names)}",
        "Positive class": "none" if spec.positive is None else spec.class_names[spec.positive],
        "Training data": f"{spec.data}, {percent(spec.labels)} of the labels, seed {spec.seed}",
        "Licence of the data": spec.data_licence,
        "Trained on backend": spec.backend,
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"# {spec.head.name} on {spec.data}\n\n"
        "**Not a medical device.** For research only: do not use it to diagnose or to treat.\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        "Figures of this model, with intervals and beside a classical control, come from "
        "`hybridq evaluate` on its run folder.\n"
    )
