"""The one training loop: an objective, where it runs, and what happens beside its steps."""

from __future__ import annotations

import io
import logging
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.utils.data import DataLoader

from hybridq.config import ComputeConfig
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.runs.environment import note_computing
from hybridq.threads import divide_threads
from hybridq.training.callbacks.batch_norm import RunningStatistics
from hybridq.training.callbacks.progress import Progress
from hybridq.training.compute import tell_wait, trainer_for
from hybridq.training.objectives.objective import Objective, Step
from hybridq.training.run import is_first_rank
from hybridq.utils.files import write_bytes
from hybridq.utils.finite import NotFiniteError, check_finite

logger = logging.getLogger("hybridq")

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class Plan:
    """How long a training is, where it runs, and what it leaves on disk.

    Attributes:
        epochs: Passes over the batches, a count.
        compute: Where it runs.
        folder: Where checkpoints are kept; None on all processes but the first.
        checkpoint_every: Epochs between two checkpoints; 0 keeps none.
        val_every: Epochs between two validations.
        resume: A folder with a checkpoint to go on from.
        loggers: Lightning's loggers of figures.
    """

    epochs: int
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    folder: Path | None = None
    checkpoint_every: int = 0
    val_every: int = 1
    resume: Path | None = None
    loggers: Sequence[Logger] = ()


class _Training(LightningModule):
    """An objective as Lightning takes it; its state is the objective's."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective
        self.undefined: set[str] = set()  # figures of the last validation

    def setup(self, stage: str) -> None:
        if self.trainer.world_size > 1:
            self.objective.gather()

    def train_dataloader(self) -> DataLoader[Any]:
        return self.objective.train_batches(self.trainer.global_rank, self.trainer.world_size)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.objective.loss(batch, Step(self.current_epoch, batch_idx, self.global_rank))
        size = len(batch[0])
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=size)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.objective.after_step(self.trainer.global_step - 1, self._steps)

    def configure_optimizers(self) -> Any:
        optimizer, schedule = self.objective.optimizer(self._steps, self.trainer.max_epochs or 1)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def _steps(self) -> int:
        return int(self.trainer.estimated_stepping_batches)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.objective.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.objective.load_state_dict(*args, **kwargs)


class _ValidatedTraining(_Training):
    """The same for an objective with a validation."""

    def val_dataloader(self) -> DataLoader[Any]:
        return self.objective.val_batches()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        for name, value in self.objective.validate(batch).items():
            size = len(batch[0])
            self.log(f"val_{name}", value, on_epoch=True, sync_dist=True, batch_size=size)

    def on_validation_epoch_end(self) -> None:
        self.undefined.clear()
        for name, value in self.objective.figures().items():
            if value is None:
                self.undefined.add(f"val_{name}")
            else:
                self.log(f"val_{name}", value)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint so that a kill leaves the old one or the new one, never half."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`."""
        buffer = io.BytesIO()  # torch would hide what the disk says
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())


def has_checkpoint(folder: Path | None) -> bool:
    """Whether a run, if there is one, has a checkpoint to go on from."""
    return folder is not None and (folder / "checkpoints" / CHECKPOINT).is_file()


def make_trainer(plan: Plan, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Make the trainer of a plan, which writes to its folder alone."""
    kept: list[Callback] = []
    if plan.checkpoint_every:
        kept = [
            ModelCheckpoint(
                dirpath=None if plan.folder is None else plan.folder / "checkpoints",
                filename=CHECKPOINT.removesuffix(".ckpt"),
                every_n_epochs=plan.checkpoint_every,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        ]
    bar: list[Callback] = [RichProgressBar(leave=False)] if sys.stderr.isatty() else []
    trainer = trainer_for(
        plan.compute,
        max_epochs=plan.epochs,
        check_val_every_n_epoch=plan.val_every,
        logger=list(plan.loggers) or False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[RunningStatistics(), *callbacks, *kept, Progress(lines=not bar), *bar],
        enable_checkpointing=bool(kept),
        enable_progress_bar=bool(bar),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
        default_root_dir=plan.folder,
    )
    own = getattr(trainer.strategy, "cluster_environment", None)
    if isinstance(own, LightningEnvironment) and trainer.num_devices > 1:
        divide_threads(trainer.num_devices)
        if plan.folder is not None and is_first_rank(plan.compute):
            note_computing(plan.folder)
    return trainer


def fit(objective: Objective, plan: Plan, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Train an objective; a training that goes on ends with the weights of one never stopped.

    Args:
        objective: What is trained, in place.
        plan: How long, where, and what is left on disk.
        callbacks: Lightning's callbacks, called in their order.

    Returns:
        The trainer, whose `callback_metrics` are the last figures.

    Raises:
        InvalidValueError: If the checkpoint of `plan.resume` cannot be used, or a callback finds
            numbers that are not finite, as `MetricsFile` does.
        UnavailableError: If the processes of a training do not find each other.
        KeyboardInterrupt: If it is interrupted, whatever Lightning makes of that.
    """
    trainer = make_trainer(plan, callbacks)
    module = _ValidatedTraining(objective) if objective.validates else _Training(objective)
    checkpoint = None
    if plan.resume is not None:
        path = plan.resume / "checkpoints" / CHECKPOINT
        if has_checkpoint(plan.resume):
            _check_checkpoint(path, module)
            checkpoint = str(path)
            logger.info("resuming from %s", path)
        else:
            logger.info("no checkpoint in %s yet: starting from the first epoch", plan.resume)
    if trainer.num_nodes > 1:
        tell_wait(trainer.num_nodes)
    try:
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    except NotFiniteError as error:  # what the training began with has been checked
        raise InvalidValueError(
            f"Expected finite numbers throughout, got {error.got} in epoch "
            f"{trainer.current_epoch + 1}: the training has diverged; lower the learning rates."
        ) from error
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    except torch.distributed.DistError as error:
        raise UnavailableError(
            f"Expected {trainer.world_size} processes of this training to find each other, got "
            f"{' '.join(str(error).split())[:200]}: start the same command on each of "
            f"{trainer.num_nodes} machines, and check MASTER_ADDR and MASTER_PORT."
        ) from error
    if trainer.interrupted:
        raise KeyboardInterrupt
    return trainer


def _check_checkpoint(path: Path, module: LightningModule) -> None:
    """Refuse a checkpoint that is damaged, of another network, or holds NaN.

    Raises:
        InvalidValueError: if it is one of these.
    """
    remedy = "remove it to start from the first epoch."
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not look at the checksums
        found = torch.load(path, map_location="cpu", weights_only=True)
        state, optimizers = found["state_dict"], found["optimizer_states"]
        shapes = {name: value.shape for name, value in state.items()}
    except (
        OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AttributeError,
        NotImplementedError, UnpicklingError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise InvalidValueError(
            f"Expected a checkpoint in {path}, got a damaged file ({type(error).__name__}): "
            f"{remedy}"
        ) from error
    if damaged is not None:
        raise InvalidValueError(
            f"Expected a checkpoint in {path}, got a damaged file (checksum of {damaged}): {remedy}"
        )
    if shapes != {name: value.shape for name, value in module.state_dict().items()}:
        raise InvalidValueError(
            f"Expected a checkpoint of this training in {path}, got one of another network: "
            f"{remedy}"
        )
    check_finite(f"weights in {path}", state, remedy)
    for number, optimizer in enumerate(optimizers):
        for name, values in _tensors(optimizer):
            check_finite(f"states of optimizer {number} in {path}", {name: values}, remedy)


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in nested dictionaries, with their keys."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _tensors(entry, f"{name}.{key}".removeprefix("."))
