"""The representations of a trained model whose geometry is measured (see `geometry`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from hybridq.models.ssl.augment import Augment

if TYPE_CHECKING:
    from torch import Tensor

    from hybridq.config import AugmentConfig
    from hybridq.models.encoders.mobilenet import Encoder
    from hybridq.models.heads import Head

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
def around_layer(head: Head, features: Tensor) -> tuple[Floats, Floats]:
    """What goes into the layer of a head and what comes out of it.

    Args:
        head: in evaluation mode.
        features: `(images, in_features)`.

    Returns:
        Angles in radians and expectation values, `(images, num_qubits)` each.
    """
    angles = head.angles(features)
    return angles.double().numpy(), head.expvals(angles).double().numpy()
