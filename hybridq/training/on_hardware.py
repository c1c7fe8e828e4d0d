"""Training through IBM's service: a stated budget, one job for each step, validation elsewhere."""

from __future__ import annotations

import logging

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from backends import Executable, IbmRuntime, open_backend, parse_backend
from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.heads import quantum_layers
from hybridq.model import HybridClassifier
from hybridq.quantum.gradient import Spsa
from hybridq.training.seeding import derive_seed

logger = logging.getLogger("hybridq")

VALIDATION = "statevector"
"""Backend of validation while training runs through IBM's service."""


def check_training_backend(config: FinetuneConfig) -> None:
    """Refuse to train on hardware without a budget, which it would use up unnoticed.

    Raises:
        InvalidValueError: If so, or if `--gradient spsa` has nothing to do.
    """
    spec = parse_backend(config.backend)
    if config.gradient == "spsa" and getattr(spec, "engine", "ibm") == "torch":
        raise InvalidValueError(
            f"Expected a backend that runs jobs with --gradient spsa, got {config.backend!r}, "
            "whose derivatives are exact and free: leave --gradient out."
        )
    if isinstance(spec, IbmRuntime) and spec.rehearse is None and spec.max_qpu_seconds is None:
        raise InvalidValueError(
            "Expected a budget for training on hardware, where every step is a job, got none: "
            "rehearse with --backend ibm_rehearsal, then add max_qpu_seconds=... (in seconds, "
            "estimated) to --backend."
        )


def prepare_training(
    config: FinetuneConfig, model: HybridClassifier, backend: Executable
) -> Callback | None:
    """Set how derivatives are made, and get the callback that a run through the service needs."""
    if config.gradient == "spsa":
        generator = torch.Generator().manual_seed(derive_seed(config.seed, 4))
        for layer in quantum_layers(model.head):
            layer.qnn.use_spsa(Spsa(generator, config.spsa_repeats, config.spsa_step))
    if backend.engine != "ibm" or not model.head.has_quantum:
        return None
    logger.info("validation runs without noise on %s, to spend no QPU time", VALIDATION)
    return ValidateElsewhere(model, backend)


class ValidateElsewhere(Callback):
    """Lets validation run without noise, on no device.

    Args:
        model: What is trained.
        backend: Where its training steps run.
    """

    def __init__(self, model: HybridClassifier, backend: Executable) -> None:
        self.model = model
        self.backend = backend
        self._elsewhere = open_backend(VALIDATION)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the device."""
        self.model.use_backend(self._elsewhere)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go back to it."""
        self.model.use_backend(self.backend)
