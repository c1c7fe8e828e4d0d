"""An encoder: a network up to its feature maps, with the size and scale of its images."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from hybridq.config.base import MAX_IMAGE_SIZE
from hybridq.config.choices import find_entry
from hybridq.config.handed import is_handed
from hybridq.data.transforms import prepare_images
from hybridq.models.encoders.depthwise import with_small_maps
from hybridq.models.encoders.entry import EncoderEntry
from hybridq.models.encoders.handed import AsMaps
from hybridq.models.encoders.timm_models import PREFIX, timm_entry
from hybridq_backends.utils.by_name import by_name

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

DEFAULT = "mobilenet_v2"
SAVE = "hybridq.models.encoders.file:save_encoder"

LEAST_SIZE = 8
"""The smallest height and width of an encoder's input, in pixels."""

Stem = Literal["stride1", "stride2"]
Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(ge=1e-3, le=1)]


class EncoderSpec(BaseModel):
    """The spec of an encoder: the input that it expects, and the origin of its weights."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    architecture: str = DEFAULT
    """The network: `mobilenet_v2`, `resnet18`, `resnet50`, `timm:NAME`, `package.module:entry`."""
    stem: Stem = "stride2"
    """Stride of the first convolution: `stride1` keeps twice the resolution, for small images."""
    image_size: int = Field(224, ge=LEAST_SIZE, le=MAX_IMAGE_SIZE)
    """Height and width of the input, in pixels."""
    crop_pct: float = Field(1.0, ge=0.1, le=1)
    """Share of an image's height and width that is seen outside training, cut from its centre."""
    mean: tuple[Share, Share, Share] = IMAGENET_MEAN
    """Mean of each channel, on a scale of 0 to 1."""
    std: tuple[Spread, Spread, Spread] = IMAGENET_STD
    """Standard deviation of each channel, on a scale of 0 to 1, at least 0.001."""
    normalised_by_set: bool = False
    """Whether the images of each set are normalised by its own mean and standard deviation, as in a
    pretraining on several sets; `mean` and `std` are then those of the set at hand."""
    weights: str = "none"
    """Where the weights come from: `none`, `imagenet`, or a method with the data named."""
    data_licence: str = "none"
    """Licence of the images the weights were made from."""

    @model_validator(mode="after")
    def _is_known(self) -> EncoderSpec:
        encoder_entry(self.architecture)
        return self

    @property
    def label(self) -> str:
        """The name of the network for cards and reports."""
        return encoder_entry(self.architecture).label


def encoder_entry(name: str) -> EncoderEntry:
    """Find the network of a name.

    Raises:
        InvalidValueError: If there is no such network.
        UnavailableError: If it is one of timm, which is not installed.
    """
    if name.startswith(PREFIX):
        return timm_entry(name)
    found: EncoderEntry = find_entry("encoder", name)
    return found


class Encoder(nn.Module):
    """A network up to its feature maps, with the spec of its input.

    Args:
        spec: The network, its stem, its input size and normalisation.
        generator_seed: Seed of the initial weights; the global generator is left alone.
        network: What takes the place of the one that the spec names: a module from images
            `(batch, 3, height, width)` to features `(batch, channels)` or maps
            `(batch, channels, rows, columns)`.

    Attributes:
        features: The network, block by block.
        frozen: Whether it is out of training, its batch norm included.

    Shape: images `(batch, 3, image_size, image_size)`, normalised, to features
    `(batch, num_features)`: the feature maps' mean over their positions.

    Example:
        >>> import numpy as np
        >>> from hybridq.models.encoders.encoder import Encoder, EncoderSpec
        >>> encoder = Encoder(EncoderSpec(architecture="resnet18", image_size=32))
        >>> images = encoder.prepare(np.zeros((2, 28, 28, 1), np.uint8))
        >>> tuple(encoder(images).shape), encoder.out_shape
        ((2, 512), (512, 1, 1))
    """

    def __init__(
        self, spec: EncoderSpec, *, generator_seed: int = 0, network: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.frozen = False
        if network is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(generator_seed)
                network = with_small_maps(encoder_entry(spec.architecture).build(spec.stem))
        else:
            network = nn.Sequential(network, AsMaps())
        self.features: nn.Sequential = network
        # Depthwise convolutions on a CPU take about two thirds of the time in this layout.
        self.to(memory_format=torch.channels_last)

    def __repr__(self) -> str:
        """Say which network it is and where its weights come from; `features` shows its layers."""
        spec = self.spec
        return f"Encoder({spec.label}, {spec.image_size} px, weights: {spec.weights})"

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """The shape of the feature maps of one image, `(channels, rows, columns)`."""
        return self._maps_of(self.spec.image_size)

    @cached_property
    def num_features(self) -> int:
        """The length of the pooled features, which is the number of channels of the maps."""
        is_own = not is_handed(self.spec.architecture)  # else it may take one size alone
        return self._maps_of(32 if is_own else self.spec.image_size)[0]

    def _maps_of(self, size: int) -> tuple[int, int, int]:
        """Find the shape of the maps from an image of zeros."""
        training = self.features.training
        like = next(self.features.parameters(), torch.empty(0))  # some have no weights
        with torch.no_grad():
            maps = self.features.eval()(like.new_zeros(1, 3, size, size))
        self.features.train(training)
        channels, rows, columns = (int(number) for number in maps.shape[1:])
        return channels, rows, columns

    def prepare(self, images: NDArray[np.uint8] | Tensor) -> Tensor:
        """Prepare images `(batch, height, width, 1 or 3)`, uint8, for this encoder."""
        spec = self.spec
        return prepare_images(
            images,
            image_size=spec.image_size,
            mean=spec.mean,
            std=spec.std,
            crop_pct=spec.crop_pct,
        )

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training mode; a frozen encoder and its batch norm stay in evaluation mode."""
        super().train(mode and not self.frozen)
        return self

    def save(self, path: str | Path) -> Path:
        """Write network and weights to a file, which `--encoder` and `hybridq.finetune` take.

        Args:
            path: A file whose name ends in `.safetensors`.

        Returns:
            The path.

        Raises:
            NotFiniteError: If a weight is NaN or infinite; nothing is written then.

        Example:
            >>> import tempfile
            >>> import hybridq as hq
            >>> data = hq.load_data("phantom,size=16,count=40")
            >>> encoder = hq.pretrain(data, epochs=1, batch_size=8)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     file = encoder.save(folder + "/mine.safetensors")
            ...     hq.finetune(file, data, head="linear", epochs=1, freeze_encoder=True)
            Model(MobileNetV2, linear: 2562 parameters, classes no lesion, lesion)
        """
        write: Callable[[Encoder, Path], None] = by_name(SAVE)
        write(self, Path(path))
        return Path(path)

    def maps(self, images: Tensor) -> Tensor:
        """Map images `(batch, 3, height, width)` to feature maps of `out_shape`."""
        maps: Tensor = self.features(images.contiguous(memory_format=torch.channels_last))
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(batch, 3, height, width)` to features `(batch, num_features)`."""
        return functional.adaptive_avg_pool2d(self.maps(images), 1).flatten(1)


def random_encoder_like(encoder: Encoder, seed: int) -> Encoder:
    """Make an untrained encoder with the same input, for the random-features baseline.

    A network that was handed over is copied, and its layers draw their weights anew.
    """
    spec = encoder.spec.model_copy(update={"weights": "none", "data_licence": "none"})
    if not is_handed(spec.architecture):
        return Encoder(spec, generator_seed=seed)
    untrained = deepcopy(encoder)
    untrained.spec = spec
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in untrained.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    return untrained
