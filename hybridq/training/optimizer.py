"""Groups of parameters, the optimiser and its schedules, shared by every training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from hybridq.models.heads import circuit_parameters


def decay_groups(
    module: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    without: Sequence[nn.Parameter] = (),
) -> list[dict[str, Any]]:
    """Parameters to train in two groups: matrices with weight decay, vectors without."""
    left_out = {id(parameter) for parameter in without}
    chosen = [parameter for parameter in module.parameters() if id(parameter) not in left_out]
    return _groups(chosen, learning_rate, weight_decay)


def stage_groups(
    network: nn.Module, *, learning_rate: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """The groups of an encoder, with learning rates that fall from its top to its stem.

    Those of the k-th stage below the top are `layer_decay ** k` times the peak (Clark et al.,
    arXiv:2003.10555, section 3.1, of layers).

    Args:
        network: the encoder, or its network.
        learning_rate: peak, of the top.
        weight_decay: of matrices.
        layer_decay: above 0; with 1 there are the groups of `decay_groups`.
    """
    if layer_decay == 1:
        return decay_groups(network, learning_rate=learning_rate, weight_decay=weight_decay)
    groups = []
    for below, stage in enumerate(reversed(stages_of(network))):
        groups += _groups(stage, learning_rate * layer_decay**below, weight_decay)
    return groups


def stages_of(network: nn.Module) -> list[list[nn.Parameter]]:
    """Take a network apart into the weights of its stages, from the stem to the top.

    Stages are the parts that it holds, in their order; a part without matrices, such as a batch
    norm, belongs to the one before it. A network that holds a single part is taken apart further.
    Weights that are in no part belong to the stem.

    Args:
        network: holds parts in the order in which they are computed.
    """
    own = list(network.parameters(recurse=False))
    parts = [part for part in network.children() if any(True for _ in part.parameters())]
    if len(parts) == 1 and not own:
        return stages_of(parts[0])
    stages, seen = [own], set(map(id, own))
    for number, part in enumerate(parts):
        weights = [weight for weight in part.parameters() if id(weight) not in seen]
        seen.update(map(id, weights))
        if number and any(weight.ndim > 1 for weight in weights):
            stages.append([])
        stages[-1] += weights
    return stages


def _groups(
    parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """What is trained of some parameters, as `decay_groups` has it."""
    chosen = [parameter for parameter in parameters if parameter.requires_grad]
    matrices = [parameter for parameter in chosen if parameter.ndim > 1]
    vectors = [parameter for parameter in chosen if parameter.ndim <= 1]
    return [
        {"params": matrices, "lr": learning_rate, "weight_decay": weight_decay},
        {"params": vectors, "lr": learning_rate, "weight_decay": 0.0},
    ]


def head_groups(
    head: nn.Module, *, learning_rate: float, block_learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """The groups of a head: all but its block, and the block, which has no weight decay.

    Args:
        head: the head.
        learning_rate: peak, of all but the block.
        block_learning_rate: peak, of the block (`circuit_parameters`).
        weight_decay: of matrices outside the block.
    """
    block = circuit_parameters(head)
    trained = [weight for weight in block if weight.requires_grad]
    return [
        *decay_groups(head, learning_rate=learning_rate, weight_decay=weight_decay, without=block),
        {"params": trained, "lr": block_learning_rate, "weight_decay": 0.0},
    ]


def one_cycle(groups: Sequence[dict[str, Any]], total_steps: int) -> tuple[Optimizer, OneCycleLR]:
    """AdamW whose learning rates rise to those of the groups and fall to almost nothing.

    Smith & Topin, arXiv:1708.07120.

    Args:
        groups: of parameters, each with its peak `lr`; those without parameters are left out.
        total_steps: optimiser steps of the training, at least 2.
    """
    filled = [group for group in groups if group["params"]]
    optimizer = torch.optim.AdamW(filled)
    schedule = OneCycleLR(
        optimizer, max_lr=[group["lr"] for group in filled], total_steps=max(2, total_steps)
    )
    return optimizer, schedule


def warmup_cosine(optimizer: Optimizer, *, warmup_steps: int, total_steps: int) -> LambdaLR:
    """Linear warm-up to the peak and cosine decay to zero, step by step."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)
