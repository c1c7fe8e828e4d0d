"""What finished runs give a study of heads: encoders, data, and the circuit that is asked of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridq.config import (
    AblationStudyConfig,
    CircuitHeadConfig,
    FinetuneConfig,
    PretrainConfig,
    RunConfig,
    head_config,
)
from hybridq.config.study import EncodersStudyConfig
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.models.checkpoint import check_model, load_model, read_spec
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.file import FILE, encoder_file, load_encoder
from hybridq.records.results import read_environment
from hybridq.runs.folder import check_finished, read_config, read_result
from hybridq.runs.recorded import absolute_source, check_hidden
from hybridq.utils.pseudonyms import pseudonyms_of

CIRCUIT = ("num_qubits", "num_layers", "encoding", "ansatz", "entanglement")
"""Settings of the circuit, those of the runs unless the study names others."""


@dataclass(frozen=True)
class Given:
    """What a study is made of.

    Attributes:
        encoders: Run folders of `pretrain` or `finetune`, whose encoders are taken.
        data: The source of the images.
        circuit: The settings of the circuit, by the names of `CIRCUIT`.
        recipes: What the runs were told, which says whether names are recorded.
        notes: What a reader has to know of the encoders.
    """

    encoders: tuple[Path, ...]
    data: str
    circuit: dict[str, Any]
    recipes: tuple[RunConfig, ...] = ()
    notes: tuple[str, ...] = ()

    def head(self, name: str, **changes: Any) -> CircuitHeadConfig:
        """The config of a head of the circuit's size."""
        found = head_config(name, **self.circuit | changes)
        if not isinstance(found, CircuitHeadConfig):
            raise InvalidValueError(f"Expected a head with a block, got {name!r}: name another.")
        return found


@dataclass(frozen=True)
class _Found:
    """What one folder gives: its encoders, its own config, and its circuit."""

    folder: Path
    encoders: tuple[Path, ...]
    recipe: RunConfig
    circuit: dict[str, Any]


def read_given(config: EncodersStudyConfig) -> Given:
    """Read what the runs of a study give, and what the study asks of it.

    Raises:
        MissingFileError: If there is no run, or one is not finished.
        InvalidValueError: If a folder is of another command, or runs differ in their data or their
            circuit and the study names none.
    """
    runs = tuple(dict.fromkeys(run.resolve() for run in (*config.models, *config.encoder_runs)))
    if not runs:
        raise InvalidValueError(
            "Expected runs whose encoders are taken, got none: name folders of `hybridq pretrain`, "
            "`finetune` or `study ablation`."
        )
    found = [_read(run) for run in runs]
    recipes = tuple(one.recipe for one in found)
    data = config.data or _same("--data", [absolute_source(one.data) for one in recipes])
    for recipe in recipes:
        check_hidden(recipe, pseudonyms_of(config, *recipes, folder=config.runs))
    circuits = [one.circuit for one in found if one.circuit]
    circuit = {name: CircuitHeadConfig.model_fields[name].default for name in CIRCUIT}
    for name in (name for name in CIRCUIT if name in type(config).model_fields):
        asked = getattr(config, name)
        kept = [one[name] for one in circuits if name in one]
        if asked is not None:
            circuit[name] = asked
        elif kept:
            circuit[name] = _same(f"--{name.replace('_', '-')}", kept)
    seen = [one.folder.name for one in found if (one.folder / "model").is_dir()]
    notes = [f"Encoders that were trained with labels of train: {', '.join(seen)}."] if seen else []
    encoders = tuple(dict.fromkeys(path for one in found for path in one.encoders))
    return Given(encoders, data, circuit, recipes, tuple(notes))


def encoder_of(run: Path) -> Encoder:
    """Read the encoder of a run of `pretrain` or `finetune`."""
    if (run / FILE).is_file():
        return load_encoder(run)
    model, _ = load_model(run, backend="statevector")
    return model.encoder


def _same(option: str, values: Sequence[Any]) -> Any:
    """Return the one value of all runs."""
    if len(set(values)) > 1:
        raise InvalidValueError(
            f"Expected runs that agree on {option}, got {' and '.join(map(str, set(values)))}: "
            f"name it with {option}, or leave runs out."
        )
    return values[0]


def _read(run: Path) -> _Found:
    """Read one folder, whichever of the three commands made it."""
    check_finished(run)
    if (run / FILE).is_file():
        pretrained = read_config(run, PretrainConfig, "pretrain")
        encoder_file(run)
        read_result(run, "pretrain")
        return _Found(run, (run,), pretrained, {})
    if (run / "model").is_dir():
        check_model(run)
        recipe, head = read_config(run, FinetuneConfig, "finetune"), read_spec(run).head
        is_circuit = isinstance(head, CircuitHeadConfig)
        circuit = {name: getattr(head, name) for name in CIRCUIT} if is_circuit else {}
        return _Found(run, (run,), recipe, circuit)
    if (run / "config.json").is_file() and read_environment(run).get("study") == "ablation":
        study = read_config(run, AblationStudyConfig, "study ablation")
        own = sorted(run.glob("encoders/pretrain/*/"))
        circuit = {name: getattr(study, name) for name in CIRCUIT}
        return _Found(run, tuple(study.encoder_runs) or tuple(own), study, circuit)
    raise MissingFileError(
        f"Expected finished runs of `hybridq pretrain`, `finetune` or `study ablation`, got "
        f"{str(run)!r}, which is none of them: give folders that these commands printed."
    )
