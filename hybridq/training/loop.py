"""What pretraining and fine-tuning share: the Lightning trainer and what it leaves on disk."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO

from hybridq.config import ComputeConfig, FinetuneConfig, PretrainConfig
from hybridq.data.provenance import check_same_images
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.records.results import read_epochs
from hybridq.runs.folder import (
    TRAINING_LOCK,
    create_run,
    log_to_file,
    note_computing,
    note_resumption,
    recorded_data,
    to_go_on_with,
    told_how_to_go_on,
    write_config,
    write_environment,
)
from hybridq.threads import divide_threads
from hybridq.training.compute import tell_wait, trainer_for
from hybridq.utils.files import append_jsonl, write_bytes, write_jsonl
from hybridq.utils.finite import NotFiniteError, check_finite
from hybridq_backends.utils.lock import locked

logger = logging.getLogger("hybridq")

CHECKPOINT = "last.ckpt"


def is_first_rank(compute: ComputeConfig) -> bool:
    """Whether this process is the one that writes files.

    Lightning knows the rank of a process on a further node only once it has a trainer.
    """
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    if compute.num_nodes > 1 and node.isdigit() and int(node):
        return False
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint so that a kill leaves the old one or the new one, never half."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`."""
        buffer = io.BytesIO()  # torch would hide what the disk says
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getvalue())


class MetricsFile(Callback):
    """One JSON object for each epoch in `metrics.jsonl`, and a plain line in the log.

    Rows of epochs that a resumed run does again are dropped first.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / "metrics.jsonl"
        self._started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the rows of the epochs before the one that starts."""
        if self.path is None:
            return
        earlier = {row["epoch"]: row for row in read_epochs(self.path.parent, once=False)}
        kept = [row for epoch, row in earlier.items() if epoch < trainer.current_epoch]
        write_jsonl(self.path, kept)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of this epoch."""
        validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if validated or not name.startswith("val_")
        }
        for name, value in metrics.items():
            check_finite(name, value)
        check_finite("weights", pl_module.state_dict())
        if self.path is None:
            return
        row: dict[str, Any] = {"epoch": trainer.current_epoch, **metrics}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = round(time.perf_counter() - self._started, 3)
        append_jsonl(self.path, row)
        epochs = trainer.max_epochs or 1
        number = trainer.current_epoch + 1
        if number % max(1, epochs // 20) == 0 or number in (1, epochs):
            figures = " ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            logger.info("epoch %d/%d %s (%.1f s)", number, epochs, figures, row["seconds"])


def trained_seconds(folder: Path) -> float:
    """Wall time of all epochs of a run, those before an interruption included."""
    return round(sum(float(row["seconds"]) for row in read_epochs(folder)), 1)


def make_trainer(
    compute: ComputeConfig,
    *,
    epochs: int,
    folder: Path | None,
    checkpoint_every: int,
    callbacks: list[Callback],
    val_every: int = 1,
) -> Trainer:
    """A trainer that writes to `folder` alone; `folder` is None on all ranks but the first."""
    checkpoint = ModelCheckpoint(
        dirpath=None if folder is None else folder / "checkpoints",
        filename=CHECKPOINT.removesuffix(".ckpt"),
        every_n_epochs=checkpoint_every,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    bar: list[Callback] = [RichProgressBar(leave=False)] if sys.stderr.isatty() else []
    trainer = trainer_for(
        compute,
        max_epochs=epochs,
        check_val_every_n_epoch=val_every,
        logger=False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[*callbacks, checkpoint, *bar],
        enable_progress_bar=bool(bar),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
        default_root_dir=folder,
    )
    own = getattr(trainer.strategy, "cluster_environment", None)
    if isinstance(own, LightningEnvironment) and trainer.num_devices > 1:
        divide_threads(trainer.num_devices)
        if folder is not None and is_first_rank(compute):
            note_computing(folder)
    return trainer


def shared_folder(trainer: Trainer, folder: Path | None) -> Path:
    """The run folder, which the first rank made, on every rank."""
    return Path(trainer.strategy.broadcast(str(folder)))


def fit(trainer: Trainer, module: LightningModule, resume: Path | None) -> None:
    """Train; an interrupt surfaces as KeyboardInterrupt whatever Lightning makes of it.

    Raises:
        InvalidValueError: if the checkpoint of `resume` cannot be used, or the training diverges.
    """
    checkpoint = None
    if resume is not None:
        path = resume / "checkpoints" / CHECKPOINT
        if path.is_file():
            _check_checkpoint(path, module)
            checkpoint = str(path)
            logger.info("resuming from %s", path)
        else:
            logger.info("no checkpoint in %s yet: starting from the first epoch", resume)
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


@contextmanager
def training_run(
    config: PretrainConfig | FinetuneConfig,
    command: str,
    name: str,
    *,
    resume: Path | None,
    data: Mapping[str, Any],
    **environment: Any,
) -> Iterator[Path | None]:
    """The run folder of a training, made (or gone on with) and logged to by the first rank.

    Yields the folder, None on the other ranks unless it is resumed. While the first rank is inside,
    no other process can go on with the run. A new folder in which no work has been kept is removed
    when what the user gave turns out to be wrong.

    Args:
        config: gives the place, the name and the seed.
        command: `pretrain` or `finetune`.
        name: of the run, where the config gives none.
        resume: the folder to go on with, or None for a new one.
        data: what `data_record` gave of the data that is read.
        **environment: more for `environment.json`.

    Raises:
        InvalidValueError: if another process trains the run, or it began with other data.
    """
    if not is_first_rank(config.compute):
        yield resume
        return
    folder = resume or create_run(config.runs, command, config.name or name)
    with (
        to_go_on_with(folder, is_new=resume is None),
        locked(folder / TRAINING_LOCK, "trains this run"),
        log_to_file(folder),
        told_how_to_go_on(folder, command),
    ):
        if resume is None:
            write_config(folder, config)
            write_environment(folder, seed=config.seed, data=data, **environment)
        else:
            check_same_images(recorded_data(folder), data, folder)
            note_resumption(folder)
        yield folder
