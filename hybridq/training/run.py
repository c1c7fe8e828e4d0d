"""The run folder of a training: made or gone on with by the first of its processes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Trainer

from hybridq.config import ComputeConfig, FinetuneConfig, PretrainConfig
from hybridq.data.provenance import check_same_images
from hybridq.records.results import read_epochs
from hybridq.runs.environment import note_resumption, recorded_data, write_environment
from hybridq.runs.folder import (
    TRAINING_LOCK,
    create_run,
    log_to_file,
    tell_if_finished,
    to_go_on_with,
    told_how_to_go_on,
    write_config,
)
from hybridq_backends.utils.lock import locked

logger = logging.getLogger("hybridq")

ConfigT = TypeVar("ConfigT", PretrainConfig, FinetuneConfig)


def is_first_rank(compute: ComputeConfig) -> bool:
    """Whether this process is the one that writes files.

    Lightning knows the rank of a process on a further node only once it has a trainer.
    """
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    if compute.num_nodes > 1 and node.isdigit() and int(node):
        return False
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def trained_seconds(folder: Path) -> float:
    """Wall time of all epochs of a run, those before an interruption included."""
    return round(sum(float(row["seconds"]) for row in read_epochs(folder)), 1)


def shared_folder(trainer: Trainer, folder: Path | None) -> Path:
    """The run folder, which the first rank made, on every rank."""
    return Path(trainer.strategy.broadcast(str(folder)))


@contextmanager
def training_run(
    config: PretrainConfig | FinetuneConfig,
    command: str,
    name: str,
    *,
    resume: Path | None,
    data: Mapping[str, Any],
    is_kept: bool = True,
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
        is_kept: whether the folder stays, so that its path is worth telling.
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
        told_how_to_go_on(folder, command) if is_kept else nullcontext(),
    ):
        if is_kept:
            logger.info("run folder %s", folder)
        if resume is None:
            write_config(folder, config)
            write_environment(folder, seed=config.seed, data=data, **environment)
        else:
            check_same_images(recorded_data(folder), data, folder)
            note_resumption(folder)
            tell_if_finished(folder)
        yield folder


def finished_run(recipe: ConfigT, train: Callable[[ConfigT], Path]) -> Path:
    """Return the run of a training: the one that is there, gone on with, or a new one.

    A unit of a study that trains calls this in place of `pretrain` and `finetune`, so that a kill
    costs no more than the work since the last checkpoint. A finished run keeps no checkpoints.

    Args:
        recipe: What is trained; `runs` and `name` are of this training alone.
        train: `pretrain` or `finetune`.

    Returns:
        The run folder.

    Raises:
        HybridqError: If data, encoder or settings cannot be used.
    """
    command = "pretrain" if isinstance(recipe, PretrainConfig) else "finetune"
    named = (recipe.runs / command).glob(f"{'[0-9]' * 8}-{'[0-9]' * 6}-{recipe.name}")
    begun = sorted(run for run in named if (run / "config.json").is_file())
    if not begun:
        run = train(recipe)
    elif (begun[-1] / "result.json").is_file():
        run = begun[-1]
    else:
        same = {"data": recipe.data, "pseudonym_key": recipe.pseudonym_key}
        run = train(type(recipe)(resume=begun[-1], **same))
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return run
