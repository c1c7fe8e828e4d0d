"""The model that fine-tuning starts from."""

from __future__ import annotations

from pathlib import Path

from hybridq.config import EncoderConfig, FinetuneConfig
from hybridq.data import ImageData
from hybridq.errors import InvalidValueError
from hybridq.models.checkpoint import read_spec, take_weights
from hybridq.models.classifier import HybridClassifier, build_model
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.initial import encoder_for
from hybridq.training.seeding import derive_seed
from hybridq_backends import open_backend


def initial_model(config: FinetuneConfig, data: ImageData) -> HybridClassifier:
    """The encoder of `encoder`, or of the run `start` with all its weights, and a head.

    Its circuits run without noise until they are given the backend of the training.

    Raises:
        HybridqError: if encoder, weights or head cannot be used, or contradict the run `start`.
    """
    if config.start is None:
        encoder = encoder_for(
            data.splits["train"].images,
            config.encoder,
            image_size=config.image_size,
            stem=config.stem,
            seed=config.seed,
        )
    else:
        encoder = _encoder_of(config, config.start)
    # A network trained on crops sees things enlarged: outside training, too (decision 11).
    if not config.freeze_encoder:
        crop = {"crop_pct": config.augment.mean_side}
        encoder.spec = encoder.spec.model_copy(update=crop)
    seed = derive_seed(config.seed, 1)
    exact = open_backend("statevector")
    model = build_model(encoder, config.head, data.num_classes, backend=exact, seed=seed)
    if config.start is not None:
        take_weights(model, config.start)
    if config.freeze_encoder:
        model.freeze_encoder()
    return model


def _encoder_of(config: FinetuneConfig, start: Path) -> Encoder:
    """An encoder like that of the run `start`: its stem, size, normalisation and origin."""
    spec = read_spec(start).encoder
    if config.encoder != EncoderConfig():
        raise InvalidValueError(
            f"Expected no --encoder with --start, whose run has an encoder of its own, got "
            f"{config.encoder.weights}: leave it out."
        )
    if config.stem not in ("auto", spec.stem):
        raise InvalidValueError(
            f"Expected --stem {spec.stem}, with which {start} was trained, got "
            f"{config.stem}: leave it out."
        )
    if config.image_size is not None:
        spec = spec.model_copy(update={"image_size": config.image_size})
    return Encoder(spec)
