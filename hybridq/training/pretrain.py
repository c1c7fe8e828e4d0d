"""Self-supervised pretraining of an encoder on the train split, labels unseen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from hybridq.config import PretrainConfig
from hybridq.data.pool import Pool, load_pool
from hybridq.data.source import JOINT, is_own, splits_of
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.file import FILE as ENCODER
from hybridq.models.encoders.file import save_encoder
from hybridq.models.encoders.initial import encoder_for, spec_for
from hybridq.models.ssl import ssl_entry
from hybridq.records.findings import write_findings
from hybridq.records.results import read_epochs
from hybridq.runs.recorded import check_same_data, recorded, resumed
from hybridq.training.callbacks.metrics_file import MetricsFile
from hybridq.training.callbacks.monitor import FeatureMonitor
from hybridq.training.compute import check_compute, check_training_memory, processes_of
from hybridq.training.findings import pretraining_findings
from hybridq.training.fit import Plan, fit
from hybridq.training.initial import Handed
from hybridq.training.loggers import check_beside, check_logger, loggers_of
from hybridq.training.objectives.self_supervised import SelfSupervised
from hybridq.training.pretraining.budget import epochs_of, with_steps
from hybridq.training.pretraining.rest import still_moving
from hybridq.training.run import is_first_rank, shared_folder, trained_seconds, training_run
from hybridq.utils.files import write_json
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted
from hybridq.utils.weights import hash_of_file

logger = logging.getLogger("hybridq")

OWN = "own images"
"""What an encoder file calls the user's own data, whose name may tell of patients."""


def pretrain(
    config: PretrainConfig,
    handed: Handed = Handed(),  # noqa: B008 (it is frozen)
    *,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
) -> Path:
    """Pretrain an encoder; return its run folder, with `encoder.safetensors` in it.

    Args:
        config: What is trained, and how.
        handed: Has the images or the encoder in place of those that the config names.
        callbacks: Lightning's callbacks beside those of the run.
        loggers: Lightning's loggers beside those that the config names.

    Raises:
        HybridqError: if data, encoder or settings cannot be used; nothing is written then.
        KeyboardInterrupt: when stopped; `--resume` goes on from the last checkpoint.
    """
    given, resume = config, config.resume
    config = resumed(given, "pretrain")
    check_compute(config.compute)
    check_logger(config.logger)
    check_beside(callbacks, loggers)
    pseudonyms = pseudonyms_of(config, folder=config.runs)
    if handed.data is None:
        data = load_pool(config.data, data_root=config.data_root, pseudonyms=pseudonyms)
    else:
        data = Pool(tuple(splits_of(one, ("train",)) for one in (handed.data, *handed.more)))
    check_same_data(given, "pretrain", data)
    config = with_steps(recorded(config, data, pseudonyms), len(data))
    if config.probe:
        check_probe(data)
    encoder = initial_encoder(config, data, handed.encoder)
    if not any(weight.requires_grad for weight in encoder.parameters()):
        raise InvalidValueError(
            "Expected an encoder with weights to train, got one without any: use it as it is, or "
            "set `requires_grad`."
        )
    pixels = torch.from_numpy(data.images(encoder.spec.image_size))
    images = pixels.permute(0, 3, 1, 2).contiguous()
    if len(images) < 2:
        raise InvalidValueError(
            f"Expected at least 2 training images, got {len(images)}: the methods compare images."
        )
    check_training_memory(
        config.compute,
        image_size=encoder.spec.image_size,
        stem=encoder.spec.stem,
        images=2 * min(config.batch_size, len(images)),
        encoder=encoder,
    )
    with training_run(
        config,
        "pretrain",
        data.name,
        resume=resume,
        data=data.record(),
        is_kept=handed.is_kept,
    ) as folder:
        objective = SelfSupervised(config, encoder, images, pool=data)
        epochs, of_epoch = epochs_of(config, len(images), processes_of(config.compute))
        plan = Plan(
            epochs,
            compute=config.compute,
            folder=folder,
            checkpoint_every=config.checkpoint_every,
            resume=resume,
            loggers=[*loggers_of(config.logger, folder), *loggers],
        )
        own: list[Callback] = [
            FeatureMonitor(objective, data.first.splits["train"] if config.probe else None),
            MetricsFile(folder if is_first_rank(config.compute) else None),
        ]
        logger.info(
            "%s of %s on %d images of %s, %d px, %s stem: %d steps in %s",
            ssl_entry(config.ssl.name).label,
            encoder.spec.label,
            len(images),
            data.name,
            encoder.spec.image_size,
            encoder.spec.stem,
            epochs * of_epoch,
            counted(epochs, "epoch"),
        )
        trainer = fit(objective, plan, [*own, *callbacks])
        if folder is not None and trainer.is_global_zero:
            path = folder / ENCODER
            loss, chance = read_epochs(folder)[-1]["loss"], objective.chance(trainer.world_size)
            if chance is not None and loss >= chance:
                logger.warning(
                    "the last loss, %.3f, is not below %.3f, that of an encoder which cannot tell "
                    "one image from another: nothing was learned; give it more --steps, a smaller "
                    "--batch-size, or another --learning-rate",
                    loss,
                    chance,
                )
            elif (told := still_moving(read_epochs(folder))) is not None:
                logger.info("%s", told)
            save_encoder(encoder, path)
            result = {
                "method": config.ssl.name,
                "loss": loss,
                "loss_of_chance": chance,
                "steps": epochs * of_epoch,
                "epochs": epochs,
                "images": len(images),
                "seconds": trained_seconds(folder),
                "encoder": encoder.spec.model_dump(mode="json"),
                "hashes": {"encoder": hash_of_file(path)},
            }
            found = pretraining_findings(config, data.name, result, read_epochs(folder))
            write_findings(folder, found)
            write_json(folder / "result.json", result)
    return shared_folder(trainer, folder)


def check_probe(data: Pool) -> None:
    """Refuse to probe features by labels that are not there, or are of several kinds.

    Raises:
        InvalidValueError: If there are no such labels.
    """
    got = "several labels of an image" if data.first.task == "multilabel" else None
    got = got or (None if data.first.class_names else "images without labels")
    got = got if data.is_one else "several sets, of other classes"
    if got is not None:
        raise InvalidValueError(
            f"Expected one label of an image for --probe, got {got}: leave it out, RankMe reads "
            "no labels."
        )


def initial_encoder(config: PretrainConfig, data: Pool, handed: Encoder | None = None) -> Encoder:
    """Make the encoder that pretraining starts from, normalised for the images of `data`.

    Args:
        config: Names the network and its weights.
        data: The train split of the first set gives size and normalisation.
        handed: What takes the place of the one that the config names.
    """
    images = data.first.splits["train"].images
    encoder = handed or encoder_for(
        images,
        config.encoder,
        image_size=config.image_size,
        stem=config.stem,
        seed=config.seed,
    )
    method = config.ssl.name
    on = JOINT.join(OWN if one.own else one.name for one in data.sets)
    encoder.spec = encoder.spec.model_copy(
        update={
            "normalised_by_set": encoder.spec.normalised_by_set or not data.is_one,
            "weights": f"{method} on {on}"
            + ("" if encoder.spec.weights == "none" else f", from {_origin(encoder.spec.weights)}"),
            "data_licence": data.licence
            if encoder.spec.data_licence == "none"
            else f"{data.licence}; {encoder.spec.data_licence}",
        }
    )
    encoder.spec = spec_for(encoder.spec, images)
    return encoder


def _origin(weights: str) -> str:
    """Where an encoder's weights come from, without names of anybody's own data."""
    steps = []
    for step in weights.split(", from "):
        method, on, data = step.partition(" on ")
        sets = [OWN if is_own(one) else one for one in data.split(JOINT)]
        steps.append(f"{method} on {JOINT.join(sets)}" if on else step)
    return ", from ".join(steps)
