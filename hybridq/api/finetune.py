"""Supervised training from Python."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from hybridq.api.load import load
from hybridq.api.model import Model
from hybridq.api.parts import (
    AnyBackend,
    AnyEncoder,
    AnyHead,
    Data,
    backend_of,
    data_of,
    encoder_of,
    head_of,
    network_of,
    recorded_source,
)
from hybridq.api.run_folders import place_of_runs
from hybridq.config import FinetuneConfig
from hybridq.config.complaints import config_of
from hybridq.training.finetune import finetune as run_finetune
from hybridq.training.initial import Handed
from hybridq.training.objectives.criteria import Criterion
from hybridq.utils.processes import stop_if_run_again
from hybridq_backends import Executable, parse_backend


def finetune(
    encoder: AnyEncoder,
    data: Data,
    *,
    labels: float = 1.0,
    head: AnyHead = "pqc",
    backend: AnyBackend = "statevector",
    runs: str | Path | None = None,
    resume: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    criterion: Criterion | None = None,
    **options: Any,
) -> Model:
    """Train a classifier on a fraction of the labels.

    Args:
        encoder: What `pretrain` returned, a network's name such as `resnet18`, `imagenet`, an
            encoder file or run, any module from images to features or feature maps, or None for a
            MobileNetV2 with random weights. A module is copied, not changed.
        data: A name such as `breastmnist`, a folder, an `.npz` file, `ImageData`, a
            `torch.utils.data.Dataset` of pairs, or `(images, labels)`.
        labels: Fraction of the train split's labels that is used, above 0 and up to 1.
        head: A name such as `pqc` or `mlp`, its config (also as a mapping such as `{"name": "pqc",
            "num_qubits": 6}`), or any module from features `(batch, features)` to logits `(batch,
            classes)`, from feature maps if its attribute `input` is `map`. It is copied.
        backend: Where circuits run in training: a profile such as `fake_torino`, a spec, an
            executable, or a backend of Qiskit.
        runs: Folder in which a run folder is made and kept; None keeps none.
        resume: A run folder to go on with, in place of all other options.
        callbacks: Lightning's callbacks.
        loggers: Lightning's loggers.
        criterion: A module or a function from logits `(batch, num_classes)` and labels to a loss,
            in place of cross-entropy.
        **options: Any other field of `hybridq.config.FinetuneConfig`, such as `epochs`, `seed`,
            `freeze_encoder` or `learning_rate`.

    Returns:
        The model of the epoch that was kept.

    Raises:
        HybridqError: If data, encoder, head, backend or options cannot be used.

    Example:
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> model = hq.finetune(None, data, head="pqc", epochs=1, freeze_encoder=True)
        >>> model.predict(data.splits["test"].images).shape
        (10, 2)
    """
    stop_if_run_again("finetune")
    images = data_of(data, ("train", "val"))
    given, module = encoder_of(encoder, images, options.get("image_size"))
    if module is not None:
        options.pop("image_size", None)
    head_given, own_head = head_of(head)
    name, opened = backend_of(backend)
    config = config_of(
        FinetuneConfig,
        data=recorded_source(images),
        encoder=given,
        head=head_given,
        labels=labels,
        backend=name,
        resume=resume,
        **options,
    )
    is_kept = runs is not None or resume is not None
    with place_of_runs(resume or runs, why=_why_kept(config, opened)) as place:
        folder = run_finetune(
            config.model_copy(update={"runs": place}),
            Handed(images, module, own_head, opened, is_kept),
            callbacks=callbacks,
            loggers=loggers,
            criterion=criterion,
        )
        model = load(folder, encoder=network_of(module), head=deepcopy(own_head))
        return model.kept_as(folder if is_kept else None, opened)


def _why_kept(config: FinetuneConfig, backend: Any) -> str | None:
    """What needs a run folder that stays."""
    spec = parse_backend(config.backend) if backend is None else backend
    spec = spec.spec if isinstance(spec, Executable) else spec
    if spec is not None and spec.is_paid:
        return "for training on hardware, whose jobs are kept there so that none is paid twice"
    if config.compute.devices != "1" or config.compute.num_nodes != 1:
        return "for training in several processes"
    return None
