"""What the commands that train can be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from tyro.conf import OmitArgPrefixes

from hybridq.config.base import (
    MAX_BATCH,
    MAX_EPOCHS,
    MAX_IMAGE_SIZE,
    MAX_RATE,
    MAX_STEPS,
    AugmentConfig,
    ComputeConfig,
    Config,
    EncoderConfig,
    RunConfig,
)
from hybridq.config.parts import EncoderChoice, HeadChoice, SslChoice, head_config, ssl_config

BLOCKS = ("encoder", "reducer", "head")
"""The blocks of a classifier, from images to logits."""

BESIDE = ("temperature", "hidden_dim", "projection_dim")
"""Settings of SimCLR that configs of earlier versions had beside those of the training."""


def blocks_named(text: Any) -> tuple[str, ...]:
    """Read the names of blocks that are joined by commas."""
    words = text.split(",") if isinstance(text, str) else ()
    return tuple(word.strip() for word in words if word.strip())


class PretrainConfig(RunConfig):
    """Self-supervised pretraining of an encoder on the train split, without its labels."""

    data: str = "phantom"
    """A MedMNIST name, a folder, a `.npz` in MedMNIST's format, or `phantom`; or several joined by
    `+`, which are pretrained on together."""
    resume: Path | None = None
    """A run folder to go on with; its own config counts, and other flags are refused."""
    encoder: EncoderChoice = EncoderConfig()
    """The network, and its initial weights."""
    image_size: int | None = Field(None, ge=8, le=MAX_IMAGE_SIZE)
    """Input height and width in pixels; that of the weights or the data, or twice that below 64."""
    stem: Literal["auto", "stride1", "stride2"] = "auto"
    """Stride of the first convolution; `auto` is stride2, or that of the initial weights."""
    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    """Steps of the optimiser, in whole epochs; 1 for every 2 images, but 2,000 to 10,000."""
    epochs: int | None = Field(None, ge=1, le=MAX_EPOCHS)
    """Passes over the train split, in place of `--steps`."""
    batch_size: int = Field(64, ge=2, le=MAX_BATCH)
    """Images of a step (each gives two views), on each device."""
    learning_rate: float = Field(1e-3, gt=0, le=MAX_RATE)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(1e-4, ge=0, le=MAX_RATE)
    """Weight decay of AdamW."""
    warmup_steps: int | None = Field(None, ge=0, le=MAX_STEPS)
    """Steps in which the learning rate grows linearly, a quarter of all at most; cosine decay
    follows. A twentieth of the steps, but at most 100, where it is not given."""
    warmup_epochs: int | None = Field(None, ge=0, le=MAX_EPOCHS)
    """The same in epochs, in place of `--warmup-steps`."""
    ssl: SslChoice = Field(default_factory=ssl_config)
    """The method."""
    probe: bool = False
    """Also log how well neighbours name the class, by labels of train, which are read then."""
    checkpoint_every: int = Field(5, ge=1, le=MAX_EPOCHS)
    """Epochs between two checkpoints for `--resume`."""
    logger: Literal["none", "csv", "tensorboard"] = "none"
    """Also write each epoch's figures for a table (`csv`), or for TensorBoard (an extra)."""
    augment: AugmentConfig = AugmentConfig()
    """The random views."""
    compute: OmitArgPrefixes[ComputeConfig] = ComputeConfig()
    """Where it runs."""

    @model_validator(mode="before")
    @classmethod
    def _read_settings_of_the_method(cls, values: Any) -> Any:
        """Take settings of the method that stand beside it, as earlier versions wrote them."""
        if not isinstance(values, Mapping):
            return values
        beside = {name: values[name] for name in BESIDE if name in values}
        if not beside:
            return values
        own = {name: value for name, value in values.items() if name not in BESIDE}
        method = own.get("ssl", {"name": "simclr"})
        method = method if isinstance(method, Mapping) else method.model_dump()
        return {**own, "ssl": {**method, **beside}}

    @model_validator(mode="after")
    def _says_lengths_once(self) -> PretrainConfig:
        for what in ("", "warmup_"):
            given = getattr(self, f"{what}steps"), getattr(self, f"{what}epochs")
            if None not in given:
                raise ValueError(f"Expected {what}steps or {what}epochs, got both: leave one out")
        return self


class FinetuneConfig(RunConfig):
    """Supervised training of encoder and head on a fraction of the labels."""

    resume: Path | None = None
    """A run folder to go on with; its own config counts, and other flags are refused."""
    encoder: EncoderChoice = EncoderConfig()
    """The network, and its initial weights."""
    image_size: int | None = Field(None, ge=8, le=MAX_IMAGE_SIZE)
    """Input height and width in pixels; that of the encoder, which may be trained at another."""
    stem: Literal["auto", "stride1", "stride2"] = "auto"
    """Stride of the first convolution for `none` and `imagenet`; `auto` as in pretraining."""
    freeze_encoder: bool = False
    """Train the head alone, on features computed once and without augmentation."""
    freeze: str = ""
    """Blocks that are not trained, joined by commas: `encoder`, which is `--freeze-encoder`,
    `reducer` and `head`."""
    labels: float = Field(1.0, gt=0, le=1)
    """Fraction of the train split's labels in use: stratified, whole groups."""
    head: HeadChoice = Field(default_factory=head_config)
    """The classifier."""
    backend: str = "statevector"
    """Backend of the quantum layer: a profile, then fields, as `fake_torino,shots=none`."""
    gradient: Literal["exact", "spsa"] = "exact"
    """Derivatives of circuits that run as jobs: parameter shift, or SPSA, which is cheap."""
    spsa_repeats: int = Field(1, ge=1, le=1000)
    """Random directions of SPSA for each image, each two more circuits."""
    spsa_step: float = Field(0.3, gt=0, le=1.6)
    """Step of SPSA to either side, in radians."""
    head_start: Literal["auto", "random", "regression"] = "auto"
    """Where the head begins: as drawn, or at a penalised regression on the labelled features;
    `auto` is the regression for the package's heads on a frozen encoder."""
    start: Path | None = None
    """A run of `hybridq finetune`: its encoder and weights are begun with."""
    start_blocks: str = "encoder,reducer,head"
    """Blocks that are taken of `--start`, joined by commas; the others begin anew."""
    noise_curriculum: str | None = None
    """Noise scales of as many equal stages of training, as `0,0.5,1`; needs a noisy backend."""
    epochs: int = Field(60, ge=1, le=MAX_EPOCHS)
    """Passes over the labelled images."""
    val_every: int = Field(1, ge=1, le=MAX_EPOCHS)
    """Epochs between two readings of the validation split; `--epochs` is a multiple of it."""
    views: Literal["one", "flip", "shift", "zoom"] = "one"
    """Views averaged when it decides: the image; 2 with its mirror image, 10 moved, 12 enlarged."""
    keep: Literal["last", "best"] = "last"
    """The epoch whose model is kept: the last, or the best by validation AUC."""
    batch_size: int = Field(64, ge=2, le=MAX_BATCH)
    """Images of a step."""
    learning_rate: float = Field(3e-3, gt=0, le=MAX_RATE)
    """Peak learning rate of the encoder, in a one-cycle schedule."""
    head_learning_rate: float | None = Field(None, gt=0, le=MAX_RATE)
    """Peak learning rate of the head's other parts: 5e-3, but on a frozen encoder from a regression
    1e-3, and 1e-4 with fewer than 300 labelled images."""
    quantum_learning_rate: float = Field(1e-2, gt=0, le=MAX_RATE)
    """Peak learning rate of the circuit's weights, or of the control's in their place."""
    weight_decay: float = Field(1e-2, ge=0, le=MAX_RATE)
    """Weight decay of AdamW; circuit weights, and the control's in their place, have none."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Learning rate of a block of the encoder, as a share of that of the block above it."""
    probe_steps: int = Field(0, ge=0, le=MAX_STEPS)
    """Steps in which the head alone is trained, on frozen features, before all is; 0: none."""
    balance: Literal["none", "weights", "sampler", "smote", "qi-smote"] = "weights"
    """What is done about rare classes: nothing, weights in the loss, batches in which all classes
    come as often, or rows made between those of a rare class, on a frozen encoder: by SMOTE, or by
    QI-SMOTE, between rows that a circuit has moved (extra `imbalance`)."""
    patience: int = Field(0, ge=0, le=MAX_EPOCHS)
    """With `--keep best`: epochs without a better validation AUC before it stops; 0: never."""
    checkpoint_every: int = Field(5, ge=1, le=MAX_EPOCHS)
    """Epochs between two checkpoints for `--resume`."""
    logger: Literal["none", "csv", "tensorboard"] = "none"
    """Also write each epoch's figures for a table (`csv`), or for TensorBoard (an extra)."""
    augment: AugmentConfig = AugmentConfig(crop_min=0.7, jitter=0.1, blur=0.0)
    """Random changes to the training images."""
    compute: OmitArgPrefixes[ComputeConfig] = ComputeConfig()
    """Where it runs."""

    @model_validator(mode="before")
    @classmethod
    def _freezes_the_encoder(cls, values: Any) -> Any:
        """Take the encoder among the frozen blocks for `freeze_encoder`.

        Runs of earlier versions have `class_weights`, which `balance` says since.
        """
        if isinstance(values, Mapping) and "class_weights" in values and "balance" not in values:
            kept = {key: value for key, value in values.items() if key != "class_weights"}
            values = {**kept, "balance": "weights" if values["class_weights"] else "none"}
        named = blocks_named(values.get("freeze", "")) if isinstance(values, Mapping) else ()
        if "encoder" not in named:
            return values
        others = ",".join(name for name in named if name != "encoder")
        return {**values, "freeze": others, "freeze_encoder": True}

    @field_validator("freeze", "start_blocks")
    @classmethod
    def _names_blocks(cls, value: str) -> str:
        unknown = [name for name in blocks_named(value) if name not in BLOCKS]
        if unknown:
            raise ValueError(f"Expected blocks of {', '.join(BLOCKS)}, got {unknown[0]!r}")
        return value

    @model_validator(mode="after")
    def _takes_blocks_of_a_run(self) -> FinetuneConfig:
        every = type(self).model_fields["start_blocks"].default
        if self.start is None and self.start_blocks != every:
            raise ValueError(
                "Expected --start RUN with --start-blocks, got no run: name one whose blocks are "
                "taken"
            )
        if self.start is not None and not self.taken_blocks:
            raise ValueError(
                "Expected blocks of --start that are taken, got none: name some in --start-blocks, "
                "or leave --start out"
            )
        return self

    @property
    def frozen_blocks(self) -> tuple[str, ...]:
        """The blocks that are not trained, in their order."""
        named = blocks_named(self.freeze)
        return tuple(
            name for name in BLOCKS if name in named or (name == "encoder" and self.freeze_encoder)
        )

    @property
    def taken_blocks(self) -> tuple[str, ...]:
        """The blocks that are taken of the run `start`, in their order."""
        named = blocks_named(self.start_blocks)
        return tuple(name for name in BLOCKS if name in named)

    @property
    def keeps_head(self) -> bool:
        """Whether the head, or a reducer that is trained, goes on from the run `start`."""
        own = set(self.taken_blocks if self.start is not None else ())
        return bool(own & {"head", "reducer"} - set(self.frozen_blocks)) or "head" in own

    @property
    def head_rate(self) -> float:
        """Peak learning rate of the head's other parts; that of random weights if none is set."""
        return 5e-3 if self.head_learning_rate is None else self.head_learning_rate


class DemoConfig(Config):
    """The whole job on generated images: pretrain, fine-tune, evaluate, switch backends."""

    runs: Path = Path("runs")
    """Folder in which the run folders are made."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of images and training."""
    pretrain_epochs: int = Field(20, ge=1, le=MAX_EPOCHS)
    """Epochs of SimCLR."""
    epochs: int = Field(30, ge=1, le=MAX_EPOCHS)
    """Epochs of fine-tuning."""
