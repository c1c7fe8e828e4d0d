"""What an export says of itself, in `model.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hybridq.config.handed import handed_label
from hybridq.exports.programs import geometry
from hybridq.models.checkpoint import ModelSpec
from hybridq.models.classifier import HybridClassifier
from hybridq.version import __version__

NO_DEVICE = "Not a medical device. For research only: do not use it to diagnose or to treat."

LIBRARIES = ("torch", "qiskit", "onnx", "onnxscript")


def about(
    model: HybridClassifier,
    spec: ModelSpec,
    *,
    format: str,  # noqa: A002  the name of the option
    threshold: float,
    programs: Mapping[str, str],
    circuits: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Describe an export.

    Args:
        model: The model.
        spec: Its spec.
        format: Name of the format.
        threshold: The threshold on the positive class, or on each label.
        programs: What each file of a program takes and gives.
        circuits: Each circuit in the order in which it is asked.

    Returns:
        Values for JSON.
    """
    encoder = spec.encoder
    whole, edge = geometry(model.encoder)
    decides = spec.positive is not None or spec.task == "multilabel"
    return {
        "note": NO_DEVICE,
        "format": format,
        "task": spec.task,
        "class_names": list(spec.class_names),
        "positive": None if spec.positive is None else spec.class_names[spec.positive],
        "threshold": threshold if decides else None,
        "views": "one" if spec.decision is None else spec.decision.views,
        "preprocessing": {
            "steps": "uint8 to 0..1; bilinear resizing of the whole image with antialiasing; "
            "the centre cut out; a grey channel three times; each channel normalised",
            "resized_to": whole,
            "edge": edge,
            "image_size": encoder.image_size,
            "mean": list(encoder.mean),
            "std": list(encoder.std),
        },
        "programs": dict(programs),
        "circuits": [dict(circuit) for circuit in circuits],
        "encoder": encoder.label,
        "encoder_weights": encoder.weights,
        "head": handed_label(spec.head.name),
        "trained_on": {
            "data": spec.data,
            "data_licence": spec.data_licence,
            "encoder_data_licence": encoder.data_licence,
            "labels": spec.labels,
            "backend": handed_label(spec.backend),
            "seed": spec.seed,
        },
        "versions": {"hybridq": __version__, **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
