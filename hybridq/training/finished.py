"""Trainings as units of a longer piece of work, which may be killed and made again."""

from __future__ import annotations

import shutil
from pathlib import Path

from hybridq.config import FinetuneConfig, PretrainConfig
from hybridq.training.finetune import finetune
from hybridq.training.pretrain import pretrain


def finished_run(recipe: PretrainConfig | FinetuneConfig) -> Path:
    """Return the run of a training: the one that is there, gone on with, or a new one.

    A unit of a study that trains calls this in place of `pretrain` and `finetune`, so that a kill
    costs no more than the work since the last checkpoint. A finished run keeps no checkpoints.

    Args:
        recipe: What is trained; `runs` and `name` are of this training alone.

    Returns:
        The run folder.

    Raises:
        HybridqError: If data, encoder or settings cannot be used.
    """
    command = "pretrain" if isinstance(recipe, PretrainConfig) else "finetune"
    named = (recipe.runs / command).glob(f"{'[0-9]' * 8}-{'[0-9]' * 6}-{recipe.name}")
    begun = sorted(run for run in named if (run / "config.json").is_file())
    if begun and (begun[-1] / "result.json").is_file():
        run = begun[-1]
    else:
        if begun:
            same = {"data": recipe.data, "pseudonym_key": recipe.pseudonym_key}
            recipe = type(recipe)(resume=begun[-1], **same)
        run = pretrain(recipe) if isinstance(recipe, PretrainConfig) else finetune(recipe)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return run
