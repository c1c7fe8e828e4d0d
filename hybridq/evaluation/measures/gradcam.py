"""Grad-CAM: which part of an image a convolutional network's decision rests on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def grad_cam(model: nn.Module, block: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Heat of each pixel for a class, from 0 to 1 within each image.

    Selvaraju et al., arXiv:1610.02391, equations 1 and 2: the block's channels, weighted by the
    mean gradient of the class's logit, summed, and cut off below 0. An image in which nothing
    speaks for the class is all 0.

    Args:
        model: in evaluation mode; images `(batch, channels, height, width)` to logits.
        block: a part of `model` that gives `(batch, channels, rows, columns)`, usually the last
            convolutional one. Its rows and columns are the resolution of the heat.
        images: a batch.
        classes: `(batch,)`, the class whose evidence is asked for in each image.

    Returns:
        `(batch, height, width)`, enlarged bilinearly from the block's rows and columns.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        maps = output if output.requires_grad else output.detach().requires_grad_()
        kept.append(maps)
        return maps

    handle = block.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits: Tensor = model(images)
            chosen = logits.gather(1, classes[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, kept[0])
    finally:
        handle.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = functional.relu((weights * kept[0].detach()).sum(dim=1, keepdim=True))
    largest = heat.amax(dim=(2, 3), keepdim=True)
    heat = heat / torch.where(largest > 0, largest, 1)
    size = (images.shape[2], images.shape[3])
    return functional.interpolate(heat, size=size, mode="bilinear", align_corners=False)[:, 0]
