"""Export a trained model: programs, circuits, and what a program needs to know of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

from hybridq.config import ExportConfig
from hybridq.config.handed import handed_label
from hybridq.errors import InvalidValueError
from hybridq.exports.about import about
from hybridq.exports.circuits import as_qasm3, as_qpy, bound_circuit, observables_text
from hybridq.exports.folder import ABOUT, check_folder, write_folder
from hybridq.exports.programs import (
    After,
    Before,
    Call,
    Classify,
    ClassifyGenerated,
    ClassifyPixels,
    calls_of,
    constant_expvals,
)
from hybridq.exports.traced import as_onnx, as_pt2, check_extra, free_rows, trace
from hybridq.models.checkpoint import ModelSpec, check_model, load_model
from hybridq.models.classifier import HybridClassifier
from hybridq.models.decision import Decision
from hybridq.quantum.look_up import look_up
from hybridq.quantum.modules import quantum_modules, use_backend
from hybridq_backends import open_backend

RUNNER = Path(__file__).with_name("runner.py")
"""The program that computes probabilities from an export in ONNX."""

EXAMPLES = 2
"""Images of the batch that is traced; a program takes any number."""


@dataclass
class _Parts:
    """What an export consists of, as far as it has been made.

    Attributes:
        files: The content of each file, by its name.
        programs: What each file of a program takes and gives.
        circuits: Each call of a circuit, in its order.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    circuits: list[dict[str, Any]] = field(default_factory=list)


def export_run(config: ExportConfig) -> Path:
    """Export the model of a run.

    Returns:
        The new folder.

    Raises:
        HybridqError: If run, format or folder cannot be used; nothing is written then.
    """
    _check(config)
    check_model(config.run)
    with open_backend("statevector") as backend:
        model, spec = load_model(config.run, backend=backend)
        return export_model(model, spec, config)


def export_model(model: HybridClassifier, spec: ModelSpec, config: ExportConfig) -> Path:
    """Export a model that is in memory.

    Args:
        model: The model; it stays as it is.
        spec: Its spec.
        config: Format, folder and threshold; its run is not read.

    Returns:
        The new folder.

    Raises:
        HybridqError: If model, format or folder cannot be used; nothing is written then.
    """
    make = _check(config)
    is_training = model.training
    try:
        parts = make(model.eval(), spec)
    finally:
        model.train(is_training)
    description = about(
        model,
        spec,
        format=config.format,
        threshold=(spec.decision or Decision()).threshold
        if config.threshold is None
        else config.threshold,
        programs=parts.programs,
        circuits=parts.circuits,
    )
    text = json.dumps(description, indent=2, allow_nan=False) + "\n"
    files = {**parts.files, ABOUT: text.encode(errors="backslashreplace")}
    write_folder(config.out, files, force=config.force)
    return config.out


def _check(config: ExportConfig) -> Callable[[HybridClassifier, ModelSpec], _Parts]:
    """Refuse what can be refused before a model is read; find what makes the format."""
    make = look_up("--format", config.format, FORMATS)
    if config.format == "onnx":
        check_extra()
    check_folder(config.out, force=config.force)
    return make


def _onnx(model: HybridClassifier, spec: ModelSpec) -> _Parts:
    """One program without circuits, or one before and one after them, and a program to run it."""
    several = spec.task == "multilabel"
    images = _examples(model)
    parts = _Parts({"run.py": RUNNER.read_bytes()})
    calls = calls_of(model, images) if quantum_modules(model) else []
    whole: Classify | None = None if calls else Classify(model, multilabel=several)
    if calls and (constant := constant_expvals(model, images, calls)) is not None:
        whole = ClassifyGenerated(model, constant, multilabel=several)
    if whole is not None:
        whole.eval()
        program = trace(whole, (images,), free_rows([images]))
        parts.files["model.onnx"], _ = as_onnx(program, ["images"], ["probabilities"])
        parts.programs["model.onnx"] = "prepared images to probabilities"
        return parts
    _add_circuits(parts, calls, ("qpy", "qasm3"))
    with torch.no_grad():
        features = model.features(images)
    expvals = [_zeros_of(call) for call in calls]
    names = [circuit["expvals"] for circuit in parts.circuits]
    program = trace(
        After(model, multilabel=several).eval(),
        (features, *expvals),
        (*free_rows([features]), free_rows(expvals)),
    )
    parts.files["readout.onnx"], taken = as_onnx(program, ["features", *names], ["probabilities"])
    needs = "features" in taken
    before = trace(Before(model, features=needs).eval(), (images,), free_rows([images]))
    outputs = ["features"] * needs + [circuit["angles"] for circuit in parts.circuits]
    parts.files["encoder.onnx"], _ = as_onnx(before, ["images"], outputs)
    parts.programs["encoder.onnx"] = f"prepared images to {', '.join(outputs)}"
    parts.programs["readout.onnx"] = f"{', '.join(taken)} to probabilities"
    return parts


def _torch(model: HybridClassifier, spec: ModelSpec) -> _Parts:
    """The whole model from pixels, circuits included, on the torch engine."""
    copy = deepcopy(model).requires_grad_(False)
    with open_backend("statevector") as backend:
        use_backend(copy, backend)
        whole = ClassifyPixels(copy, multilabel=spec.task == "multilabel").eval()
        size = model.encoder.spec.image_size
        images = torch.zeros(EXAMPLES, size + 1, size + 2, 3, dtype=torch.uint8)
        program = trace(whole, (images,), (dict.fromkeys(range(3), Dim.DYNAMIC),))
    parts = _Parts({"model.pt2": as_pt2(program)})
    parts.programs["model.pt2"] = (
        "images (batch, height, width, 3), uint8, to probabilities; a grey image has its channel "
        "three times"
    )
    return parts


def _qasm3(model: HybridClassifier, spec: ModelSpec) -> _Parts:
    """The circuits alone, in OpenQASM 3."""
    return _circuits(model, spec, "qasm3")


def _qpy(model: HybridClassifier, spec: ModelSpec) -> _Parts:
    """The circuits alone, in Qiskit's format."""
    return _circuits(model, spec, "qpy")


FORMATS: dict[str, Callable[[HybridClassifier, ModelSpec], _Parts]] = {
    "onnx": _onnx,
    "torch": _torch,
    "qasm3": _qasm3,
    "qpy": _qpy,
}


def _circuits(model: HybridClassifier, spec: ModelSpec, kind: str) -> _Parts:
    if not quantum_modules(model):
        raise InvalidValueError(
            f"Expected a head with a circuit for --format {kind}, got "
            f"{handed_label(spec.head.name)}, which has none: take --format onnx or torch."
        )
    parts = _Parts()
    _add_circuits(parts, calls_of(model, _examples(model)), (kind,))
    return parts


_WRITERS = {"qpy": (as_qpy, ".qpy"), "qasm3": (as_qasm3, ".qasm")}


def _add_circuits(parts: _Parts, calls: list[Call], kinds: tuple[str, ...]) -> None:
    """Write each circuit once, and list the calls in their order."""
    layers = list({id(call.layer): call.layer for call in calls}.values())
    for place, call in enumerate(calls):
        own = [call.layer is layer for layer in layers].index(True)
        stem = "circuit" if len(layers) == 1 else f"circuit_{own}"
        circuit, inputs = bound_circuit(call.layer)
        files = {}
        for kind in kinds:
            write, ending = _WRITERS[kind]
            files[kind] = stem + ending
            if files[kind] not in parts.files:
                parts.files[files[kind]] = write(circuit)
        number = "" if len(calls) == 1 else f"_{place}"
        parts.circuits.append(
            {
                **files,
                "num_qubits": circuit.num_qubits,
                "inputs": inputs,
                "observables": observables_text(call.layer.circuits()[0].observables),
                "angles": f"angles{number}",
                "expvals": f"expvals{number}",
            }
        )


def _zeros_of(call: Call) -> Tensor:
    """Expectation values for a call, all of them 0."""
    count = len(call.layer.circuits()[0].observables)
    return call.angles.new_zeros((*call.angles.shape[:-1], count))


def _examples(model: HybridClassifier) -> Tensor:
    """Prepared images to trace a model with."""
    size = model.encoder.spec.image_size
    generator = torch.Generator().manual_seed(0)
    return torch.rand(EXAMPLES, 3, size, size, generator=generator)
