"""hybridq: few-label medical image classification with a quantum layer on real hardware.

The names below are all that most programs need; each is loaded on first use. The page "Python" of
the documentation shows them together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hybridq.threads import share_machine
from hybridq.version import __version__

if TYPE_CHECKING:
    from hybridq.api.compare import compare
    from hybridq.api.export import export
    from hybridq.api.finetune import finetune
    from hybridq.api.load import load
    from hybridq.api.load_data import load_data
    from hybridq.api.model import Model
    from hybridq.api.pretrain import pretrain
    from hybridq.api.report import report
    from hybridq.api.study import study
    from hybridq.api.submit import collect, submit
    from hybridq.data.dataset import ImageData, ImageSplit
    from hybridq.errors import HybridqError
    from hybridq.models.encoders.encoder import Encoder
    from hybridq.quantum.circuits import build_circuit, z_observables
    from hybridq.quantum.layer import QuantumLayer
    from hybridq.quantum.modules import quantum_modules
    from hybridq.training.feature_classifier import FeatureClassifier
    from hybridq_backends import list_backends, open_backend

_HOMES = {
    "load_data": "hybridq.api.load_data",
    "ImageData": "hybridq.data.dataset",
    "ImageSplit": "hybridq.data.dataset",
    "pretrain": "hybridq.api.pretrain",
    "finetune": "hybridq.api.finetune",
    "load": "hybridq.api.load",
    "Model": "hybridq.api.model",
    "export": "hybridq.api.export",
    "Encoder": "hybridq.models.encoders.encoder",
    "submit": "hybridq.api.submit",
    "collect": "hybridq.api.submit",
    "compare": "hybridq.api.compare",
    "study": "hybridq.api.study",
    "report": "hybridq.api.report",
    "FeatureClassifier": "hybridq.training.feature_classifier",
    "QuantumLayer": "hybridq.quantum.layer",
    "build_circuit": "hybridq.quantum.circuits",
    "z_observables": "hybridq.quantum.circuits",
    "quantum_modules": "hybridq.quantum.modules",
    "open_backend": "hybridq_backends",
    "list_backends": "hybridq_backends",
    "HybridqError": "hybridq.errors",
}

__all__ = [
    "Encoder",
    "FeatureClassifier",
    "HybridqError",
    "ImageData",
    "ImageSplit",
    "Model",
    "QuantumLayer",
    "__version__",
    "build_circuit",
    "collect",
    "compare",
    "export",
    "finetune",
    "list_backends",
    "load",
    "load_data",
    "open_backend",
    "pretrain",
    "quantum_modules",
    "report",
    "share_machine",
    "study",
    "submit",
    "z_observables",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
