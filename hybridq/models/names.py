"""What models are called in words, in tables of studies and in reports alike."""

from __future__ import annotations

from hybridq.models.encoders.encoder import DEFAULT, encoder_entry
from hybridq.models.ssl import ssl_label


def model_name(encoder: str, head: str, *, frozen: bool, network: str | None = None) -> str:
    """Encoder and head in words.

    Args:
        encoder: what its weights were before the labels: `none`, `random`, `scratch`, `imagenet`,
            or a self-supervised method, as `byol` or `byol on DATA`.
        head: name of the head.
        frozen: whether the encoder stayed as it was.
        network: The encoder's name; the usual one is left out.
    """
    word = encoder.split()[0] if encoder else "none"
    own = "" if network in (None, DEFAULT) else f"{encoder_entry(network).label}, "
    if word in ("none", "random", "scratch"):
        return f"{own}{'random encoder' if frozen else 'from scratch'}, {head}"
    return f"{own}{start_name(word)} {'frozen' if frozen else 'fine-tuned'}, {head}"


def start_name(word: str) -> str:
    """What gave an encoder its weights: ImageNet, or a self-supervised method."""
    return "ImageNet" if word == "imagenet" else ssl_label(word)
