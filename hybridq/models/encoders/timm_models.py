"""Networks of the library timm, named `timm:NAME`; the extra `timm` installs it."""

from __future__ import annotations

from torch import Tensor, nn

from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.models.encoders.entry import EncoderEntry

PREFIX = "timm:"


class TimmMaps(nn.Module):
    """A network of timm up to its feature maps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(batch, 3, height, width)` to `(batch, channels, rows, columns)`."""
        maps: Tensor = self.network.forward_features(images)  # type: ignore[operator]
        if maps.ndim != 4:
            raise InvalidValueError(
                f"Expected a convolutional network of timm, got one whose features have the shape "
                f"{tuple(maps.shape)}: choose another."
            )
        return maps


def timm_entry(name: str) -> EncoderEntry:
    """Make the entry of `timm:NAME`, whose stem is always the network's own.

    Raises:
        UnavailableError: If timm is not installed.
        InvalidValueError: If it has no network of that name.
    """
    try:
        import timm
    except ImportError as error:
        raise UnavailableError(
            f"Expected timm for the encoder {name!r}, got none installed: install it with "
            "`pip install timm`."
        ) from error
    own = name.removeprefix(PREFIX)
    if not timm.is_model(own):
        raise InvalidValueError(f"Expected a network of timm, got {own!r}: see timm.list_models().")

    def build(stem: str) -> nn.Sequential:
        network = timm.create_model(own, pretrained=False, num_classes=0, global_pool="")
        return nn.Sequential(TimmMaps(network))

    return EncoderEntry(build, f"{own} of timm")
