"""The model that fine-tuning starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from hybridq.config import EncoderConfig, FinetuneConfig
from hybridq.data import ImageData
from hybridq.errors import InvalidValueError
from hybridq.models.blocks import freeze_blocks
from hybridq.models.checkpoint import read_spec, take_weights
from hybridq.models.classifier import HybridClassifier, build_model
from hybridq.models.encoders.encoder import Encoder
from hybridq.models.encoders.initial import encoder_for, spec_for
from hybridq.models.heads.handed import check_head
from hybridq.training.seeding import derive_seed
from hybridq_backends import Executable, Spec, open_backend


@dataclass(frozen=True)
class Handed:
    """What is handed over in Python in place of what a config names.

    Attributes:
        data: The images.
        encoder: The encoder.
        head: The head.
        backend: The backend: what it is, or open; whoever opened it closes it.
        is_kept: Whether the run folder stays, so that its path is worth telling.
        more: Further sets, which are pretrained on together with `data`.
    """

    data: ImageData | None = None
    encoder: Encoder | None = None
    head: nn.Module | None = None
    backend: Spec | Executable | None = None
    is_kept: bool = True
    more: tuple[ImageData, ...] = ()

    @property
    def spec(self) -> Spec | None:
        """What the backend is, where it has a spec."""
        return self.backend.spec if isinstance(self.backend, Executable) else self.backend


def initial_model(
    config: FinetuneConfig,
    data: ImageData,
    handed: Handed = Handed(),
) -> HybridClassifier:
    """Make the model that fine-tuning starts from.

    Its circuits run without noise until they are given the backend of the training.

    Args:
        config: Names the encoder, or the run `start` and the blocks that are taken of it, and the
            head.
        data: Data whose images give size and normalisation.
        handed: Has the encoder or the head in place of those that the config names.

    Raises:
        HybridqError: if encoder, weights or head cannot be used, or contradict the run `start`.
    """
    if handed.encoder is not None:
        _check_handed(config, handed.encoder)
        encoder = handed.encoder
    elif config.start is None or "encoder" not in config.taken_blocks:
        encoder = encoder_for(
            data.splits["train"].images,
            config.encoder,
            image_size=config.image_size,
            stem=config.stem,
            seed=config.seed,
        )
    else:
        encoder = _encoder_of(config, config.start)
    encoder.spec = spec_for(encoder.spec, data.splits["train"].images)
    # A network trained on crops sees things enlarged: outside training, too (decision 11).
    if not config.freeze_encoder:
        crop = {"crop_pct": config.augment.mean_side}
        encoder.spec = encoder.spec.model_copy(update=crop)
    seed = derive_seed(config.seed, 1)
    exact = open_backend("statevector")
    model = build_model(
        encoder, config.head, data.num_classes, backend=exact, seed=seed, head=handed.head
    )
    if handed.head is not None:
        check_head(model.head, model.feature_shape, data.num_classes)
    if config.start is not None:
        _check_same_reducer(config, config.start)
        take_weights(model, config.start, blocks=config.taken_blocks)
    _check_frozen_reducer(config)
    freeze_blocks(model, config.frozen_blocks)
    return model


def _check_same_reducer(config: FinetuneConfig, start: Path) -> None:
    """Refuse the weights of a reducer of another kind.

    Raises:
        InvalidValueError: If they are.
    """
    own, other = (getattr(one, "reducer", None) for one in (config.head, read_spec(start).head))
    if "reducer" in config.taken_blocks and None not in (own, other) and own != other:
        raise InvalidValueError(
            f"Expected --reducer {other}, as {start} has it, got {own}: take the same, or leave "
            "`reducer` out of --start-blocks."
        )


def _check_frozen_reducer(config: FinetuneConfig) -> None:
    """Refuse to freeze a reducer that has only been drawn, or that is not trained anyway.

    Raises:
        InvalidValueError: If it is one.
    """
    kind = getattr(config.head, "reducer", None)
    is_taken = config.start is not None and "reducer" in config.taken_blocks
    if "reducer" not in config.frozen_blocks or kind is None or is_taken:
        return
    if kind in ("pca", "random"):
        raise InvalidValueError(
            f"Expected --freeze without reducer for --reducer {kind}, whose weights are not "
            "trained, got it there: leave it out."
        )
    raise InvalidValueError(
        "Expected --start RUN with a frozen reducer, whose weights are to be kept, got none: "
        "name a run whose reducer is taken, or choose --reducer random or pca."
    )


def _check_handed(config: FinetuneConfig, encoder: Encoder) -> None:
    """Refuse options of another encoder than the one that was handed over.

    Raises:
        InvalidValueError: If there are any.
    """
    start = config.start if "encoder" in config.taken_blocks else None
    given = {"start": start, "image_size": config.image_size}
    for name, value in given.items():
        own = encoder.spec.image_size if name == "image_size" else None
        if value not in (None, own):
            raise InvalidValueError(
                f"Expected no `{name}` with an encoder that is handed over, which has its own, got "
                f"{value}: leave it out."
            )


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
