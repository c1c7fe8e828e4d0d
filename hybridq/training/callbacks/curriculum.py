"""Training under noise whose strength changes from stage to stage."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer

from hybridq.config import FinetuneConfig
from hybridq.errors import InvalidValueError
from hybridq.models.classifier import HybridClassifier
from hybridq.quantum.modules import quantum_modules
from hybridq_backends import Executable, Spec, open_backend
from hybridq_backends.utils.seeds import derive_seed

logger = logging.getLogger("hybridq")


def check_curriculum(config: FinetuneConfig, spec: Spec) -> None:
    """Refuse a curriculum that cannot be, before anything is read or made.

    Args:
        config: The config of the run.
        spec: What its backend is.

    Raises:
        InvalidValueError: If an entry is no number from 0 to 100, the backend has no noise to
            scale, there are more stages than epochs, or the best epoch is
            to be kept.
    """
    if config.noise_curriculum is None:
        return
    if config.keep == "best":
        raise InvalidValueError(
            "Expected --keep last with --noise-curriculum, got --keep best: validation is under "
            "the noise of the stage, and the best would be one of the least noise."
        )
    if not spec.scales_noise or spec.takes_jobs:
        raise InvalidValueError(
            f"Expected a noisy backend with --noise-curriculum, got {config.backend!r}: take "
            "--backend fake_torino,shots=none."
        )
    _scales(config.noise_curriculum, config.epochs)


def check_circuits(config: FinetuneConfig, model: HybridClassifier) -> None:
    """Refuse a curriculum for a model without circuits.

    Raises:
        InvalidValueError: If it is one.
    """
    if config.noise_curriculum is not None and not quantum_modules(model.head):
        raise InvalidValueError(
            "Expected a quantum head with --noise-curriculum, got a classical one, which no noise "
            "touches: take --head pqc, or leave the curriculum out."
        )


def curriculum_for(
    config: FinetuneConfig, model: HybridClassifier, backend: Executable
) -> NoiseCurriculum | None:
    """The curriculum that a config asks for, if any.

    Args:
        config: The config of the run, which `check_curriculum` has passed.
        model: What is trained.
        backend: What is trained on; its own noise scale does not count.
    """
    if config.noise_curriculum is None:
        return None
    return NoiseCurriculum(model, backend, _scales(config.noise_curriculum, config.epochs))


def _scales(text: str, epochs: int) -> tuple[float, ...]:
    """The noise scale of each stage."""
    try:
        scales = tuple(float(word) for word in text.split(","))
    except ValueError:
        scales = ()
    if not scales or not all(0.0 <= scale <= 100.0 for scale in scales) or len(scales) > epochs:
        raise InvalidValueError(
            f"Expected --noise-curriculum of 1 to {epochs} factors from 0 to 100 (no more stages "
            f"than epochs), got {text!r}: write 0,0.5,1."
        )
    return scales


class NoiseCurriculum(Callback):
    """Opens the backend anew at each stage, at that stage's noise scale.

    Stages are equally long: epoch e of E is in stage floor(e n / E) of n, so that a resumed run
    is in the right one.

    Args:
        model: What is trained.
        backend: An open noisy backend, whose other fields stay.
        scales: The noise scales of the stages.
    """

    def __init__(
        self, model: HybridClassifier, backend: Executable, scales: tuple[float, ...]
    ) -> None:
        self.model = model
        self.backend = backend
        self.scales = scales
        self.opened: dict[int, Executable] = {}
        self._stack = ExitStack()
        self._now: int | None = None

    @property
    def num_jobs(self) -> int:
        """Jobs of all stages."""
        return sum(executable.num_jobs for executable in self.opened.values())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Change the backend where a stage begins."""
        stage = trainer.current_epoch * len(self.scales) // (trainer.max_epochs or 1)
        spec = self.backend.spec
        if stage == self._now or spec is None:
            return
        # one layout for all stages, and shots of its own for each
        seeds = {"seed": derive_seed(spec.seed, stage), "transpiler_seed": spec.compiler_seed}
        opened = open_backend(spec, noise_scale=self.scales[stage], **seeds)
        self.opened[stage] = self._stack.enter_context(opened)
        logger.info("noise scale %g from epoch %d", self.scales[stage], trainer.current_epoch + 1)
        self.model.use_backend(opened)
        self._now = stage

    def close(self) -> None:
        """Let the model run on its own backend again, and close those of the stages."""
        self.model.use_backend(self.backend)
        self._stack.close()
