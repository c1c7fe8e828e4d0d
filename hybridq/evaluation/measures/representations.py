"""The representations of a trained model whose geometry is measured (see `geometry`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hybridq.models.ssl.augment import Augment
from hybridq.quantum.modules import quantum_parts

if TYPE_CHECKING:
    from torch import Tensor

    from hybridq.config import AugmentConfig
    from hybridq.models.encoders.encoder import Encoder

Floats = NDArray[np.float64]

BATCH = 128


@torch.inference_mode()
def view_features(
    encoder: Encoder, images: NDArray[np.uint8], config: AugmentConfig, *, seed: int = 0
) -> tuple[Floats, Floats]:
    """Features of two random views of each image, made as pretraining makes its own.

    Args:
        encoder: in evaluation mode.
        images: uint8 `(images, height, width, 1 or 3)`.
        config: the random changes; those of the pretraining for figures of it.
        seed: of the views; the global generator is left alone.

    Returns:
        `(images, features)` of one view, and of the other.
    """
    spec = encoder.spec
    augment = Augment(
        config,
        image_size=spec.image_size,
        mean=spec.mean,
        std=spec.std,
        colour=images.shape[-1] == 3,
    )
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = [
            [encoder(augment(batch)) for _ in range(2)] for batch in torch.split(tensor, BATCH)
        ]
    first, second = (torch.cat(part).double().numpy() for part in zip(*parts, strict=True))
    return first, second


@torch.inference_mode()
def around_layer(head: nn.Module, features: Tensor) -> tuple[Floats, Floats] | None:
    """What goes into the circuits of a head and what comes out of them.

    Args:
        head: A head in evaluation mode; a quantum head, or one with a `block` in a circuit's place.
        features: `(images, *in_shape)`.

    Returns:
        Inputs and outputs, `(images, ...)` each, flattened over all circuits of an image; None
        where the head has neither circuit nor block.
    """
    parts = quantum_parts(head)
    block = getattr(head, "block", None)
    if not parts and isinstance(block, nn.Module):
        parts = [block]
    if not parts:
        return None
    before: list[Tensor] = []
    after: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before.append(inputs[0].reshape(len(features), -1))
        after.append(output.reshape(len(features), -1))

    handles = [part.register_forward_hook(keep) for part in parts]
    try:
        head(features)
    finally:
        for handle in handles:
            handle.remove()
    inputs, outputs = (torch.cat(found, dim=1).double().numpy() for found in (before, after))
    return inputs, outputs
