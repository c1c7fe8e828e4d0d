"""What several commands can be told."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from tyro.conf import arg

MAX_EPOCHS = 100_000
MAX_BATCH = 65_536
MAX_IMAGE_SIZE = 2048
MAX_LAYERS = 200
MAX_RANK = 1024
MAX_RATE = 100.0
MAX_RESAMPLES = 100_000
MAX_SEEDS = 1000
MAX_STEPS = 10_000_000
MAX_LIMIT = 10_000_000
MAX_WORKERS = 256
MAX_FILES = 1_000_000
MAX_RUNS = 1000
MAX_TEXT = 4096
"""Longest text or path, in characters."""


class Config(BaseModel):
    """Base of all configs: frozen; an unknown field is an error, and so is an infinite number.

    Numbers and lists have bounds, generous ones, so that what passes can be run.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*")
    @classmethod
    def _check_texts(cls, value: Any) -> Any:
        """Refuse texts and paths that no file and no command line can hold."""
        for text in _texts(value):
            if len(text) > MAX_TEXT:
                raise ValueError(f"Expected at most {MAX_TEXT} characters")
            if "\0" in text:
                raise ValueError("Expected a text without NUL characters")
            try:
                os.fsencode(text)
            except UnicodeEncodeError as error:
                raise ValueError("Expected a text of whole characters") from error
        return value


def _texts(value: Any) -> Iterator[str]:
    """The texts in the value of a field; configs within it have been checked already."""
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, tuple):
        for entry in value:
            yield from _texts(entry)


class HeadConfig(Config):
    """The classifier on top of the encoder's features; what else it can be told is its own."""

    name: Annotated[str, arg(name="head", prefix_name=False)]
    """`identity`, `linear`, `low_rank`, `mlp`, `mlp_residual`, `pqc`, `pqc_residual`, `rff`,
    `trig`, or `package.module:entry`."""


class CircuitHeadConfig(HeadConfig):
    """A head around a circuit, or the classical control of one."""

    num_qubits: int = Field(4, ge=1, le=20)
    """Qubits of the circuit, which is also the size of the reduced feature vector."""
    reducer: Annotated[Literal["linear", "pca", "random", "tt"], arg(aliases=["--reducer"])] = (
        "linear"
    )
    """Where the map from features to angles comes from: `linear` is trained, and so is `tt`, a
    tensor train; `pca` is the first principal components of the train features, and `random` stays
    as it is drawn."""
    tt_rank: int = Field(3, ge=1, le=MAX_RANK)
    """Largest rank of the tensor train of the reducer `tt`."""
    registers: int = Field(1, ge=1, le=20)
    """Circuits among which the qubits are shared evenly, each with as many times fewer of them."""
    num_layers: int = Field(2, ge=1, le=MAX_LAYERS)
    """Repetitions of the trainable layer."""
    encoding: str = "angle"
    """How angles enter the circuit: `angle`, `zz` or `reupload`."""
    ansatz: str = "ry_cz"
    """The trainable part: `ry_cz`, `real_amplitudes`, `efficient_su2`, `strongly_entangling`."""
    entanglement: str = "ring"
    """Which qubits are entangled in a layer: `linear`, `ring`, `full` or `none`."""
    init_std: float = Field(0.01, ge=0, le=100)
    """Standard deviation of the initial circuit weights, in radians."""

    @model_validator(mode="after")
    def _shares_qubits_evenly(self) -> CircuitHeadConfig:
        if self.num_qubits % self.registers:
            raise ValueError(
                f"Expected registers that share {self.num_qubits} qubits evenly, got "
                f"{self.registers}: take a divisor of num_qubits"
            )
        return self


class EncoderConfig(Config):
    """The encoder that a training begins with."""

    weights: Annotated[str, arg(name="encoder", prefix_name=False)] = "none"
    """Initial weights: `none`, `imagenet`, a run of `hybridq pretrain`, or its file."""
    name: str | None = None
    """The network: `mobilenet_v2` (the default), `resnet18`, `resnet50`, `timm:NAME`, or
    `package.module:entry`; that of the weights where they come from a file."""


class SslConfig(Config):
    """The self-supervised method; what else it can be told is its own."""

    name: Annotated[str, arg(name="ssl", prefix_name=False)]
    """`simclr`, `byol`, `vicreg`, or `package.module:entry`."""


class AugmentConfig(Config):
    """Random changes to a training image."""

    crop_min: float = Field(0.7, gt=0, le=1)
    """Smallest part of the image's area that a crop keeps."""
    horizontal_flip: bool = True
    """Mirror left and right, for half of the images."""
    vertical_flip: bool = False
    """Mirror up and down, for half of the images."""
    rotation: float = Field(10.0, ge=0, le=180)
    """Largest rotation to either side, in degrees."""
    jitter: float = Field(0.2, ge=0, lt=1)
    """Largest relative change of brightness and contrast (and saturation of colour images)."""
    blur: float = Field(0.0, ge=0, le=1)
    """Share of images that are blurred; images below 64 pixels never are."""
    noise: float = Field(0.0, ge=0, le=1)
    """Standard deviation of Gaussian noise, on a scale of 0 to 1, for half of the images."""
    erase: float = Field(0.0, ge=0, le=1)
    """Share of images in which a small rectangle is erased."""

    @property
    def mean_side(self) -> float:
        """Side of a square as large as crops are in the mean, as a share of the image's.

        Areas are drawn evenly from `crop_min` to 1.
        """
        return math.sqrt((self.crop_min + 1) / 2)


class PseudonymsConfig(Config):
    """What every command that reads images or writes records of them can be told."""

    pseudonyms: bool = False
    """Record keyed hashes in place of the names of files, and of folders or files of data."""
    pseudonym_key: Path | None = None
    """File of their key; `HYBRIDQ_PSEUDONYM_KEY`, or one of your own that is made at first use."""


class RunConfig(PseudonymsConfig):
    """What every command that makes a run folder can be told."""

    data: str = "phantom"
    """A MedMNIST name, a folder, a `.npz` in MedMNIST's format, or `phantom`."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    positive: str | None = None
    """The one of two classes that sensitivity speaks of; the set's own, or the second by name."""
    runs: Path = Path("runs")
    """Folder in which the run folder is made."""
    name: str | None = None
    """Name of the run, part of its folder's name; the data set's where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of everything that is random in this run."""


class ComputeConfig(Config):
    """Where training runs."""

    accelerator: str = "auto"
    """Lightning's `accelerator`: `auto`, `cpu`, `gpu`, ..."""
    devices: str = "1"
    """Lightning's `devices`: how many, or which as `0,1`, or `auto`."""
    num_nodes: int = Field(1, ge=1, le=1024)
    """Number of machines."""
    strategy: str = "auto"
    """Lightning's `strategy`: `auto`, `ddp`, ..."""
    precision: str = "32-true"
    """Lightning's `precision`, such as `32-true` or `bf16-mixed`; circuits stay in double."""
