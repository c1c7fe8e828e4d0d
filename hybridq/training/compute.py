"""Where a training runs: what this machine has, and what Lightning makes of it."""

from __future__ import annotations

import logging
import os
import re
import warnings
from copy import deepcopy
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch import Tensor, nn

from hybridq.config import ComputeConfig
from hybridq.config.handed import is_handed
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.encoder import Encoder
from hybridq.utils.limits import check_memory

logger = logging.getLogger("hybridq")

PRECISIONS = ("32-true", "32", "16-mixed", "16", "bf16-mixed", "bf16")
"""Lightning's precisions under which the weights stay in single precision."""

PROBE = 64
"""Side in pixels of the images by which a network's memory is counted."""

BYTES_PER_PIXEL = 1500
"""What MobileNetV2 keeps of an image for the backward pass, for each pixel of its input.

Counted by `torch.autograd.graph.saved_tensors_hooks`: 1561 at 224 pixels, more below; with a stem
of stride 1 four times as much.
"""


def check_compute(compute: ComputeConfig) -> None:
    """Refuse settings under which no training can start; nothing is made to find out.

    Raises:
        InvalidValueError: If Lightning cannot use them on this machine.
    """
    if compute.precision not in PRECISIONS:
        raise InvalidValueError(
            f"Expected --precision of Lightning's {', '.join(PRECISIONS)} (weights are single "
            f"precision), got {compute.precision!r}: take one of them."
        )
    if not re.fullmatch(r"auto|-1|[0-9]{1,4}(,[0-9]{1,4})*,?", compute.devices):
        raise InvalidValueError(
            f"Expected --devices of Lightning (`auto`, a number, or numbers as 0,1), got "
            f"{compute.devices!r}: leave it out for one."
        )
    cores = max(2, os.cpu_count() or 1)
    if _on_cpu(compute) and compute.devices.isdigit() and int(compute.devices) > cores:
        raise InvalidValueError(
            f"Expected at most {cores} --devices, Lightning's processes on the cores of this "
            f"machine, got {compute.devices}: lower it."
        )
    trainer = trainer_for(compute, logger=False, enable_checkpointing=False)
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise InvalidValueError(
            f"Expected a --strategy of Lightning that starts this command again, such as ddp, got "
            f"{compute.strategy!r}, which starts a function in other processes: take ddp."
        )
    if compute.num_nodes > 1 and not _can_find_others(trainer):
        raise InvalidValueError(
            f"Expected the address of the first machine in MASTER_ADDR (and MASTER_PORT and "
            f"NODE_RANK) with --num-nodes {compute.num_nodes}, got none, so that no other can find "
            "this one: set them on each machine, start under torchrun or Slurm, or leave "
            "--num-nodes out."
        )


def processes_of(compute: ComputeConfig) -> int:
    """Count the processes of a training, on all machines."""
    trainer = trainer_for(compute, logger=False, enable_checkpointing=False)
    return trainer.num_devices * trainer.num_nodes


def tell_wait(num_nodes: int) -> None:
    """Say that a training starts only when the other machines have come."""
    logger.info(
        "waiting until all %d machines have come to %s: start the same command on each of them",
        num_nodes,
        os.environ.get("MASTER_ADDR", "the first one"),
    )


def check_training_memory(
    compute: ComputeConfig,
    *,
    image_size: int,
    stem: str,
    images: int,
    encoder: nn.Module | None = None,
) -> None:
    """Refuse steps whose images cannot fit into the memory, and tell of those that take half of it.

    Args:
        compute: Where it runs; of a GPU nothing is known before it is asked.
        image_size: Side of the network's input in pixels.
        stem: The stem of the encoder.
        images: Images of a step for which the network is trained.
        encoder: The network; MobileNetV2 if None.

    Raises:
        InvalidValueError: If they cannot.
    """
    if not _on_cpu(compute):
        return
    if encoder is None:
        per_pixel = BYTES_PER_PIXEL * (4 if stem == "stride1" else 1)
    else:
        is_own = isinstance(encoder, Encoder) and is_handed(encoder.spec.architecture)
        per_pixel = kept_per_pixel(encoder, image_size if is_own else PROBE)  # it may take one size
    if "16" in compute.precision:
        per_pixel //= 2
    check_memory(
        per_pixel * image_size**2 * images,
        f"a step of {images} images of {image_size} pixels",
        "lower --batch-size or --image-size",
        tell=True,
    )


def kept_per_pixel(encoder: nn.Module, side: int = PROBE) -> int:
    """Count the bytes that a network keeps for its backward pass, for each pixel of an image.

    It is a low estimate, by two images of zeros that pass a copy of it.

    Args:
        encoder: The network.
        side: Height and width of those images, in pixels.
    """
    twin = deepcopy(encoder).train()
    own = {weight.untyped_storage().data_ptr() for weight in twin.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    like = next(twin.parameters(), torch.empty(0))
    images = like.new_zeros(2, 3, side, side)
    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        features = twin(images)  # which holds what is kept
    del features
    return int(0.9 * sum(kept.values()) / images[:, 0].numel())


def trainer_for(compute: ComputeConfig, **more: Any) -> Trainer:
    """A trainer with these settings.

    Args:
        compute: Where it runs.
        **more: What else Lightning's `Trainer` takes.

    Raises:
        InvalidValueError: If Lightning refuses the settings.
    """
    quiet()
    devices: int | str = int(compute.devices) if compute.devices.isdigit() else compute.devices
    try:
        return Trainer(
            accelerator=compute.accelerator,
            devices=devices,
            num_nodes=compute.num_nodes,
            strategy=compute.strategy,
            sync_batchnorm=compute.accelerator != "cpu" and torch.cuda.is_available(),
            precision=compute.precision,  # type: ignore[arg-type]
            **more,
        )
    except (
        TypeError, ValueError, RuntimeError, ImportError, MisconfigurationException,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())
        raise InvalidValueError(
            "Expected --accelerator, --devices, --num-nodes, --strategy and --precision that "
            f"Lightning can use here, got {_flags(compute)}: Lightning says {reason!r}; leave out "
            "what this machine does not have."
        ) from error


def _flags(compute: ComputeConfig) -> str:
    """What was asked for, as the command line says it."""
    usual = ComputeConfig()
    given = [
        f"--{name.replace('_', '-')} {value}"
        for name, value in compute
        if value != getattr(usual, name)
    ]
    return " ".join(given) or "none of them"


def _on_cpu(compute: ComputeConfig) -> bool:
    """Whether Lightning would compute on the processor."""
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    return compute.accelerator == "cpu" or (compute.accelerator == "auto" and not gpu)


def _can_find_others(trainer: Trainer) -> bool:
    """Whether processes of other machines know where the first one is."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return not isinstance(environment, LightningEnvironment) or "MASTER_ADDR" in os.environ


def quiet() -> None:
    """Keep to itself what Lightning would say of settings that are meant."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists.*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
    warnings.filterwarnings("ignore", message=".*module\\(s\\) in eval mode.*")
    warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
