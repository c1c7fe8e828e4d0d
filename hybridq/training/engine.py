"""Which engine a training runs on: the torch engine, many times faster, where it can."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.models.classifier import HybridClassifier
from hybridq.quantum.density.simulator import MOST_QUBITS
from hybridq.quantum.modules import circuits_of
from hybridq.quantum.split_circuit import split_circuit
from hybridq.runs.folder import RESTORE
from hybridq.training.initial import Handed
from hybridq.utils.files import read_json
from hybridq_backends import Executable, Spec, open_backend, parse_backend
from hybridq_backends.specs.profiles import override_spec, profile_name

logger = logging.getLogger("hybridq")

_SAME_ON_TORCH = {"aer_noisy": "fake_torino", "aer_statevector": "statevector"}
"""For profiles whose names promise Aer, those with the same fields whose names do not."""


@dataclass(frozen=True)
class EngineNote:
    """A line for the log on the engine that was taken.

    Attributes:
        text: The line.
        is_warning: Whether it tells of something that the user may want to change.
    """

    text: str
    is_warning: bool

    def log(self) -> None:
        """Write the line."""
        logger.log(logging.WARNING if self.is_warning else logging.INFO, "%s", self.text)


def open_for_training(
    config: FinetuneConfig,
    model: HybridClassifier,
    resume: Path | None = None,
    spec: Spec | None = None,
) -> tuple[Executable, EngineNote | None]:
    """Open the backend of a training, on the torch engine unless `engine` is given.

    The engine is chosen for the training alone: what evaluates the model opens the same backend
    as it is written. A run that is gone on with stays on the engine that it began with.

    Args:
        config: The config of the run.
        model: What is trained.
        resume: The run folder that is gone on with.
        spec: What the backend is, in place of the name in the config.

    Returns:
        The open backend, and what is to be said of its engine.

    Raises:
        InvalidValueError: If the backend cannot be opened, or cannot take the circuit.
        UnavailableError: If an account is missing.
    """
    text, what = config.backend, config.backend if spec is None else spec
    spec = parse_backend(text) if spec is None else spec
    can = bool(circuits_of(model.head)) and config.gradient == "exact"
    on_torch = _on_torch(spec) if can and not spec.is_differentiable else None
    begun = None if "engine" in spec.model_fields_set else _begun_with(resume)
    if begun is not None and "engine" in type(spec).model_fields:
        return open_backend(what, engine=begun), None
    if on_torch is None:
        return open_backend(what), None
    if "engine" in spec.model_fields_set:
        with open_backend(on_torch) as torch_backend:
            fits = _fits(model, torch_backend)
        note = _slow("as its engine says", _instead(text)) if fits else None
        return open_backend(what), note
    backend = open_backend(what, engine="torch")
    if _fits(model, backend):
        return backend, EngineNote(
            f"backend {text} is computed by the torch engine in training, its derivatives in "
            "reverse mode; engine=aer in --backend trains on Qiskit Aer",
            is_warning=False,
        )
    backend.close()
    return open_backend(what), _slow(
        f"as the circuit takes more than {MOST_QUBITS} qubits",
        "take fewer, or --head.entanglement linear, which on a device needs none beside its own",
    )


@contextmanager
def opened(
    config: FinetuneConfig, model: HybridClassifier, resume: Path | None, handed: Handed
) -> Iterator[tuple[Executable, EngineNote | None]]:
    """Open the backend of the training; one that was handed over open stays so."""
    if isinstance(handed.backend, Executable) and handed.spec is None:
        yield handed.backend, None
        return
    backend, note = open_for_training(config, model, resume, handed.spec)
    with backend:
        yield backend, note


def _fits(model: HybridClassifier, backend: Executable) -> bool:
    """Whether the torch engine has room for all circuits, compiled for the backend.

    What is too wide for the backend itself is left to the layer, which refuses it.
    """
    for one in circuits_of(model.head):
        if one.circuit.num_qubits > backend.num_qubits:
            return True
        split = split_circuit(one.circuit, one.input_params, one.weight_params)
        try:
            backend.prepare(split.circuit, list(one.observables))
        except InvalidValueError:
            return False
    return True


def _on_torch(spec: Spec) -> Spec | None:
    """The same backend on the torch engine; None where that cannot be."""
    try:
        return override_spec(spec, engine="torch")
    except InvalidValueError:
        return None


def _begun_with(resume: Path | None) -> Literal["aer", "torch"] | None:
    """The engine that a run began with, where its folder says so."""
    path = None if resume is None else resume / "environment.json"
    if path is None or not path.is_file():
        return None
    record = read_json(path, "the record of a run", RESTORE)
    backend = record.get("backend") if isinstance(record, dict) else None
    engine = backend.get("engine") if isinstance(backend, dict) else None
    return engine if engine in ("aer", "torch") else None


def _slow(why: str, remedy: str) -> EngineNote:
    """Warn of Aer in training."""
    return EngineNote(
        f"training runs on Qiskit Aer, {why}, many times slower than on the torch engine: {remedy}",
        is_warning=True,
    )


def _instead(text: str) -> str:
    """Say how to train on the torch engine what is written for Aer."""
    name = profile_name(text)
    if name in _SAME_ON_TORCH:
        return f"take --backend {text.replace(name, _SAME_ON_TORCH[name], 1)}"
    if name.startswith("aer_"):
        return "take a profile whose name does not begin with aer_"
    return "leave engine=aer out, or give engine=torch"
