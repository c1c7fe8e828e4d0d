"""Features of images, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.models.encoders.encoder import Encoder
from hybridq.models.searched_regression import mean_and_scale
from hybridq.models.views import Views, views_of

BATCH = 128
"""Images at a time."""


@torch.inference_mode()
def image_features(
    encoder: Encoder,
    images: NDArray[np.uint8],
    *,
    views: Views = "one",
    of: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Compute the features of images, as means over the views of each.

    Args:
        encoder: An encoder in evaluation mode.
        images: `(count, height, width, channels)`.
        views: The views of an image.
        of: What turns prepared images into features, such as `model.features` of a head that takes
            feature maps; the encoder itself if None.

    Returns:
        `(count, num_features)`, or what `of` gives.
    """
    parts = []
    for start in range(0, len(images), BATCH):
        prepared = encoder.prepare(images[start : start + BATCH])
        parts.append(
            torch.stack([(of or encoder)(one) for one in views_of(prepared, views)]).mean(0)
        )
    return torch.cat(parts)


def standardised(parts: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Standardise inputs `(count, inputs)`, each column by all train images, labelled or not.

    An encoder that was never trained gives features of any scale, 1e-9 for a random MobileNetV2,
    with which no learning rate would be fair.
    """
    mean, scale = mean_and_scale(parts["train"].astype(np.float64))
    return {name: (part.astype(np.float64) - mean) / scale for name, part in parts.items()}
