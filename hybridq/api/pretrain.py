"""Self-supervised pretraining from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from hybridq.api.parts import AnyEncoder, Data, encoder_of, network_of, recorded_source, sets_of
from hybridq.api.run_folders import place_of_runs
from hybridq.config import PretrainConfig
from hybridq.config.complaints import config_of, part_config
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.file import load_encoder
from hybridq.training.initial import Handed
from hybridq.training.pretrain import pretrain as run_pretrain
from hybridq.utils.processes import stop_if_run_again


def pretrain(
    data: Data | Sequence[Data],
    encoder: AnyEncoder = None,
    *,
    ssl: str | Mapping[str, Any] = "simclr",
    steps: int | None = None,
    epochs: int | None = None,
    runs: str | Path | None = None,
    resume: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    **options: Any,
) -> Encoder:
    """Pretrain an encoder on the train split of some data; labels are not looked at.

    Args:
        data: A name such as `breastmnist`, a folder, an `.npz` file, `ImageData`, a
            `torch.utils.data.Dataset` of pairs, or images as an array or tensor `(count, height,
            width)` or with channels. A list of names, paths, `ImageData` and datasets, or names
            joined by `+`, are pretrained on together, each set normalised by its own mean and
            standard deviation; the first gives the size of the input.
        encoder: What to begin with: a network's name such as `resnet18`, `imagenet`, an encoder
            file or run, an `Encoder`, or any module from images to features or feature maps. None
            is a MobileNetV2 with random weights. A module is copied, not changed.
        ssl: The method, a name or a mapping with `name` and its own options.
        steps: Steps of the optimiser, in whole epochs; 1 for every 2 images, but 2,000 to 10,000.
        epochs: Passes over the images, in place of `steps`.
        runs: Folder in which a run folder is made and kept; None keeps none.
        resume: A run folder to go on with, in place of all other options.
        callbacks: Lightning's callbacks.
        loggers: Lightning's loggers.
        **options: Any other field of `hybridq.config.PretrainConfig`, such as `batch_size`, `seed`
            or `image_size`.

    Returns:
        The encoder, in evaluation mode; `spec.weights` says how it was trained.

    Raises:
        HybridqError: If data, encoder or options cannot be used.

    Example:
        >>> import hybridq as hq
        >>> encoder = hq.pretrain("phantom,size=16,count=40", epochs=1, batch_size=8)
        >>> encoder.spec.weights
        'simclr on phantom'
    """
    stop_if_run_again("pretrain")
    sets = sets_of(data)
    given, module = encoder_of(encoder, sets[0], options.get("image_size"))
    config = config_of(
        PretrainConfig,
        data=recorded_source(*sets),
        encoder=given,
        ssl=part_config("ssl", ssl),
        steps=steps,
        epochs=epochs,
        resume=resume,
        **options,
    )
    why = "for a run to go on with" if resume is not None else None
    with place_of_runs(resume or runs, why=why) as place:
        folder = run_pretrain(
            config.model_copy(update={"runs": place}),
            Handed(
                data=sets[0],
                more=sets[1:],
                encoder=module,
                is_kept=runs is not None or resume is not None,
            ),
            callbacks=callbacks,
            loggers=loggers,
        )
        return load_encoder(folder, network=network_of(module)).eval()
