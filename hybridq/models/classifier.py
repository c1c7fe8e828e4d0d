"""Encoder and head as one classifier whose quantum step can be taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridq.models.encoders.mobilenet import NUM_FEATURES, Encoder
from hybridq.models.heads import (
    CONTROLS,
    Head,
    build_head,
    match_summary,
    quantum_layers,
    quantum_parameters,
)
from hybridq.utils.finite import check_finite

if TYPE_CHECKING:
    from hybridq.config import HeadConfig
    from hybridq.quantum import Executable


class HybridClassifier(nn.Module):
    """Images to logits: encoder, reducer, quantum layer, readout.

    The quantum step is a pure function of angles, so that hardware inference can compute the
    angles here, the expectation values in jobs, and the logits here again.

    Args:
        encoder: maps images to features.
        head: maps features to logits.

    Shape: images `(batch, 3, image_size, image_size)`, normalised, to logits
    `(batch, num_classes)`.
    """

    def __init__(self, encoder: Encoder, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """Images to features `(batch, 1280)`."""
        features: Tensor = self.encoder(images)
        return features

    def angles(self, features: Tensor) -> Tensor:
        """Features to angles `(batch, num_qubits)`, in radians."""
        return self.head.angles(features)

    def expvals(self, angles: Tensor) -> Tensor:
        """Angles to expectation values `(batch, num_qubits)`: the quantum step."""
        return self.head.expvals(angles)

    def readout(self, features: Tensor, expvals: Tensor) -> Tensor:
        """Features and expectation values to logits `(batch, num_classes)`."""
        return self.head.readout(features, expvals)

    def forward(self, images: Tensor) -> Tensor:
        """The composition of the four steps."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def freeze_encoder(self) -> None:
        """Take the encoder out of training, its batch norm included, for good."""
        self.encoder.requires_grad_(False)
        self.encoder.frozen = True
        self.encoder.eval()

    def use_backend(self, backend: Executable) -> None:
        """Let every quantum layer run on `backend`, with the weights it has."""
        for layer in quantum_layers(self.head):
            layer.use_backend(backend)


def build_model(
    encoder: Encoder,
    config: HeadConfig,
    num_classes: int,
    *,
    backend: Executable | None,
    seed: int,
) -> HybridClassifier:
    """A classifier with a new head on `encoder`.

    Raises:
        InvalidValueError: if the head's config names something unknown or does not fit `backend`.
    """
    generator = torch.Generator().manual_seed(seed)
    head = build_head(NUM_FEATURES, num_classes, config, backend=backend, generator=generator)
    return HybridClassifier(encoder, head)


def probabilities(logits: Tensor, *, multilabel: bool) -> Tensor:
    """Logits `(batch, num_classes)` to probabilities: of each label by itself, or of one class.

    Raises:
        NotFiniteError: If a logit is NaN or infinite: no class can be named.
    """
    check_finite("logits", logits)
    return logits.sigmoid() if multilabel else logits.softmax(dim=1)


def head_summary(head: Head, name: str) -> str:
    """How many parameters a head has, and how a control matches its quantum head."""
    if name in CONTROLS.values():
        return match_summary(head)
    circuit = sum(weight.numel() for weight in quantum_parameters(head))
    total = f"{sum(weight.numel() for weight in head.parameters())} parameters"
    return f"{total}, {circuit} of them in the circuit" if circuit else total
