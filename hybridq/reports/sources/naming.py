"""What models, baselines and shares of the labels are called, the same in the whole report."""

from __future__ import annotations

from pathlib import Path

from hybridq.models.encoders.encoder import DEFAULT, encoder_entry
from hybridq.models.ssl import ssl_label
from hybridq.studies.ablation.grid import RAW_PIXELS

BASELINES = {
    "majority": "majority class",
    "raw_pixels": "raw pixels, logistic regression",
    "random_encoder": "random encoder, logistic regression",
}


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


def study_model_name(model: str) -> str:
    """A model of an ablation, whose files call it `simclr-pqc` or `whole-scratch-mlp`."""
    if model == RAW_PIXELS:
        return BASELINES["raw_pixels"]
    whole = model.startswith("whole-")
    encoder, _, head = model.removeprefix("whole-").partition("-")
    return model_name(encoder, head, frozen=not whole)


def baseline_name(name: str) -> str:
    """A baseline of an evaluation."""
    return f"{BASELINES.get(name, name.replace('_', ' '))} (baseline)"


def data_name(source: str) -> str:
    """A data source without its folder and its options."""
    return Path(source.split(",")[0]).name
