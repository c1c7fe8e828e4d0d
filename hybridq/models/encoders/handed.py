"""Networks that are handed over in Python as modules."""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor, nn

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
        if features.ndim not in (2, 4):
            raise InvalidValueError(
                "Expected an encoder that gives features (batch, channels) or maps (batch, "
                f"channels, rows, columns), got {tuple(features.shape)}: take off what follows."
            )
        return features[:, :, None, None] if features.ndim == 2 else features
