"""A model as torch programs: before its circuits, after them, or the whole."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridq.errors import InvalidValueError
from hybridq.models.classifier import HybridClassifier
from hybridq.models.encoders.encoder import Encoder
from hybridq.quantum import QuantumLayer
from hybridq.quantum.modules import quantum_modules, running_on
from hybridq_backends import open_backend

WHOLE = "--format torch, which holds the whole model"

FILLERS = (0.0, 0.25)
"""What stands for all expectation values while it is found out which circuits are asked."""


@dataclass(frozen=True)
class Call:
    """A call of a circuit in the course of a batch.

    Attributes:
        layer: The layer that is called.
        angles: Its input, `(..., num_inputs)`, in radians.
    """

    layer: QuantumLayer
    angles: Tensor


class _StandIn(nn.Module):
    """Stands for a layer whose values an object gives."""

    def __init__(self, layer: QuantumLayer, answers: Callable[[Call], Tensor]) -> None:
        super().__init__()
        self._layer = (layer,)  # not as a part, or its weights would be part of the program
        self._answers = answers

    def forward(self, angles: Tensor) -> Tensor:
        return self._answers(Call(self._layer[0], angles))


class _Noted:
    """Notes the calls of circuits, and answers all with the same value."""

    def __init__(self, filler: float) -> None:
        self.calls: list[Call] = []
        self.filler = filler

    def __call__(self, call: Call) -> Tensor:
        self.calls.append(call)
        count = len(call.layer.circuits()[0].observables)
        return call.angles.new_full((*call.angles.shape[:-1], count), self.filler)


class _Given:
    """Answers the calls of circuits with given expectation values, one after the other."""

    def __init__(self) -> None:
        self.expvals: list[Tensor] = []

    def __call__(self, call: Call) -> Tensor:
        return self.expvals.pop(0)


def calls_of(model: HybridClassifier, images: Tensor) -> list[Call]:
    """Find the calls of circuits that a batch takes.

    Args:
        model: A model in evaluation mode.
        images: Prepared images.

    Raises:
        InvalidValueError: If circuits cannot be separated from the rest.
    """
    rounds = []
    for filler in FILLERS:
        noted = _Noted(filler)
        with torch.no_grad():
            with_layers(model, noted)(images)
        rounds.append(noted.calls)
    first, second = rounds
    same = len(first) == len(second) and all(
        one.layer is other.layer and torch.equal(one.angles, other.angles)
        for one, other in zip(first, second, strict=True)
    )
    if not same:
        raise InvalidValueError(
            "Expected circuits that can all be asked at once, got some that take the results of "
            f"others: take {WHOLE}."
        )
    return first


def constant_expvals(
    model: HybridClassifier, images: Tensor, calls: list[Call]
) -> list[Tensor] | None:
    """Compute what circuits give whose inputs no image changes, exactly; None if one changes.

    Such circuits generate weights, so that a trained model needs none of them.

    Args:
        model: A model in evaluation mode.
        images: Prepared images.
        calls: The calls that `calls_of` finds for them.

    Raises:
        InvalidValueError: If circuits cannot be separated from the rest.
    """
    others = calls_of(model, 1 - images.flip(0)[:-1])
    for one, other in zip(calls, others, strict=True):
        if not torch.equal(one.angles, other.angles):
            return None
    found = []
    with torch.no_grad(), open_backend("statevector") as exact:
        for call in calls:
            with running_on(call.layer, exact):
                found.append(call.layer(call.angles))
    return found


class Before(nn.Module):
    """The program up to the circuits: prepared images to `(features, angles, ...)`.

    Args:
        model: A model in evaluation mode.
        features: Whether the features are among the results.
    """

    def __init__(self, model: HybridClassifier, *, features: bool = True) -> None:
        super().__init__()
        self._noted = _Noted(FILLERS[0])
        self.model = with_layers(model, self._noted)
        self._features = features

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images `(batch, 3, image_size, image_size)` to features and the angles of each call."""
        self._noted.calls.clear()
        features = self.model.features(images)
        self.model.head(features)
        angles = tuple(call.angles for call in self._noted.calls)
        return (features, *angles) if self._features else angles


class After(nn.Module):
    """The program after the circuits: features and expectation values to probabilities.

    Args:
        model: A model in evaluation mode.
        multilabel: Whether an image can have several labels.
    """

    def __init__(self, model: HybridClassifier, *, multilabel: bool) -> None:
        super().__init__()
        self._given = _Given()
        self.head = with_layers(model, self._given).head
        self.multilabel = multilabel

    def forward(self, features: Tensor, *expvals: Tensor) -> Tensor:
        """Features, and the expectation values of each call, to `(batch, num_classes)`."""
        self._given.expvals = list(expvals)
        logits: Tensor = self.head(features)
        return _probabilities(logits, multilabel=self.multilabel)


def layers_of(model: HybridClassifier) -> list[QuantumLayer]:
    """List the layers of a model whose circuits can be exported.

    Raises:
        InvalidValueError: If there are circuits elsewhere.
    """
    found = []
    for module in quantum_modules(model):
        if not isinstance(module, QuantumLayer):
            raise InvalidValueError(
                f"Expected circuits in a QuantumLayer, got a {type(module).__name__}, whose "
                f"circuits cannot be separated from it: build the head of layers, or take {WHOLE}."
            )
        found.append(module)
    if quantum_modules(model.encoder):
        raise InvalidValueError(
            f"Expected circuits in the head alone, got some in the encoder: take {WHOLE}."
        )
    return found


class Classify(nn.Module):
    """The whole program: prepared images to probabilities.

    Args:
        model: A model in evaluation mode.
        multilabel: Whether an image can have several labels.
    """

    def __init__(self, model: HybridClassifier, *, multilabel: bool) -> None:
        super().__init__()
        self.model = model
        self.multilabel = multilabel

    def forward(self, images: Tensor) -> Tensor:
        """Images `(batch, 3, image_size, image_size)` to `(batch, num_classes)`, double."""
        return _probabilities(self.model(images), multilabel=self.multilabel)


class ClassifyGenerated(Classify):
    """The whole program of a model whose circuits give the same for all images.

    Args:
        model: A model in evaluation mode.
        expvals: The values that `constant_expvals` returns.
        multilabel: Whether an image can have several labels.
    """

    def __init__(self, model: HybridClassifier, expvals: list[Tensor], *, multilabel: bool) -> None:
        given = _Given()
        super().__init__(with_layers(model, given), multilabel=multilabel)
        self._given = given
        for place, values in enumerate(expvals):
            self.register_buffer(f"expvals_{place}", values)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(batch, 3, image_size, image_size)` to `(batch, num_classes)`, double."""
        self._given.expvals = list(self.buffers(recurse=False))
        return super().forward(images)


class ClassifyPixels(Classify):
    """The whole program from pixels, whatever the size of the images."""

    def forward(self, images: Tensor) -> Tensor:
        """Images `(batch, height, width, 3)`, uint8, to `(batch, num_classes)`, double."""
        return super().forward(_prepared(self.model.encoder, images))


def with_layers(model: HybridClassifier, answers: Callable[[Call], Tensor]) -> HybridClassifier:
    """Copy a model, with an object that answers in the place of its layers."""
    stand_ins = {id(layer): _StandIn(layer, answers) for layer in layers_of(model)}
    memo: dict[int, Any] = dict(stand_ins)  # which a copy takes in the place of a layer
    return deepcopy(model, memo).eval()


def _probabilities(logits: Tensor, *, multilabel: bool) -> Tensor:
    """Turn logits into probabilities in double precision; NaN stays NaN."""
    logits = logits.double()
    return logits.sigmoid() if multilabel else logits.softmax(dim=1)


def geometry(encoder: Encoder) -> tuple[int, int]:
    """Say to what side an image is resized, and how much is cut off each edge then, in pixels."""
    size = encoder.spec.image_size
    whole = round(size / encoder.spec.crop_pct)
    return whole, round((whole - size) / 2)


def _prepared(encoder: Encoder, images: Tensor) -> Tensor:
    """Prepare images as `Encoder.prepare` does, in operations that do not depend on their size."""
    spec = encoder.spec
    whole, edge = geometry(encoder)
    pixels = images.permute(0, 3, 1, 2).to(torch.float32) / 255
    pixels = functional.interpolate(
        pixels, size=(whole, whole), mode="bilinear", align_corners=False, antialias=True
    )
    inner = slice(edge, edge + spec.image_size)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    return (pixels[..., inner, inner] - mean) / std
