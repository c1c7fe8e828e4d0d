"""Training through IBM's service: a stated budget, one job for each step, validation elsewhere."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.models.classifier import HybridClassifier
from hybridq.quantum.gradients.parameter_shift import Spsa
from hybridq.quantum.layer import QuantumLayer
from hybridq.quantum.modules import quantum_modules
from hybridq.training.seeding import derive_seed
from hybridq.utils.files import read_json
from hybridq_backends import Executable, Spec, open_backend

logger = logging.getLogger("hybridq")

VALIDATION = "statevector"
"""Backend of validation while training runs through IBM's service."""
BUDGET = "budget.json"
"""File in run folders of earlier versions: QPU seconds of jobs that no ledger knows."""


def check_training_backend(config: FinetuneConfig, spec: Spec) -> None:
    """Refuse to train on hardware without a budget, or with one for each of several processes.

    Args:
        config: The config of the run.
        spec: What its backend is.

    Raises:
        InvalidValueError: If so, or if `--gradient spsa` has nothing to do.
    """
    if config.gradient == "spsa" and spec.is_differentiable:
        raise InvalidValueError(
            f"Expected a backend that runs jobs with --gradient spsa, got {config.backend!r}, "
            "whose derivatives are exact and free: leave --gradient out."
        )
    if not spec.is_paid:
        return
    if getattr(spec, "max_qpu_seconds", None) is None:
        raise InvalidValueError(
            "Expected a budget for training on hardware, where every step is a job, got none: "
            "rehearse with --backend ibm_rehearsal, then add max_qpu_seconds=... (in seconds, "
            "estimated) to --backend."
        )
    compute = config.compute
    if compute.devices != "1" or compute.num_nodes != 1:
        raise InvalidValueError(
            "Expected one process for training on hardware, each of which would have the whole "
            f"budget, got --devices {compute.devices} and --num-nodes {compute.num_nodes}: leave "
            "both out."
        )


def prepare_training(
    config: FinetuneConfig,
    model: HybridClassifier,
    backend: Executable,
    folder: Path | None,
    *,
    is_begun: bool,
) -> list[Callback]:
    """Set how derivatives are made, and get the callbacks that they and jobs need.

    The ledger of its jobs is in the run folder. A resumed run does the steps after its checkpoint
    again, which ask for the same: jobs that were posted before answer them, within one budget.

    Args:
        config: The config of the run.
        model: What is trained.
        backend: Where.
        folder: The run folder; None on a rank that writes nothing.
        is_begun: Whether it is gone on with, so that the backend knows it already.
    """
    callbacks: list[Callback] = []
    if config.gradient == "spsa":
        generator = torch.Generator()
        for layer in (part for part in model.head.modules() if isinstance(part, QuantumLayer)):
            layer.qnn.use_spsa(Spsa(generator, config.spsa_repeats, config.spsa_step))
        callbacks.append(SeedDirections(generator, config.seed))
    if not backend.takes_jobs or not quantum_modules(model.head):
        return callbacks
    if folder is not None and not is_begun:
        backend.keep_jobs(folder)
    logger.info("validation runs without noise on %s, to spend no QPU time", VALIDATION)
    return [*callbacks, ValidateElsewhere(model, backend)]


def go_on_with_jobs(backend: Executable, folder: Path | None) -> None:
    """Let a backend go on with the jobs of a run, before circuits are prepared for its device.

    Args:
        backend: The backend of the training.
        folder: The run folder that is gone on with, if one is.

    Raises:
        InvalidValueError: If its ledger is of another backend, or cannot be read.
    """
    if folder is not None and backend.takes_jobs:
        backend.keep_jobs(folder, spent=_planned(folder / BUDGET))


def _planned(path: Path) -> float:
    """QPU seconds that a run of an earlier version has planned."""
    try:
        planned = float(read_json(path, "a budget", "restore it.")["planned_qpu_seconds"])
    except FileNotFoundError:
        return 0.0
    except (OSError, ValueError, TypeError, LookupError):
        planned = math.nan
    if not 0.0 <= planned < math.inf:
        raise InvalidValueError(
            f"Expected the QPU seconds planned so far in {path}, got something else: write what "
            'the account says, as in {"planned_qpu_seconds": 60.0}.'
        )
    return planned


class SeedDirections(Callback):
    """Lets the directions of SPSA follow from the step, so that a resumed run repeats them.

    Args:
        generator: The generator of the directions.
        seed: The seed of the run.
    """

    def __init__(self, generator: torch.Generator, seed: int) -> None:
        self.generator = generator
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Begin the directions of a step."""
        step = (trainer.current_epoch, batch_idx, trainer.global_rank)
        self.generator.manual_seed(derive_seed(self.seed, 4, *step))


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
