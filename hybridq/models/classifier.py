"""Encoder and head as one classifier, whose circuits run on any backend."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from hybridq.models.encoders.encoder import Encoder
from hybridq.models.heads import build_head, head_entry, match_summary
from hybridq.models.heads.counting import is_control
from hybridq.models.reducers import reducer_of
from hybridq.quantum.modules import quantum_parameters, running_on, use_backend
from hybridq.utils.finite import check_finite

if TYPE_CHECKING:
    from hybridq.config import HeadConfig
    from hybridq.quantum.modules import AnyBackend


class HybridClassifier(nn.Module):
    """Images to logits: an encoder, and a head with any number of circuits in it.

    Args:
        encoder: Maps images to features.
        head: Maps features, or feature maps, to logits.
        takes: Whether the head takes the encoder's pooled features or its feature maps.

    Shape: images `(batch, 3, image_size, image_size)`, normalised, to logits
    `(batch, num_classes)`.
    """

    def __init__(
        self, encoder: Encoder, head: nn.Module, takes: Literal["vector", "map"] = "vector"
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.takes = takes
        self._head_is_frozen = False

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of the head's input for one image."""
        return self.encoder.out_shape if self.takes == "map" else (self.encoder.num_features,)

    def features(self, images: Tensor) -> Tensor:
        """Map images to the input of the head, `(batch, *feature_shape)`."""
        if self.takes == "map":
            return self.encoder.maps(images)
        features: Tensor = self.encoder(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map images to logits."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def freeze_encoder(self) -> None:
        """Take the encoder out of training permanently, its batch norm included."""
        self.encoder.requires_grad_(False)
        self.encoder.frozen = True
        self.encoder.eval()

    def freeze_head(self) -> None:
        """Take the head but for its reducer out of training permanently, with its batch norm."""
        for name, weight in self.head.named_parameters():
            if not name.startswith("reducer."):
                weight.requires_grad_(False)
        self._head_is_frozen = True
        self.train(self.training)

    def train(self, mode: bool = True) -> HybridClassifier:
        """Switch to training mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self._head_is_frozen:
            self.head.eval()
            if (reducer := reducer_of(self.head)) is not None:
                reducer.train(mode)
        return self

    def use_backend(self, backend: AnyBackend) -> None:
        """Let every circuit run on a backend, as `open_backend` takes it, with the weights it has.

        What a name opens stays open as long as it is used.
        """
        use_backend(self.head, backend)

    def running_on(self, backend: AnyBackend) -> AbstractContextManager[None]:
        """Let every circuit run on a backend inside a `with` block, and on its own afterwards.

        What a name opens is closed at the end of the block.
        """
        return running_on(self.head, backend)


def build_model(
    encoder: Encoder,
    config: HeadConfig,
    num_classes: int,
    *,
    backend: AnyBackend | None,
    seed: int,
    head: nn.Module | None = None,
) -> HybridClassifier:
    """Put a new head on an encoder.

    Args:
        encoder: The encoder.
        config: The config of the head, with its name.
        num_classes: The number of logits.
        backend: The backend of its circuits, as `open_backend` takes it.
        seed: Seed of its initial weights.
        head: A head in place of a new one. It takes feature maps if its attribute `input` is `map`.

    Raises:
        InvalidValueError: If the head's config names something unknown or does not fit `backend`.
    """
    if head is not None:
        if backend is not None:
            use_backend(head, backend)
        return HybridClassifier(encoder, head, getattr(head, "input", "vector"))
    generator = torch.Generator().manual_seed(seed)
    takes = head_entry(config.name).input
    in_shape = encoder.out_shape if takes == "map" else encoder.num_features
    head = build_head(in_shape, num_classes, config, backend=backend, generator=generator)
    return HybridClassifier(encoder, head, takes)


def probabilities(logits: Tensor, *, multilabel: bool) -> Tensor:
    """Turn logits `(batch, num_classes)` into probabilities of labels or of classes.

    Raises:
        NotFiniteError: If a logit is NaN or infinite.
    """
    check_finite("logits", logits)
    return logits.sigmoid() if multilabel else logits.softmax(dim=1)


def head_summary(head: nn.Module) -> str:
    """Describe the number of parameters of a head, and how a control matches its quantum head."""
    if is_control(head):
        return match_summary(head)
    circuit = sum(weight.numel() for weight in quantum_parameters(head))
    total = f"{sum(weight.numel() for weight in head.parameters())} parameters"
    return f"{total}, {circuit} of them in the circuit" if circuit else total
