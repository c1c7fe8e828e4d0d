"""Write and read trained models: weights in safetensors, the spec in JSON, a model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor, nn

from hybridq.config import Config, HeadChoice
from hybridq.config.handed import handed_label
from hybridq.config.training import BLOCKS
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.models.blocks import state_of
from hybridq.models.classifier import HybridClassifier, build_model
from hybridq.models.decision import Decision
from hybridq.models.encoders.encoder import Encoder, EncoderSpec
from hybridq.models.heads import head_entry, is_fitted, num_parameters
from hybridq.models.views import VIEWS
from hybridq.quantum.modules import CircuitInfo, circuits_of
from hybridq.runs.folder import check_finished, check_recorded
from hybridq.utils.files import read_json, write_json, write_text
from hybridq.utils.finite import check_finite
from hybridq.utils.text import listed, percent
from hybridq.utils.weights import (
    first_complaint,
    hash_of_file,
    hash_of_json,
    read_weights,
    save_weights,
)

if TYPE_CHECKING:
    from hybridq.quantum.modules import AnyBackend

RETRAIN = "train it again with `hybridq finetune`."
"""The remedy for a damaged model."""


CONFIG = "config.json"
WEIGHTS = "model.safetensors"
KEY = "hybridq_model"
"""The key of the metadata in the file of the weights."""


class ModelSpec(Config):
    """The spec of a model: enough to build it again and to use it on images."""

    format: Literal[1] = 1
    """Version of this file."""
    encoder: EncoderSpec
    """Input of the encoder and origin of its weights."""
    head: HeadChoice
    """The classifier."""
    task: Literal["binary", "multiclass", "multilabel"]
    """The task: binary, multiclass or multilabel."""
    class_names: tuple[str, ...] = Field(min_length=2)
    """Names of the classes, in the order of the logits."""
    positive: int | None
    """Class that sensitivity speaks of; None unless there are two."""
    data: str
    """Name of the data it was trained on."""
    data_licence: str
    """Licence of that data."""
    labels: float = Field(gt=0, le=1)
    """Fraction of the labels it was trained on."""
    backend: str
    """Backend it was trained on."""
    seed: int = Field(ge=0)
    """Seed of its run."""
    data_hashes: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each split that its run read; empty in models of earlier versions."""
    decision: Decision | None = None
    """Threshold and views that it decides by; None in models of earlier versions."""

    @model_validator(mode="after")
    def _check_classes(self) -> ModelSpec:
        """Refuse classes that do not fit the task, and a positive class that is not among them."""
        count = len(self.class_names)
        if len(set(self.class_names)) != count:
            raise ValueError("a class name twice")
        if self.task == "binary" and count != 2:
            raise ValueError(f"{count} classes of a binary task")
        if self.positive is not None and (count != 2 or not 0 <= self.positive < count):
            raise ValueError(f"positive class {self.positive} of {count}")
        return self


def save_model(folder: Path, model: HybridClassifier, spec: ModelSpec) -> None:
    """Write `model.safetensors`, `config.json` and `MODEL_CARD.md` into `folder`.

    The file of the weights holds a hash of itself and of the config, and is written after the
    config. The config is the same in all epochs of a run, and what is decided by is added to it at
    the end, so that a kill at any point leaves a matching pair.

    Args:
        folder: The folder of the model.
        model: The model.
        spec: The spec of the model.

    Raises:
        NotFiniteError: If a weight is NaN or infinite; nothing is written then.
    """
    state = model.state_dict()
    check_finite("weights", state)
    config = spec.model_dump(mode="json")
    write_json(folder / CONFIG, config)
    save_weights(folder / WEIGHTS, state, KEY, {"config_sha256": hash_of_json(config)})
    write_text(folder / "MODEL_CARD.md", model_card(model, spec))


def hashes_of(run: Path) -> dict[str, str]:
    """Compute the SHA-256 of a run's model: of its config's values, and of its weights' file.

    Raises:
        MissingFileError: If there is no model.
        InvalidValueError: If config or weights cannot be read, or do not belong to each other.
    """
    folder = model_folder(run)
    _, config = _read_pair(folder)
    return {"config": config, "weights": hash_of_file(folder / WEIGHTS)}


def model_folder(run: Path) -> Path:
    """Find the folder of the model of a run of `hybridq finetune`.

    Raises:
        MissingFileError: If `run` is not such a run folder, or has no model yet.
    """
    folder = run / "model"
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        check_finished(run)
        if (run / "encoder.safetensors").is_file():
            raise MissingFileError(
                f"Expected a run folder of `hybridq finetune`, got {str(run)!r} of `hybridq "
                "pretrain`, which has an encoder and no classifier: train one on it, with it as "
                "the encoder of finetune."
            )
        what = "has no model in it" if run.is_dir() else "is no folder"
        raise MissingFileError(
            f"Expected a run folder of `hybridq finetune`, got {str(run)!r}, which {what}: give "
            "the folder that the command printed."
        )
    return folder


def read_spec(run: Path) -> ModelSpec:
    """Read the spec of a run's model.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it cannot be read.
    """
    path = model_folder(run) / CONFIG
    try:
        return ModelSpec.model_validate(_read_config(path.parent))
    except ValidationError as error:
        raise InvalidValueError(
            f"Expected the config of a hybridq model in {path}, got something else "
            f"({first_complaint(error)}): {RETRAIN}"
        ) from error


def _read_config(folder: Path) -> Any:
    return read_json(folder / CONFIG, "the config of a hybridq model", RETRAIN)


def check_model(run: Path) -> None:
    """Refuse a model that no command can use, before other work is done.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is damaged, or was changed since it was written.
    """
    read_spec(run)
    _read_weights(run)


def load_model(
    run: Path,
    *,
    backend: AnyBackend | None,
    encoder: nn.Module | None = None,
    head: nn.Module | None = None,
) -> tuple[HybridClassifier, ModelSpec]:
    """Read the model of a run, in evaluation mode, on `backend`.

    Args:
        run: Its folder.
        backend: Where its circuits run, as `open_backend` takes it.
        encoder: The network, where it was handed over in Python; its weights are replaced.
        head: The head, where it was handed over in Python; its weights are replaced.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If they are damaged, were changed since they were written, or do not fit
            each other or `backend`.
    """
    spec = read_spec(run)
    network = Encoder(spec.encoder, network=encoder)
    count = len(spec.class_names)
    model = build_model(network, spec.head, count, backend=backend, seed=0, head=head)
    take_weights(model, run)
    model.requires_grad_(False)
    return model.eval(), spec


def take_weights(
    model: HybridClassifier, run: Path, *, finished: bool = True, blocks: Sequence[str] = BLOCKS
) -> None:
    """Give a model the weights of a run.

    Args:
        model: The model.
        run: Its folder.
        finished: Whether they have to be those that the run's result speaks of.
        blocks: The blocks that are given their weights; the others stay as they are.

    Raises:
        MissingFileError: If the run has no model.
        InvalidValueError: If they are damaged, were changed since they were written, or do not fit
            the model.
    """
    state = _read_weights(run) if finished else _read_pair(model_folder(run))[0]
    path = model_folder(run) / WEIGHTS
    if is_fitted(model.head):
        _make_room(model, state)
    try:
        others = {name for name in BLOCKS if name not in blocks}
        model.load_state_dict(state_of(state, blocks) | state_of(model.state_dict(), others))
    except RuntimeError as error:
        same = "encoder and head" if len(blocks) == len(BLOCKS) else listed(blocks)
        raise InvalidValueError(
            f"Expected weights of a model of the same {same} in {path}, got others: "
            f"{path.parent / CONFIG} says what they are of."
        ) from error


def _make_room(model: HybridClassifier, state: dict[str, Tensor]) -> None:
    """Give the buffers of a head that is fitted in closed form the shapes of its stored state."""
    for path, part in model.head.named_modules():
        for name, buffer in part.named_buffers(recurse=False):
            kept = state.get(".".join(filter(None, ("head", path, name))))
            if kept is not None and kept.shape != buffer.shape:
                setattr(part, name, torch.empty_like(kept))


def _read_weights(run: Path) -> dict[str, Tensor]:
    """Read the weights of a run, and check that they, the config and the run's hashes agree."""
    folder = model_folder(run)
    state, config = _read_pair(folder)
    check_recorded(run, "config", config)
    check_recorded(run, "weights", hash_of_file(folder / WEIGHTS))
    return state


def _read_pair(folder: Path) -> tuple[dict[str, Tensor], str]:
    """Read the weights and the hash of the config of a model, and check that they agree."""
    state, about = read_weights(folder / WEIGHTS, KEY)
    config = _read_config(folder)
    own = hash_of_json(config)
    undecided = hash_of_json({**config, "decision": None}) if isinstance(config, dict) else own
    if about.get("config_sha256", own) not in (own, undecided):
        raise InvalidValueError(
            f"Expected the {CONFIG} that belongs to {WEIGHTS} in {folder}, got another: one of "
            "the two was changed; restore both from a copy, or train again."
        )
    return state, own


def model_card(model: HybridClassifier, spec: ModelSpec) -> str:
    """Write the model card in Markdown."""
    settings = [f"{name} {value}" for name, value in spec.head.model_dump().items()]
    circuits = circuits_of(model.head)
    rows = {
        "Encoder": f"{spec.encoder.label}, {spec.encoder.image_size} px, {spec.encoder.stem} stem",
        "Part of an image": f"the central {percent(spec.encoder.crop_pct)} of each side",
        "Encoder weights from": spec.encoder.weights,
        "Head": f"{head_entry(spec.head.name).label}: {', '.join(settings)}",
        "Circuits": "; ".join(map(_words, circuits)) or "none",
        "Parameters": f"{num_parameters(model.encoder)} in the encoder, "
        f"{num_parameters(model.head)} in the head",
        "Task": f"{spec.task}: {listed(spec.class_names)}",
        "Positive class": "none" if spec.positive is None else spec.class_names[spec.positive],
        "Decides by": decides_by(spec),
        "Training data": f"{spec.data}, {percent(spec.labels)} of the labels, seed {spec.seed}",
        "Licence of the data": spec.data_licence,
        "Trained on backend": spec.backend,
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"# {handed_label(spec.head.name)} on {spec.data}\n\n"
        "**Not a medical device.** For research only: do not use it to diagnose or to treat.\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        "Figures of this model, with intervals and beside a classical control, come from "
        "`hybridq evaluate` on its run folder.\n"
    )


def decides_by(spec: ModelSpec) -> str:
    """Say by which threshold and views a model decides, and where they come from."""
    if spec.decision is None:
        return "no threshold is stored"
    views = VIEWS[spec.decision.views]
    if spec.positive is not None:
        return f"threshold {spec.decision.words}; {views}"
    rule = "each label from a probability of 0.5 on" if spec.task == "multilabel" else "likeliest"
    return f"{rule}; {views}"


def _words(circuit: CircuitInfo) -> str:
    """Describe the size of a circuit in words."""
    gates = circuit.circuit
    return (
        f"{gates.num_qubits} qubits, {gates.size()} gates, depth {gates.depth()}, "
        f"{len(circuit.input_params)} inputs, {len(circuit.weight_params)} weights, "
        f"{len(circuit.observables)} observables"
    )
