"""Networks that are handed over in Python as modules."""

from __future__ import annotations

from copy import deepcopy
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hybridq.config.handed import handed_label, refused_name
from hybridq.errors import InvalidValueError
from hybridq.models.encoders.entry import EncoderEntry

REMEDY = "load it with hybridq.load(run, encoder=...), or give the network an entry of its own."


def handed_encoder(name: str) -> EncoderEntry:
    """Make the entry of a network known only by the name in a record; it cannot be built."""

    def build(_stem: str) -> NoReturn:
        raise refused_name("encoder", name, REMEDY)

    return EncoderEntry(build, handed_label(name))


class AsMaps(nn.Module):
    """A module that turns feature vectors into maps of one position, and keeps maps."""

    def forward(self, features: Tensor) -> Tensor:
        """Map `(batch, channels)` to `(batch, channels, 1, 1)`.

        Raises:
            InvalidValueError: If they are neither vectors nor maps.
        """
        if not isinstance(features, Tensor) or features.ndim not in (2, 4):
            is_tensor = isinstance(features, Tensor)
            got = str(tuple(features.shape)) if is_tensor else f"a {type(features).__name__}"
            raise InvalidValueError(
                "Expected an encoder that gives features (batch, channels) or maps (batch, "
                f"channels, rows, columns), got {got}: "
                f"{'take off what follows' if is_tensor else 'return that tensor alone'}."
            )
        return features[:, :, None, None] if features.ndim == 2 else features


def check_network(network: nn.Module, image_size: int) -> None:
    """Refuse a module that is no map from images to features, before anything is trained.

    A copy of it is run on two images of noise, since some layers fail on a constant one.

    Args:
        network: What was handed over.
        image_size: Height and width of its input, in pixels.

    Raises:
        InvalidValueError: If it cannot take such images, or gives something else.
    """
    weights = list(network.parameters())
    if any(is_lazy(weight) for weight in weights):
        raise InvalidValueError(
            "Expected an encoder whose weights have their shapes, got one with lazy layers: call "
            f"it once on images (2, 3, {image_size}, {image_size})."
        )
    device = weights[0].device if weights else torch.device("cpu")
    noise = torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    wanted = f"an encoder that takes float32 images (batch, 3, {image_size}, {image_size})"
    try:
        with torch.no_grad():
            found = deepcopy(network).eval()(noise.to(device))
    except Exception as error:
        said = " ".join(str(error).split())
        raise InvalidValueError(
            f"Expected {wanted}, got {type(error).__name__} ({said}): make it for three channels "
            "(grey images are repeated), or give another `image_size`."
        ) from error
    AsMaps()(found)  # which refuses other shapes
    if found.dtype != torch.float32 or len(found) != 2:
        kind = str(found.dtype).removeprefix("torch.")
        raise InvalidValueError(
            f"Expected {wanted} to float32 features of each, got {kind} {tuple(found.shape)} "
            "from two: keep the first dimension, and call .float() on it."
        )
    if not found.isfinite().all():
        raise InvalidValueError(
            f"Expected {wanted} to finite features, got NaN or infinite ones: look at its weights."
        )
