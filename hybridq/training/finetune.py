"""Supervised training of encoder and head on a fraction of the labels.

The test split is never read here: recipes are chosen on train and validation.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from types import FunctionType

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger

from hybridq.config import FinetuneConfig
from hybridq.data import ImageData, ImageSplit, data_record, labelled_subset, load_data
from hybridq.data.dataset import absent_classes
from hybridq.data.provenance import hashes_of_splits
from hybridq.data.source import splits_of
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import ModelSpec, hashes_of, save_model, take_weights
from hybridq.models.classifier import HybridClassifier, head_summary
from hybridq.models.classify import choose_decision
from hybridq.models.heads import is_fitted, num_trainable
from hybridq.models.heads.base import width_note
from hybridq.records.findings import write_findings
from hybridq.records.results import read_environment, read_epochs
from hybridq.runs.recorded import check_same_data, recorded, resumed
from hybridq.training.balancing.oversampling import check_balance
from hybridq.training.callbacks.curriculum import check_circuits, check_curriculum, curriculum_for
from hybridq.training.callbacks.keep_model import KeepModel
from hybridq.training.callbacks.metrics_file import MetricsFile
from hybridq.training.callbacks.on_hardware import (
    check_training_backend,
    go_on_with_jobs,
    prepare_training,
)
from hybridq.training.compute import check_compute, check_training_memory
from hybridq.training.engine import EngineNote, opened
from hybridq.training.findings import finetuning_findings
from hybridq.training.fit import Plan, fit, has_checkpoint, make_trainer
from hybridq.training.heads.closed_form import check_fitted, fit_head
from hybridq.training.heads.head import train_head_first
from hybridq.training.heads.head_start import settled, start_head
from hybridq.training.initial import Handed, initial_model
from hybridq.training.loggers import check_beside, check_logger, loggers_of
from hybridq.training.objectives.criteria import Criterion, check_criterion, has_auc
from hybridq.training.objectives.supervised import Supervised
from hybridq.training.run import is_first_rank, shared_folder, trained_seconds, training_run
from hybridq.utils.files import write_json
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import listed
from hybridq_backends import Executable, parse_backend

logger = logging.getLogger("hybridq")


def finetune(
    config: FinetuneConfig,
    handed: Handed = Handed(),  # noqa: B008 (it is frozen)
    *,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    criterion: Criterion | None = None,
) -> Path:
    """Train a classifier; return its run folder, with the model kept in it.

    Args:
        config: What is trained, and how.
        handed: What is handed over in place of what the config names.
        callbacks: Lightning's callbacks beside those of the run.
        loggers: Lightning's loggers beside those that the config names.
        criterion: A function of logits and labels that gives a loss, in place of cross-entropy.

    Raises:
        HybridqError: if data, encoder, head, backend or settings cannot be used; nothing is
            written then.
        KeyboardInterrupt: when stopped; `--resume` goes on from the last checkpoint.
    """
    given, resume = config, config.resume
    config = resumed(given, "finetune")
    if config.patience and config.keep == "last":
        raise InvalidValueError(
            "Expected --keep best with --patience, got --keep last: the last epoch is only worth "
            "keeping when the learning rate has come down."
        )
    if config.epochs % config.val_every:
        raise InvalidValueError(
            f"Expected --epochs that is a multiple of --val-every, got {config.epochs} and "
            f"{config.val_every}: the last epoch has to be read."
        )
    if config.freeze_encoder and (config.probe_steps or config.layer_decay < 1):
        raise InvalidValueError(
            "Expected an encoder that is trained with --probe-steps or --layer-decay, got "
            "--freeze-encoder: leave out one or the other."
        )
    if config.probe_steps and "head" in config.frozen_blocks:
        raise InvalidValueError(
            "Expected a head that is trained with --probe-steps, got --freeze head: leave out one "
            "or the other."
        )
    check_logger(config.logger)
    check_beside(callbacks, loggers)
    spec = parse_backend(config.backend) if handed.backend is None else handed.spec
    if spec is not None:
        check_training_backend(config, spec)
        check_curriculum(config, spec)
    check_compute(config.compute)
    pseudonyms = pseudonyms_of(config, folder=config.runs)
    if handed.data is None:
        data = load_data(
            config.data,
            data_root=config.data_root,
            splits=("train", "val"),
            positive=config.positive,
            pseudonyms=pseudonyms,
        )
    elif not handed.data.class_names:
        raise InvalidValueError(
            "Expected images with labels, got images alone: give (images, labels), or pretrain on "
            "them."
        )
    else:
        data = splits_of(handed.data, ("train", "val"), config.positive)
    check_same_data(given, "finetune", data)
    config = recorded(config, data, pseudonyms)
    train = labelled_subset(data, "train", config.labels, seed=config.seed)
    if len(train) < 2:
        raise InvalidValueError(
            f"Expected at least 2 labelled images, got {len(train)}: raise --labels."
        )
    model = initial_model(config, data, handed)
    check_circuits(config, model)
    check_fitted(config, model, multilabel=data.task == "multilabel")
    check_balance(config, model, multilabel=data.task == "multilabel")
    config = settled(
        config,
        model,
        labelled=len(train),
        num_classes=data.num_classes,
        own=handed.head is not None,
    )
    check_criterion(criterion, data.num_classes, multilabel=data.task == "multilabel")
    with opened(config, model, resume, handed) as (backend, note):
        go_on_with_jobs(backend, resume if is_first_rank(config.compute) else None)
        model.use_backend(backend)
        if not config.freeze_encoder:
            check_training_memory(
                config.compute,
                image_size=model.encoder.spec.image_size,
                stem=model.encoder.spec.stem,
                images=min(config.batch_size, len(train)),
                encoder=model.encoder,
            )
        _check_same_criterion(criterion, resume)
        objective = Supervised(config, model, train, data, criterion=criterion)
        more = (callbacks, loggers, criterion, handed.is_kept)
        return _train(config, objective, train, data, backend, note, resume, *more)


def _train(
    config: FinetuneConfig,
    objective: Supervised,
    train: ImageSplit,
    data: ImageData,
    backend: Executable,
    note: EngineNote | None,
    resume: Path | None,
    more_callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    criterion: Criterion | None,
    is_kept: bool,
) -> Path:
    model = objective.model
    record = data_record(data)
    with training_run(
        config,
        "finetune",
        f"{data.name}-{config.head.name}",
        resume=resume,
        data=record,
        backend=backend.describe(),
        criterion=_name_of(criterion),
        is_kept=is_kept,
    ) as folder:
        spec = ModelSpec(
            encoder=model.encoder.spec,
            head=config.head,
            task=data.task,
            class_names=data.class_names,
            positive=data.positive,
            data=data.name,
            data_licence=data.licence,
            labels=config.labels,
            backend=config.backend,
            seed=config.seed,
            data_hashes=hashes_of_splits(record),
        )
        writable = folder if is_first_rank(config.compute) else None
        keeper = KeepModel(writable, model, spec, config.keep)
        stages = curriculum_for(config, model, backend)
        is_begun = resume is not None
        of_jobs = prepare_training(config, model, backend, writable, is_begun=is_begun)
        is_ranked = has_auc(data.splits["val"].labels, data.num_classes)
        callbacks: list[Callback] = [keeper, MetricsFile(writable)]
        callbacks += of_jobs if stages is None else [stages, *of_jobs]
        if config.patience:
            readings = math.ceil(config.patience / config.val_every)
            watched = ("val_auc", "max") if is_ranked else ("val_loss", "min")
            callbacks.append(EarlyStopping(watched[0], mode=watched[1], patience=readings))
        plan = Plan(
            config.epochs,
            compute=config.compute,
            folder=folder,
            checkpoint_every=config.checkpoint_every,
            val_every=config.val_every,
            resume=resume,
            loggers=[*loggers_of(config.logger, folder), *loggers],
        )
        logger.info("%s", describe(config, model, train, data))
        if note is not None:
            note.log()
        if narrow := width_note(model.head):
            logger.warning("%s", narrow)
        if lacking := listed(absent_classes(data, "val")):
            told = "left out of the mean" if is_ranked else "the loss alone tells the best epoch"
            logger.warning("no %s in validation: its AUC is undefined, and %s", lacking, told)
        if is_fitted(model.head):
            trainer = make_trainer(plan)
            if folder is not None and trainer.is_global_zero:
                keeper.kept = fit_head(objective, folder, spec)
        else:
            if config.head_start == "regression" and not has_checkpoint(resume):
                logger.info("the head begins at a regression on the labelled features")
                start_head(objective, train.groups)
            if config.probe_steps and not has_checkpoint(resume):
                logger.info("the head alone is trained for %d steps first", config.probe_steps)
                train_head_first(objective)
            try:
                trainer = fit(objective, plan, [*callbacks, *more_callbacks])
            finally:
                if stages is not None:
                    stages.close()
        if folder is not None and trainer.is_global_zero:
            jobs = backend.num_jobs + (0 if stages is None else stages.num_jobs)
            _decide(config, model, spec, data, backend, folder)
            result = {
                "kept": keeper.kept,
                "epochs": len(read_epochs(folder)),
                "labelled_images": len(train),
                "trainable_parameters": num_trainable(model),
                "head_parameters": num_trainable(model.head),
                "circuit_jobs": jobs,
                "seconds": trained_seconds(folder),
                "hashes": hashes_of(folder),
            }
            found = finetuning_findings(config, data.name, result, read_epochs(folder))
            write_findings(folder, found)
            write_json(folder / "result.json", result)
            area = keeper.kept["val_auc"]
            logger.info(
                "kept epoch %d: validation AUC %s%s",
                int(keeper.kept["epoch"] or 0) + 1,
                "undefined" if area is None else f"{area:.4f}",
                f"; figures: hybridq evaluate {quote(str(folder))}" if is_kept else "",
            )
    return shared_folder(trainer, folder)


def _decide(
    config: FinetuneConfig,
    model: HybridClassifier,
    spec: ModelSpec,
    data: ImageData,
    backend: Executable,
    folder: Path,
) -> None:
    """Choose what the kept model decides by, and keep it with the model.

    Circuits run where they were trained, but for jobs, which are saved by a simulation.
    """
    take_weights(model, folder, finished=False)
    model.use_backend("statevector" if backend.takes_jobs else backend)
    decision = choose_decision(model.eval(), data, views=config.views)
    save_model(folder / "model", model, spec.model_copy(update={"decision": decision}))


def _name_of(criterion: Criterion | None) -> str | None:
    """What a loss that was handed in is called in records; None for the usual one."""
    kind = criterion if isinstance(criterion, FunctionType) else type(criterion)
    return None if criterion is None else f"{kind.__module__}.{kind.__qualname__}"


def _check_same_criterion(criterion: Criterion | None, resume: Path | None) -> None:
    """Refuse to go on with another loss than a run began with.

    Raises:
        InvalidValueError: If it is another.
    """
    if resume is None:
        return
    begun, given = read_environment(resume).get("criterion"), _name_of(criterion)
    if begun != given:
        raise InvalidValueError(
            f"Expected the loss that the run began with, {begun or 'the usual one'}, got "
            f"{given or 'the usual one'}: go on with finetune(..., criterion=...) in Python."
        )


def describe(
    config: FinetuneConfig, model: HybridClassifier, train: ImageSplit, data: ImageData
) -> str:
    """One line on what is about to be trained."""
    encoder = "frozen" if config.freeze_encoder else "trained"
    is_taken = config.start is not None and "encoder" in config.taken_blocks
    start = f"the run {config.start}" if is_taken else model.encoder.spec.weights
    positive = "" if data.positive is None else f"; positive: {data.class_names[data.positive]}"
    return (
        f"{len(train)} labelled images of {data.name} ({listed(data.class_names)}{positive}), "
        f"encoder {encoder} from {start}, head {config.head.name} "
        f"({head_summary(model.head)}), backend {config.backend}"
    )
